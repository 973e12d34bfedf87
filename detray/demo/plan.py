"""What ``detray demo`` runs, in order, and the tables it closes with.

The whole demonstration::

    draw.draw_dataset(main(output).root)
    # run main(output)
    write_copies(output, predictions)        # the table predictions of the main run
    # run faulty(output), then shifted(output)
    closing.fault_rows(...), closing.class_rows(...), closing.query(...)

``faulty`` audits and diagnoses a copy of the validation split with planted faults against the
detections that the model made on the clean split; ``shifted`` diagnoses the clean split against the
same detections with every class id off by one.
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


def main(output: Path | str) -> Run:
    """Every stage on the clean data set: train, find the weak class, tune for it."""
    output = Path(output)
    root = output / "data"
    values = {
        "name": "demo",
        "output": str(output),
        "dataset": {"root": str(root), "splits": {split: _split(split) for split in ("train", "val", "test")}},
        "detector": {"input_height": 128, "input_width": 128},
        "train": {"epochs": 11},
        "tune": {"focus": [shapes.RARE], "trials": 4, "finalists": 1, "proof_seeds": 4},
    }
    return Run("main", ("audit", "train", "predict", "evaluate", "diagnose", "tune", "report"), root, values)


def faulty(output: Path | str) -> Run:
    """Audit and diagnosis of the copy with planted faults."""
    output = Path(output)
    root = output / "faulty" / "data"
    # the classes that suffer are not all weak: they are named, as somebody would who suspects them
    suspected = sorted({faults.RELABELLED_AS, faults.UNLABELLED})
    return Run(
        "faulty", ("audit", "diagnose", "report"), root, _compared(output, "faulty", root, DETECTIONS, suspected)
    )


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
