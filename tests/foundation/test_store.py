"""The output folder: complete or invisible, no row twice, readable by other tools."""

import errno
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from outputs import write_data_set, write_stage

from detray import schema
from detray.errors import DamagedError, DetrayError
from detray.store import Part, ShardKey, Stage, Store
from detray.tables import Shard


def rows(*reasons: str) -> pa.Table:
    return schema.from_rows("quarantine", [{"stage": "ingest", "reason": reason} for reason in reasons], run="r")


def images(split: str, *ids: int) -> pa.Table:
    return schema.from_rows("images", [{"split": split, "image_id": i, "file_name": f"{i}.jpg"} for i in ids], run="r")


def write(stage: Stage, *reasons: str) -> dict[str, list[Part]]:
    """A shard with one row for each reason."""
    shards = enumerate(reasons)
    parts = [part for k, reason in shards for part in stage.write_parts("quarantine", f"{k:05d}", rows(reason))]
    return {"quarantine": parts}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def test_nothing_shows_before_the_commit_and_all_after(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")
    parts = write(stage, "a", "b")
    assert store.manifest("audit") is None
    assert not list((tmp_path / "out/audit").glob("quarantine/*"))
    with pytest.raises(DetrayError, match="detray audit"):
        store.read("findings")
    stage.commit(parts, {}, {"fingerprint": "f"}, "name: x\n", ["findings"])
    assert store.read("quarantine", "audit").num_rows == 2
    assert store.read("findings").schema.equals(schema.schema("findings"))
    assert not (tmp_path / "out/audit/_partial").exists()


def test_other_tools_read_the_parts_as_they_are(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")
    stage.commit(write(stage, "r0", "r1", "r2"), {}, {}, "", ["quarantine", "findings"])
    parts = f"{tmp_path}/out/audit/quarantine/*.parquet"
    assert duckdb.sql(f"SELECT reason FROM '{parts}' ORDER BY 1").fetchall() == [("r0",), ("r1",), ("r2",)]
    assert pl.read_parquet(parts)["reason"].to_list() == ["r0", "r1", "r2"]
    assert pd.read_parquet(f"{tmp_path}/out/audit/quarantine")["reason"].tolist() == ["r0", "r1", "r2"]
    empty = f"{tmp_path}/out/audit/findings/*.parquet"
    assert duckdb.sql(f"SELECT count(*) FROM '{empty}' WHERE severity > 2").fetchall() == [(0,)]


def test_a_task_that_runs_twice_leaves_no_row_twice(store: Store) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")
    write(stage, "a")
    stage.commit(write(stage, "a"), {}, {}, "", [])
    assert store.read("quarantine", "audit").num_rows == 1


def test_a_stage_goes_on_from_its_whole_shards_only_for_the_same_inputs(store: Store) -> None:
    stage = Stage(store, "audit")
    assert stage.begin("f") == {}
    stage.write_receipt("00000", b"whole")
    assert Stage(store, "audit").begin("f") == {"00000": b"whole"}
    assert Stage(store, "audit").begin("g") == {}
    assert Stage(store, "audit").begin("f") == {}


def test_a_second_run_replaces_the_first(store: Store) -> None:
    for reasons in (("a", "b", "c"), ("d",)):
        stage = Stage(store, "audit")
        stage.begin(str(reasons))
        stage.commit(write(stage, *reasons), {}, {}, "", ["findings"])
    assert store.read("quarantine", "audit")["reason"].to_pylist() == ["d"]
    third = Stage(store, "audit")
    third.begin("clean")
    third.commit({}, {}, {}, "", ["findings"])
    assert "quarantine" not in store.manifest("audit")["tables"]
    assert store.fs.get_file_info(store.path("audit", "quarantine")).type == pafs.FileType.NotFound


def test_a_commit_that_was_cut_off_is_finished_by_the_next(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")
    parts = write(stage, "r0", "r1", "r2")
    moved = []
    original = type(stage)._move

    def cut_off(self, name, *more):  # type: ignore[no-untyped-def]
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(name)
        return original(self, name, *more)

    monkeypatch.setattr(type(stage), "_move", cut_off)
    with pytest.raises(KeyboardInterrupt):
        stage.commit(parts, {}, {}, "", ["quarantine"])
    assert store.manifest("audit") is None
    monkeypatch.setattr(type(stage), "_move", original)
    Stage(store, "audit").begin("f")
    Stage(store, "audit").commit(parts, {}, {}, "", ["quarantine"])
    assert sorted(store.read("quarantine", "audit")["reason"].to_pylist()) == ["r0", "r1", "r2"]


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")

    def refuse(self: object, path: str, *args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullDisk:
        create_dir = staticmethod(lambda *a, **k: None)
        open_output_stream = refuse
        delete_file = refuse

    full = Store(store.root)
    object.__setattr__(full, "__dict__", {"root": store.root, "_opened": (FullDisk(), store.path()), "is_local": True})
    with pytest.raises(DetrayError, match="disk is full"):
        write(Stage(full, "audit"), "a")
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DetrayError, match="--output"):
        Stage(Store(str(tmp_path / "file")), "audit").begin("f")


def test_shards_hold_whole_images_of_one_split(store: Store) -> None:
    data = [images("train", 1, 4), images("train", 5, 9), images("val", 1, 7)]
    nothing = schema.empty("annotations")
    splits = ("train", "train", "val")
    shards = [Shard(split, part, nothing, schema.empty("categories")) for split, part in zip(splits, data, strict=True)]
    keys = write_data_set(store, shards)
    assert [(key.split, key.low, key.high) for key in keys] == [
        ("train", None, 5),
        ("train", 5, None),
        ("val", None, None),
    ]
    assert store.shards(["train"]) == keys[:2]
    assert store.read_shard(keys[1]).images["image_id"].to_pylist() == [5, 9]
    assert store.read_shard(keys[2]).annotations.num_rows == 0
    assert [part["file"] for part in store.files("annotations", "ingest")] == [
        f"ingest/annotations/part-{i:05d}.parquet" for i in range(3)
    ]


def test_a_range_is_read_from_parts_cut_in_any_way(store: Store) -> None:
    def detections(split: str, *ids: int) -> pa.Table:
        rows = [{"model": "m", "split": split, "image_id": i, "category_id": 1, "score": 0.5, "rank": 1} for i in ids]
        return schema.from_rows("predictions", rows, run="r")

    cut = [detections("val", 1, 2, 6), detections("val", 7, 20), detections("train", 6)]
    write_stage(store, "predict", {"predictions": cut})
    found = store.read_range("predictions", ShardKey(0, "val", 2, 8))
    assert found["image_id"].to_pylist() == [2, 6, 7]


def test_the_manifest_lists_what_is_there(store: Store, tmp_path: Path) -> None:
    stage = Stage(store, "audit")
    stage.begin("f")
    stage.commit(write(stage, "a"), {}, {"counts": {"in": 1}}, "", ["findings"])
    manifest = json.loads((tmp_path / "out/audit/manifest.json").read_text())
    assert manifest["counts"] == {"in": 1}
    for table in manifest["tables"].values():
        for part in table["files"]:
            assert (tmp_path / "out" / part["file"]).stat().st_size == part["bytes"]


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "a\0b"])
def test_no_name_leads_out(store: Store, name: str) -> None:
    for use in (store.read_bytes, store.delete, store.path, lambda *parts: store.write_bytes(b"", *parts)):
        with pytest.raises(DamagedError, match="leads out"):
            use("audit", name)


def test_a_thousand_parts_are_checked_by_their_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large part no more than the end is read, whatever its size."""
    monkeypatch.setattr("detray.store.store.TAIL", 64)
    monkeypatch.setattr("detray.store.integrity.TAIL", 64)
    write_stage(store, "ingest", {"images": [images("val", n) for n in range(1000)]})
    parts = store.files("images", "ingest")
    assert store.damage("ingest") is None
    first = Path(store.path(parts[0]["file"]))
    data = bytearray(first.read_bytes())
    data[first.stat().st_size // 4] ^= 1
    first.write_bytes(data)
    assert store.damage("ingest") is None
    assert "damaged" in (store.damage("ingest", pages=True) or "")
    with pytest.raises(DamagedError, match=r"part-00000.*run 'detray ingest --output"):
        store.read_files(parts[:1], "images")
    Path(store.path(parts[7]["file"])).unlink()
    assert "part-00007.parquet: gone" in (store.damage("ingest") or "")
