"""What ``detray demo`` runs, in order, and the tables that it shows.

First what costs a minute at most: the clean data set is audited, a detector trained, its weak class diagnosed; then
the same detections are laid over a copy of the validation split with planted faults (``faulty``: audited, diagnosed,
cleaned) and, with every class id off by one, over the clean split (``shifted``). Then what takes longer: the settings
are tuned for the weak class.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from detray.demo import faults, shapes
from detray.demo.faults import Fault

Values = dict[str, Any]

DETECTIONS = "detections.json"
SHIFTED_DETECTIONS = "detections_off_by_one.json"


@dataclass(frozen=True)
class Run:
    """One run of some verbs: ``values`` is its configuration, ``root`` the folder of its data set."""

    name: str
    verbs: tuple[str, ...]
    root: Path
    values: Values


FIRST = ("audit", "train", "predict", "evaluate", "diagnose")
"""The stages of the main run that come before the copies; the others come after them."""


def main(output: Path | str) -> Run:
    """The clean data set: train, find the weak class; what tunes for it, later, reads the same configuration."""
    output = Path(output)
    root = output / "data"
    values = {
        "name": "demo",
        "output": str(output),
        "dataset": {"root": str(root), "splits": {split: _split(split) for split in ("train", "val", "test")}},
        "detector": {"input_height": 96, "input_width": 96},
        "train": {"epochs": 11, "learning_rate": 0.005},
        "tune": {"focus": [shapes.RARE], "trials": 3, "finalists": 1, "proof_seeds": 4},
    }
    return Run("main", FIRST, root, values)


def faulty(output: Path | str) -> Run:
    """The copy with planted faults: audited, diagnosed and cleaned."""
    output = Path(output)
    root = output / "faulty" / "data"
    # the classes that suffer are not all weak: they are named, as somebody would who suspects them
    suspected = sorted({faults.RELABELLED_AS, faults.UNLABELLED})
    values = _compared(output, "faulty", root, DETECTIONS, suspected)
    return Run("faulty", ("audit", "diagnose", "clean", "report"), root, values)


def shifted(output: Path | str) -> Run:
    """Diagnosis of the clean split against detections whose class ids are off by one."""
    output = Path(output)
    root = output / "data"
    return Run("shifted", ("diagnose", "report"), root, _compared(output, "shifted", root, SHIFTED_DETECTIONS, []))


def write_copies(output: Path | str, predictions: pa.Table) -> tuple[list[Fault], Fault]:
    """Plant the faults for `faulty` and write the detections that `faulty` and `shifted` read.

    Returns:
        The faults that `faulty` should find, and the one that `shifted` should find.
    """
    output = Path(output)
    planted = faults.plant_faults(main(output).root, faulty(output).root)
    faults.write_detections(predictions, output / DETECTIONS)
    return planted, faults.write_shifted_detections(predictions, output / SHIFTED_DETECTIONS)


def _split(split: str) -> Values:
    return {"format": "coco", "annotations": f"annotations/{split}.json", "images": f"images/{split}"}


def _compared(output: Path, name: str, root: Path, detections: str, classes: list[str]) -> Values:
    return {
        "name": f"demo-{name}",
        "output": str(output / name),
        "dataset": {"root": str(root), "splits": {"val": _split("val")}},
        "detector": {"kind": "predictions", "path": str(output / detections)},
        "diagnose": {"classes": classes},
    }
