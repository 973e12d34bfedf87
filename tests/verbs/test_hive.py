"""``hive``: the tables of several runs below one root, one partition a run, for each reader."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from detray import cli, schema
from detray.errors import DetrayError
from detray.store import Store, hive

BOXES = [[10 * i, 10, 30, 40] for i in range(6)]


def write(folder: Path) -> tuple[Path, Path]:
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i + 1, "image_id": 1 + i % 3, "category_id": 1 + i % 2, "bbox": box, "area": 1200, "iscrowd": 0}
            for i, box in enumerate(BOXES)
        ],
    }
    (folder / "gt.json").write_text(json.dumps(truth))
    return folder / "gt.json", folder / "dets.json"


def detect(path: Path, count: int) -> None:
    rows = [
        {"image_id": 1 + i % 3, "category_id": 1, "bbox": box, "score": 0.9 - i / 10} for i, box in enumerate(BOXES)
    ]
    path.write_text(json.dumps(rows[:count]))


def detray(verb: str, *files: Path, output: Path, root: Path | str) -> None:
    options = ["--serial", "--set", f"hive={root}", "--set", "evaluate.bootstrap=0"]
    assert cli.main([verb, *map(str, files), "--output", str(output), *options]) == 0


def by_every_reader(root: Path, stage: str, table: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a table of all runs, as each reader has them, in one order."""
    place = root / stage / table
    query = f"FROM read_parquet('{place}/*/*.parquet', hive_partitioning = true)"
    found = {
        "duckdb": duckdb.sql(query).to_arrow_table().to_pylist(),
        "polars": pl.scan_parquet(place, hive_partitioning=True).collect().to_dicts(),
        "arrow": ds.dataset(place, partitioning="hive").to_table().to_pylist(),
        "pandas": pa.Table.from_pandas(pd.read_parquet(place), preserve_index=False).to_pylist(),
    }
    return {
        reader: sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))
        for reader, rows in found.items()
    }


def expected(table: str, *outputs: Path) -> list[dict[str, Any]]:
    rows = [row for output in outputs for row in Store(str(output)).read(table).to_pylist()]
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def run_id(output: Path) -> str:
    return str(json.loads((output / "run.json").read_text())["run_id"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, ...]]:
    """A root, and the two output folders that were written to it."""
    place = tmp_path_factory.mktemp("hive")
    truth, detections = write(place)
    outputs = (place / "a", place / "b")
    for count, output in enumerate(outputs, start=4):
        detect(detections, count)
        detray("audit", truth, output=output, root=place / "hive")
        detray("diagnose", truth, detections, output=output, root=place / "hive")
    return place / "hive", outputs


@pytest.mark.parametrize("table", ["class_metrics", "matches", "predictions", "images", "diagnoses", "findings"])
def test_every_reader_sees_several_runs_as_one_table(runs: tuple[Path, tuple[Path, ...]], table: str) -> None:
    root, outputs = runs
    wanted = expected(table, *outputs)
    assert {row["run_id"] for row in wanted} == {run_id(output) for output in outputs}
    for reader, rows in by_every_reader(root, schema.TABLES[table].stage, table).items():
        assert [row | {"run_id": str(row["run_id"])} for row in rows] == [
            {name: row[name] for name in rows[0]} for row in wanted
        ], reader
        assert set(rows[0]) == set(wanted[0])
    (one,) = duckdb.sql(
        f"SELECT count(DISTINCT filename) FROM read_parquet('{root}/evaluate/matches/*/*.parquet',"
        f" hive_partitioning = true, filename = true) WHERE run_id = '{run_id(outputs[0])}'"
    ).fetchall()
    assert one == (1,)  # other runs are not opened


def test_a_stage_that_runs_again_takes_the_place_of_its_partition(tmp_path: Path) -> None:
    truth, detections = write(tmp_path)
    root, output = tmp_path / "hive", tmp_path / "a"
    for count in (6, 3):
        detect(detections, count)
        detray("evaluate", truth, detections, output=output, root=root)
        for rows in by_every_reader(root, "predict", "predictions").values():
            assert len(rows) == count
    (told,) = (root / "predict" / "_manifests").iterdir()
    content = json.loads(told.read_text())
    assert told.stem == content["run_id"] == run_id(output)
    assert content["tables"]["predictions"]["rows"] == 3
    assert all((root / file).is_file() for table in content["tables"].values() for file in table["files"])
    written = {file: file.stat().st_mtime_ns for file in root.rglob("*.parquet")}
    detray("evaluate", truth, detections, output=output, root=root)  # current: nothing is written
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*.parquet")} == written


def test_a_table_without_rows_can_be_read(tmp_path: Path) -> None:
    truth, detections = write(tmp_path)
    detect(detections, 0)
    detray("evaluate", truth, detections, output=tmp_path / "a", root=tmp_path / "hive")
    for reader, rows in by_every_reader(tmp_path / "hive", "predict", "predictions").items():
        assert rows == [], reader


def test_what_says_that_a_stage_is_there_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, detections = write(tmp_path)
    root, output = tmp_path / "hive", tmp_path / "a"
    detect(detections, 6)
    detray("evaluate", truth, detections, output=output, root=root)
    detect(detections, 3)
    assert cli.main(["evaluate", str(truth), str(detections), "--serial", "--output", str(output)]) == 0
    told = root / "evaluate" / "_manifests" / f"{run_id(output)}.json"
    whole, written = Store.write_bytes, []

    def failing(self: Store, data: bytes, *parts: str) -> None:
        if "confusion" in parts:
            raise DetrayError("the disk is full")
        written.append(parts)
        whole(self, data, *parts)

    assert told.is_file()
    monkeypatch.setattr(Store, "write_bytes", failing)
    with pytest.raises(DetrayError, match="the disk is full"):
        hive.export(Store(str(output)), "evaluate", str(root))
    assert written
    assert not told.exists()
    monkeypatch.undo()
    detray("evaluate", truth, detections, output=output, root=root)
    assert told.is_file()
    assert not list((root / "evaluate" / "_new").rglob("*.parquet"))
    for rows in by_every_reader(root, "evaluate", "class_metrics").values():
        assert len(rows) == 8


def test_in_an_object_store(tmp_path: Path) -> None:
    import s3

    truth, detections = write(tmp_path)
    detect(detections, 6)
    with s3.running() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        for output in ("a", "b"):
            detray("evaluate", truth, detections, output=tmp_path / output, root=f"s3://{s3.BUCKET}/hive")
        found = Store(f"s3://{s3.BUCKET}/hive")
        table = ds.dataset(found.path("evaluate", "matches"), partitioning="hive", filesystem=found.fs).to_table()
    assert table.num_rows == 2 * Store(str(tmp_path / "a")).read("matches").num_rows
    assert set(table["run_id"].to_pylist()) == {run_id(tmp_path / "a"), run_id(tmp_path / "b")}
