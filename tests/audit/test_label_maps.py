"""Lists of classes that files, boxes and label maps give, from the files on."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from audit_data import dataset

from detray import cli
from detray.store import Store

NAMES = ("cell", "vial", "flask")


def _coco(path: Path, first: int, *, shift: int = 0, n: int = 20) -> None:
    """Images from number ``first`` on with a box of each class; ids start at 1 + ``shift``."""
    images = [{"id": key, "file_name": f"{key}.jpg", "width": 100, "height": 80} for key in range(first, first + n)]
    boxes = [
        {"id": 10 * key + place, "image_id": key, "category_id": place + shift, "bbox": [9 * place, 9, 8 + place, 9]}
        for key in range(first, first + n)
        for place in (1, 2, 3)
    ]
    categories = [{"id": place + shift, "name": name} for place, name in enumerate(NAMES, 1)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def _audited(folder: Path, **dataset: Any) -> list[dict[str, Any]]:
    config = {"output": str(folder / "out"), "dataset": {"root": str(folder)} | dataset, "audit": {"detector": False}}
    (folder / "detray.yaml").write_text(yaml.safe_dump(config))
    cli.main(["audit", "--config", str(folder / "detray.yaml"), "--serial"])
    return Store(str(folder / "out")).read("findings").to_pylist()


def test_the_file_is_named_whose_ids_differ_from_those_of_the_others(tmp_path: Path) -> None:
    for number, shift in enumerate((-1, 0, -1, 0)):
        _coco(tmp_path / f"{number}.json", 1 + 100 * number, shift=shift)
    _coco(tmp_path / "val.json", 1)
    splits = {"train": {"annotations": [f"{number}.json" for number in range(4)]}, "val": {"annotations": "val.json"}}
    found = _audited(tmp_path, splits=splits)
    faults = [row for row in found if row["rule"] == "label-map-mismatch"]
    assert {(row["split"], row["severity"], row["observed"], Path(row["source_file"]).name) for row in faults} == {
        ("train", 4, f"of {name}, against 1.json: 3 classes are shifted by +1", name) for name in ("0.json", "2.json")
    }
    effects = [row for row in found if row["rule"] in ("duplicate-category-name", "class-missing-in-split")]
    assert effects
    assert {row["root_cause_id"] for row in effects} <= {row["finding_id"] for row in faults}


def test_files_that_list_the_same_classes_are_one_list(tmp_path: Path) -> None:
    for number in range(3):
        _coco(tmp_path / f"{number}.json", 1 + 100 * number)
    splits = {"train": {"annotations": ["0.json", "1.json"]}, "val": {"annotations": "2.json"}}
    found = {row["rule"] for row in _audited(tmp_path, splits=splits)}
    assert not found & {"label-map-mismatch", "duplicate-category-name"}


def test_a_shifted_split_is_the_root_of_what_it_does_to_its_classes(tmp_path: Path) -> None:
    _coco(tmp_path / "train.json", 1)
    _coco(tmp_path / "val.json", 101, shift=-1)
    found = _audited(tmp_path, splits={name: {"annotations": f"{name}.json"} for name in ("train", "val")})
    (root,) = [row for row in found if row["rule"] == "label-map-mismatch"]
    assert root["observed"] == "against split train: 3 classes are shifted by +1"
    effects = [row for row in found if row["rule"] in ("category-id-zero", "class-missing-in-split")]
    assert len(effects) == 3
    assert {row["root_cause_id"] for row in effects} == {root["finding_id"]}


def test_a_class_of_open_images_that_the_label_map_lacks_is_unknown_at_its_rows(tmp_path: Path) -> None:
    header = "ImageID,LabelName,XMin,XMax,YMin,YMax\n"
    line = "{},{},0.1,0.5,0.2,0.6\n"
    (tmp_path / "map.csv").write_text("/m/a,Cell\n/m/b,Vial\n")
    (tmp_path / "train.csv").write_text(header + line.format("1", "/m/a") + line.format("2", "/m/zzz"))
    (tmp_path / "val.csv").write_text(header + line.format("3", "/m/a"))
    splits = {name: {"annotations": f"{name}.csv"} for name in ("train", "val")}
    found = _audited(tmp_path, splits=splits, label_map="map.csv")
    (row,) = [row for row in found if row["severity"] >= 3]
    assert (row["rule"], row["split"], row["annotation_row"]) == ("unknown-category", "train", 1)
    assert row["observed"] == "class /m/zzz"
    assert not [row for row in found if row["category_name"] == "/m/zzz" and row["split"] == "val"]


def _classes_that_boxes_name(**splits: tuple[int, ...]) -> set[str]:
    """The rules that find something where boxes of each split name these classes."""
    data = dataset(
        splits=list(splits),
        categories={1: {"category_name": "cell", "is_listed": False}, 2: {"category_name": "vial", "is_listed": False}},
        images=[{"split": split} for split in splits],
        boxes=[
            {"split": split, "image": place, "class": key}
            for place, (split, keys) in enumerate(splits.items(), 1)
            for key in keys
        ],
    )
    seen = [row["category_id"] in splits[row["split"]] for row in data.categories.to_pylist()]
    own = type(data)(data.images, data.annotations, data.categories.filter(pa.array(seen)), None)
    return set(own.audited()["rule"].to_pylist())


def test_a_class_that_boxes_name_in_one_split_only_is_missing_in_the_other_and_no_other_list() -> None:
    found = _classes_that_boxes_name(train=(1,), val=(1, 2))
    assert "class-missing-in-split" in found
    assert not found & {"label-map-mismatch", "unknown-category"}
