"""A person in FiftyOne who came by its COCO importer, and saves by its COCO exporter: see fiftyone_person.py."""

import json
import sys
import tempfile
from pathlib import Path

from database import database
from fiftyone_person import shares


def main(labels: Path, plan: Path, saved: Path) -> None:
    import fiftyone as fo  # once its database is there

    pictures = json.loads((labels.parents[1] / "pictures.json").read_text())
    dataset = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset, data_path=pictures, labels_path=str(labels),
        progress=False,
    )  # fmt: skip
    (field,) = dataset.get_field_schema(embedded_doc_type=fo.Detections)
    steps = json.loads(plan.read_text())
    for sample in dataset.iter_samples(autosave=True):
        size = sample.metadata.width, sample.metadata.height
        by_number = {label.detray.rpartition("-")[2]: label for label in sample[field].detections}
        for op, where, value in steps:
            label = by_number.get(str(where))
            if op == "add" and where == Path(sample.filepath).name:
                new = fo.Detection(label=value[0], bounding_box=shares(value[1], size))
                sample[field].detections.append(new)
            elif label is not None and op == "say":
                label.decision = value
            elif label is not None and op == "relabel":
                label.label = value
            elif label is not None and op == "move":
                label.bounding_box = shares(value, size)
            elif label is not None and op == "delete":
                sample[field].detections.remove(label)
    with tempfile.TemporaryDirectory() as place:
        dataset.export(
            labels_path=f"{place}/labels.json", dataset_type=fo.types.COCODetectionDataset, progress=False,
            label_field=field, classes=dataset.default_classes, export_media=False, abs_paths=False,
        )  # fmt: skip
        saved.write_bytes((Path(place) / "labels.json").read_bytes())
    print(f"FiftyOne {fo.__version__} (COCO)")


if __name__ == "__main__":
    with database():
        main(*map(Path, sys.argv[1:]))
