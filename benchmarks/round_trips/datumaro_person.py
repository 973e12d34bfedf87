"""A person whose data go through Datumaro, of CVAT XML or COCO: see fiftyone_person.py for the plan."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import datumaro
from datumaro.components.annotation import Bbox
from datumaro.components.dataset import Dataset


def main(kind: str, labels: Path, plan: Path, saved: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        dataset = loaded(kind, labels, Path(place) / "in")
        apply(dataset, json.loads(plan.read_text()))
        dataset.export(f"{place}/out", kind, save_media=False)
        name = "annotations.xml" if kind == "cvat" else "annotations/instances_val.json"
        saved.write_bytes((Path(place) / "out" / name).read_bytes())
    print(f"Datumaro {datumaro.__version__} ({kind})")


def loaded(kind: str, labels: Path, place: Path) -> Dataset:
    """The export where Datumaro looks for such data, its pictures beside it."""
    pictures = json.loads((labels.parents[1] / "pictures.json").read_text())
    images = place / "images" / ("val" if kind == "coco" else "")
    images.mkdir(parents=True)
    for name, path in pictures.items():
        shutil.copy(path, images / name)
    target = place / ("annotations.xml" if kind == "cvat" else "annotations/instances_val.json")
    target.parent.mkdir(exist_ok=True)
    shutil.copy(labels, target)
    return Dataset.import_from(str(place), kind)


def apply(dataset: Dataset, steps: list[tuple[str, object, object]]) -> None:
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    for item in list(dataset):
        boxes = {one.attributes.get("detray", "").rpartition("-")[2]: one for one in item.annotations}
        gone = []
        for op, where, value in steps:
            box = boxes.get(str(where))
            if op == "add" and Path(where).stem == item.id:
                x, y, width, height = value[1]
                item.annotations.append(Bbox(x, y, width, height, label=names.index(value[0])))
            elif box is not None and op == "say":
                box.attributes["decision"] = value
            elif box is not None and op == "relabel":
                box.label = names.index(value)
            elif box is not None and op == "move":
                x, y, width, height = value
                new = Bbox(x, y, width, height, label=box.label, attributes=box.attributes, group=box.group, id=box.id)
                item.annotations[item.annotations.index(box)] = new
            elif box is not None and op == "delete":
                gone.append(box)
        for box in gone:
            item.annotations.remove(box)
        dataset.put(item)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
