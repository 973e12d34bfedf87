"""A person in FiftyOne: loads an export, does what a plan says, saves. Run by a Python that has fiftyone:

    python fiftyone_person.py EXPORT PLAN SAVED

The plan is JSON: a list of [op, number of a box or name of a picture, value]; boxes in pixels.
"""

import json
import sys
import tempfile
from pathlib import Path

from database import database

FIELDS = ("ground_truth", "suggestions")


def main(folder: Path, plan: Path, saved: Path) -> None:
    import fiftyone as fo  # once its database is there

    dataset = fo.Dataset.from_dir(str(folder), fo.types.FiftyOneDataset, progress=False)
    wanted: dict[str, list[tuple[str, object]]] = {}
    new: dict[str, list[tuple[str, list[float]]]] = {}
    for op, where, value in json.loads(plan.read_text()):
        if op == "add":
            new.setdefault(where, []).append(tuple(value))
        else:
            wanted.setdefault(str(where), []).append((op, value))
    for sample in dataset.iter_samples(autosave=True):
        size = sample.metadata.width, sample.metadata.height
        for field in FIELDS:
            kept = []
            for label in sample[field].detections:
                for op, value in wanted.get(label.detray.rpartition("-")[2], ()):
                    if op == "say":
                        label.tags.append(value)
                    elif op == "relabel":
                        label.label = value
                    elif op == "move":
                        label.bounding_box = shares(value, size)
                    elif op == "delete":
                        label = None
                        break
                if label is not None:
                    kept.append(label)
            sample[field].detections = kept
        for name, box in new.get(Path(sample.filepath).name, ()):
            sample["ground_truth"].detections.append(fo.Detection(label=name, bounding_box=shares(box, size)))
    with tempfile.TemporaryDirectory() as place:
        dataset.export(export_dir=place, dataset_type=fo.types.FiftyOneDataset, export_media=False, progress=False)
        saved.write_bytes((Path(place) / "samples.json").read_bytes())
    print(f"FiftyOne {fo.__version__}")


def shares(box: list[float], size: tuple[int, int]) -> list[float]:
    return [side / size[place % 2] for place, side in enumerate(box)]


if __name__ == "__main__":
    with database():
        main(*map(Path, sys.argv[1:]))
