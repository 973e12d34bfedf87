"""The stage on tables by hand: files that pycocotools reads, the same for any cut, piece by piece."""

import contextlib
import io
from pathlib import Path
from typing import Any

import clean_tables as t
import pyarrow as pa
import pytest
import yaml
from outputs import run_stage, write_data_set, write_stage
from pycocotools.coco import COCO

from detray import schema
from detray.flow.executor import InProcess
from detray.settings import convert
from detray.store import Store
from detray.store.manifest import encode
from detray.tables import Shard
from detray.verbs.base import Context
from detray.verbs.clean import STAGE
from detray.verbs.config import Config

CONFIG = {
    "name": "r",
    "dataset": {"root": "data", "splits": {"val": {"annotations": "val.json", "images": "pictures"}}},
    "clean": {"actions": ["drop", "clip", "relabel", "move", "add", "renumber"], "format": "coco"},
}
ROWS = [
    t.annotation(0, (10.25, 10, 20, 20), annotation_id=7, annotator="ann"),
    t.annotation(1, (10.25, 10, 0, 20), annotation_id=8),
    t.annotation(2, (90, 10, 20, 20), image_id=2, annotation_id=8),
    t.annotation(3, (5, 5, 9, 9), image_id=2, annotation_id=None, category_id=2),
    t.annotation(4, (5, None, 9, 9), image_id=3, area=None),
    t.annotation(5, (6, 6, 9, 9), image_id=3, annotation_id=None, segmentation="[[6,6,15,6,15,15]]"),
]
FINDINGS = t.findings(
    ("degenerate-box", ROWS[1]),
    ("duplicate-annotation-id", ROWS[1]),
    ("duplicate-annotation-id", ROWS[2]),
    ("out-of-bounds", ROWS[2]),
)
SUSPECTS = t.label_errors(
    t.suspect("wrong_class", ROWS[3], category_id=7),
    t.suspect("missing", {"image_id": 1, "category_id": 2}, 0.95, category_id=2, box=(40, 40, 10, 10)),
    t.suspect("missing", {"image_id": 3, "category_id": 2}, 0.99, category_id=2, box=(40, 40, 10, 12)),
)


def ingested(place: Path | Store, shards: list[Shard], findings: pa.Table, suspects: pa.Table | None) -> Store:
    """An output folder as ingest, audit and diagnose leave it."""
    store = place if isinstance(place, Store) else Store(str(place))
    write_data_set(store, shards)
    for name, table, rows in (("audit", "findings", findings), ("diagnose", "label_errors", suspects)):
        if rows is not None:
            write_stage(store, name, {table: rows})
    return store


def cleaned(store: Store, config: dict[str, Any] = CONFIG) -> tuple[Any, pa.Table]:
    outcome = run_stage(STAGE, Context(convert(config, Config, "test"), store, InProcess()))
    return outcome, store.read("edits")


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_the_file_is_what_pycocotools_reads(tmp_path: Path) -> None:
    outcome, edits = cleaned(ingested(tmp_path, [t.shard(ROWS)], FINDINGS, SUSPECTS))
    made = loaded(tmp_path / "clean" / "val.json")
    assert [category["id"] for category in made.dataset["categories"]] == [1, 2, 7]
    assert made.loadImgs([2]) == [{"id": 2, "file_name": "1.jpg", "width": 100, "height": 80}]
    rows = made.dataset["annotations"]
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids) == 6
    assert rows[0] == {
        "id": 7, "image_id": 1, "category_id": 1, "bbox": [10.25, 10, 20, 20], "area": 400, "iscrowd": 0,
        "annotator": "ann",
    }  # fmt: skip
    assert [(row["image_id"], row["category_id"], row["bbox"]) for row in rows[1:]] == [
        (1, 2, [40, 40, 10, 10]),
        (2, 1, [90, 10, 10, 20]),
        (2, 7, [5, 5, 9, 9]),
        (3, 1, [6, 6, 9, 9]),
        (3, 2, [40, 40, 10, 12]),
    ]
    assert rows[4]["segmentation"] == [[6, 6, 15, 6, 15, 15]]
    assert outcome.counts == {"in": 6, "kept": 6, "quarantined": 1}
    assert edits["action"].to_pylist() == ["drop", "add", "clip", "renumber", "relabel", "add"]
    added = [row["id"] for row in rows if row["bbox"][:2] == [40, 40]]
    assert [row["annotation_id"] for row in edits.to_pylist() if row["action"] == "add"] == added


def test_a_row_that_no_file_can_hold_is_quarantined(tmp_path: Path) -> None:
    store = ingested(tmp_path, [t.shard(ROWS)], FINDINGS, None)
    cleaned(store)
    (row,) = store.read("quarantine", "clean").to_pylist()
    assert (row["row"], row["reason"], row["source_file"]) == (4, "no-box", t.SOURCE)


@pytest.mark.parametrize("at", [1, 2])
def test_any_cut_gives_the_same_file_and_edits(tmp_path: Path, at: int) -> None:
    whole = t.shard(ROWS)
    _, edits = cleaned(ingested(tmp_path / "whole", [whole], FINDINGS, SUSPECTS))
    _, other = cleaned(ingested(tmp_path / "cut", t.cut(whole, at), FINDINGS, SUSPECTS))
    files = [(tmp_path / name / "clean" / "val.json").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]
    assert edits.equals(other)


def test_any_file_system_will_do(tmp_path: Path) -> None:
    cleaned(ingested(tmp_path / "local", [t.shard(ROWS)], FINDINGS, SUSPECTS))
    store = Store(f"memory://bucket{tmp_path}/out")
    assert not store.is_local
    cleaned(ingested(store, [t.shard(ROWS)], FINDINGS, SUSPECTS))
    assert (tmp_path / "local" / "clean" / "val.json").read_bytes() == store.read_bytes("clean", "val.json")


def test_an_empty_split_is_a_valid_file(tmp_path: Path) -> None:
    cleaned(ingested(tmp_path, [t.shard([], images=0)], t.findings(), None))
    made = loaded(tmp_path / "clean" / "val.json")
    assert made.dataset["annotations"] == made.dataset["images"] == []


def test_the_fragment_names_the_files_and_the_pictures(tmp_path: Path) -> None:
    cleaned(ingested(tmp_path, [t.shard(ROWS)], FINDINGS, None))
    values = yaml.safe_load((tmp_path / "clean" / "dataset.yaml").read_text())
    split = convert(values, Config, "test").dataset.splits["val"]
    assert split.annotations == str(tmp_path / "clean" / "val.json")
    assert (split.format, split.images) == ("coco", "pictures")
    assert values["dataset"]["root"] == str(Path("data").resolve())


def test_suspects_of_other_data_are_not_followed(tmp_path: Path) -> None:
    store = ingested(tmp_path, [t.shard(ROWS)], FINDINGS, SUSPECTS)
    store.write_bytes(encode((store.manifest("ingest") or {}) | {"created": "2"}), "ingest", "manifest.json")
    outcome, edits = cleaned(store)
    assert "relabel" not in edits["action"].to_pylist()
    assert any("no label errors" in note for note in outcome.notes)


def test_annotations_of_several_files_are_numbered_anew(tmp_path: Path) -> None:
    rows = [
        t.annotation(0, (5, 5, 9, 9), annotation_id=1),
        t.annotation(0, (5, 5, 8, 8), annotation_id=1, source_file="b"),
    ]
    split = {"annotations": ["val.json", "b"]}
    cleaned(ingested(tmp_path, [t.shard(rows)], t.findings(), None), CONFIG | {"dataset": {"splits": {"val": split}}})
    assert loaded(tmp_path / "clean" / "val.json").getAnnIds() == [2, 3]


def test_the_summary_counts_edits_by_split_class_action_and_reason(tmp_path: Path) -> None:
    outcome, edits = cleaned(ingested(tmp_path, [t.shard(ROWS)], FINDINGS, SUSPECTS))
    table = outcome.summary[0]
    assert ["val", "cat", "clip", "out-of-bounds", 1] in table.rows
    assert sum(row[-1] for row in table.rows) == edits.num_rows
    assert edits.schema.equals(schema.schema("edits"))


def test_boxes_of_a_class_that_no_list_has_are_edited_beside_others(tmp_path: Path) -> None:
    rows = [t.annotation(0, (90, 10, 20, 20)), t.annotation(1, (90, 40, 20, 20), category_id=99)]
    found = t.findings(*(("out-of-bounds", row) for row in rows))
    store = ingested(tmp_path / "out", [t.shard(rows)], found, t.label_errors())
    outcome, edits = cleaned(store, CONFIG | {"clean": {"format": "coco"}})
    assert edits["action"].to_pylist() == ["clip", "clip"]
    assert [row[1] is None for row in outcome.summary[0].rows] == [True, False]
