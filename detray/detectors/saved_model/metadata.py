"""metadata.yaml, which Ultralytics' exporter writes beside a model."""

from dataclasses import dataclass
from typing import Any

from detray.detectors.saved_model.package import Package
from detray.errors import UsageError
from detray.settings import parse_yaml

METADATA = "metadata.yaml"


@dataclass(frozen=True)
class UltralyticsCard:
    """``names`` by class id, from 0; ``size``: height and width of the input, px."""

    names: dict[int, str]
    size: tuple[int, int] | None


def read_card(package: Package) -> UltralyticsCard | None:
    """What stands beside a model; None where nothing does.

    Raises:
        UsageError: the file is not readable, or the model is no detector.
    """
    text = package.text(METADATA)
    if text is None:
        return None
    place = f"{package.path}/{METADATA}"
    found = parse_yaml(text, place)
    names = found.get("names") if isinstance(found, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(key, int) and key >= 0 for key in names):
        raise UsageError(f"{place}: has no names by class id; export the model again, or remove the file")
    task = found.get("task", "detect")
    if task != "detect":
        raise UsageError(f"{place}: the model's task is {str(task)[:60]!r}, and detray evaluates detection")
    return UltralyticsCard({key: str(name) for key, name in names.items()}, _size(found.get("imgsz")))


def _size(stated: Any) -> tuple[int, int] | None:
    sides = stated if isinstance(stated, list) and len(stated) == 2 else [stated, stated]
    return (sides[0], sides[1]) if all(isinstance(side, int) and side > 0 for side in sides) else None
