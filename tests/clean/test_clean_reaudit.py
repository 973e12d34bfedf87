"""From files to corrected files: auditing these again finds nothing of what was mended, and nothing else is lost."""

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml
from pycocotools.coco import COCO

from detray.clean.requests import RULES
from detray.flow.executor import InProcess
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config


def run(verb: str, output: Path, dataset: dict[str, Any], **sections: Any) -> Store:
    values = {"name": "r", "output": str(output), "dataset": dataset} | sections
    context = Context(convert(values, Config, "test"), Store(str(output)), InProcess())
    runner.run(context, [verb])
    return context.store


def found(store: Store) -> Counter[str]:
    """Findings about annotations by rule, notes left out."""
    findings = store.read("findings")
    rows = findings.filter(pc.and_(pc.equal(findings["scope"], "annotation"), pc.greater(findings["severity"], 0)))
    return Counter(rows["rule"].to_pylist())


def clean_and_audit_again(tmp_path: Path, dataset: dict[str, Any], actions: list[str]) -> tuple[Store, Store]:
    first = run("clean", tmp_path / "first", dataset, clean={"actions": actions, "format": "coco"})
    again = yaml.safe_load((tmp_path / "first" / "clean" / "dataset.yaml").read_text())["dataset"]
    second = run("audit", tmp_path / "second", again)
    mended = {rule for rule, action in RULES.items() if action in actions}
    assert not mended & set(found(second))
    others = {rule: count for rule, count in found(first).items() if rule not in mended}
    assert {rule: count for rule, count in found(second).items() if rule in others} == others
    return first, second


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_planted_faults_are_mended_and_the_rest_stands(tmp_path: Path) -> None:
    boxes = [
        [10, 10, 20, 20],
        [10, 10, 20, 20],  # again
        [30, 30, 0, 5],  # no area
        [200, 10, 20, 20],  # outside
        [90, 10, 30, 20],  # over the edge
        [90, 10, 40, 20],  # over the edge, the same box when clipped
        [5, 5, 9.25, 9.125],
    ]
    data = {
        "images": [{"id": 4, "file_name": "é.jpg", "width": 100, "height": 80, "license": 3}],
        "categories": [{"id": 2, "name": "dog", "supercategory": "animal"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {
                "id": max(1, row),
                "image_id": 4,
                "category_id": 1 + row % 1,
                "bbox": box,
                "iscrowd": 0,
                "area": 7.5,
                "score": row,
            }
            for row, box in enumerate(boxes)
        ],
    }
    (tmp_path / "val.json").write_text(json.dumps(data))
    dataset = {"root": str(tmp_path), "splits": {"val": {"annotations": "val.json"}}}
    first, _ = clean_and_audit_again(tmp_path, dataset, ["drop", "clip", "renumber"])
    edits = Counter(first.read("edits")["action"].to_pylist())
    assert edits == {"drop": 4, "clip": 1, "renumber": 1}
    made = loaded(tmp_path / "first" / "clean" / "val.json").dataset
    assert made["images"] == data["images"]
    assert made["categories"] == [data["categories"][1], data["categories"][0]]
    assert [row["bbox"] for row in made["annotations"]] == [boxes[0], [90, 10, 10, 20], boxes[6]]
    assert made["annotations"][2] == data["annotations"][6] | {"bbox": boxes[6]}


def test_bccd_loses_its_two_boxes_without_area_and_nothing_else(shared: Path, tmp_path: Path) -> None:
    splits = {
        split: {
            "format": "voc",
            "annotations": "Annotations",
            "images": "JPEGImages",
            "list": f"ImageSets/Main/{split}.txt",
        }
        for split in ("train", "val", "test")
    }
    first, _ = clean_and_audit_again(tmp_path, {"root": str(shared / "bccd"), "splits": splits}, ["drop"])
    edits = first.read("edits")
    assert sorted(edits["file_name"].to_pylist()) == ["BloodImage_00338.jpg", "BloodImage_00343.jpg"]
    counts: Counter[str] = Counter()
    for split in splits:
        made = loaded(tmp_path / "first" / "clean" / f"{split}.json")
        assert len(made.anns) == len(made.dataset["annotations"])
        for name in ("RBC", "WBC", "Platelets"):
            counts[name] += len(made.getAnnIds(catIds=made.getCatIds(catNms=[name])))
    assert sum(counts.values()) == 4155 + 372 + 361 - 2


def test_coco_stays_as_it_is_where_nothing_is_wrong(shared: Path, tmp_path: Path) -> None:
    (source,) = (shared / "coco_val2014_100").glob("*instances*.json")
    dataset = {"root": str(source.parent), "splits": {"val": {"annotations": source.name}}}
    first, _ = clean_and_audit_again(tmp_path, dataset, ["drop", "clip"])
    before, after = loaded(source), loaded(tmp_path / "first" / "clean" / "val.json")
    named = set(first.read("edits")["annotation_id"].to_pylist())
    kept = [number for number in before.anns if number not in named]
    assert len(kept) > 800
    assert [after.anns[number] for number in kept] == [before.anns[number] for number in kept]
    assert {number: after.imgs[number] for number in before.imgs} == before.imgs
    assert after.dataset["categories"] == before.dataset["categories"]


def test_ids_that_collide_are_told_apart_in_taco(shared: Path, tmp_path: Path) -> None:
    (source,) = (shared / "taco").glob("*.json")
    dataset = {"root": str(source.parent), "splits": {"val": {"annotations": source.name}}}
    first, _ = clean_and_audit_again(tmp_path, dataset, ["drop", "clip", "renumber"])
    made = loaded(tmp_path / "first" / "clean" / "val.json")
    assert (
        len(made.anns)
        == len(made.dataset["annotations"])
        == 4784 - first.read("edits")["action"].to_pylist().count("drop")
    )
