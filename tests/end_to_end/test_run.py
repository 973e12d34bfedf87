"""The whole main job on small drawn pictures: every stage, with Ray and without, to the same tables."""

import contextlib
import io
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detray import cli, schema
from detray.demo.draw import draw_dataset
from detray.demo.shapes import RARE
from detray.verbs import catalogue
from detray.verbs.engine import Engine

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SETTINGS = [
    *("name=small", "detector.input_height=96", "detector.input_width=96", "train.epochs=2", "evaluate.bootstrap=20"),
    *(f"diagnose.classes=[{RARE}]", f"tune.focus=[{RARE}]", "tune.scheduler=none"),
    *("tune.trials=2", "tune.proof_seeds=2"),
]
CLOCKS = {
    "history": ["seconds"],
    "trials": ["seconds", "epoch_seconds", "gpu_seconds", "cost_share"],
    "trial_class_metrics": ["seconds"],
}
"""Columns that hold time, which no two runs share."""


def run(root: Path, output: Path, *options: str) -> dict:
    splits = {
        s: {"format": "coco", "annotations": f"annotations/{s}.json", "images": f"images/{s}"} for s in ("train", "val")
    }
    settings = [*SETTINGS, f"dataset.splits={json.dumps(splits)}", f"dataset.root={root}"]
    config = output.parent / "small.yaml"
    config.write_text("name: small\n")
    arguments = ["run", "--config", str(config), "--output", str(output), "--json", *options]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        code = cli.main([*arguments, *(part for value in settings for part in ("--set", value))])
    assert code == 0
    return json.loads(shown.getvalue())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a run without Ray and of one on a local Ray."""
    folder = tmp_path_factory.mktemp("run")
    draw_dataset(folder / "data", train=24, val=12, test=0)
    outputs = {"serial": folder / "serial", "ray": folder / "ray"}
    summary = run(folder / "data", outputs["serial"], "--serial")
    asked = [name for name in catalogue.STAGES if name not in ("folds", "split")]
    assert [stage["stage"] for stage in summary["stages"]] == asked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_pays", lambda engine, work: True)  # so little would stay in this process
        run(folder / "data", outputs["ray"])
    return outputs


def written(output: Path) -> dict[str, Path]:
    """Every table of a run and its folder."""
    return {
        f"{manifest['stage']}/{table}": path.parent / table
        for path in sorted(output.glob("*/manifest.json"))
        for manifest in [json.loads(path.read_text())]
        for table in manifest["tables"]
    }


def test_every_stage_writes_the_tables_it_is_for(runs: dict[str, Path]) -> None:
    tables = written(runs["serial"])
    stages = {table.stage for table in schema.TABLES.values()} - {"", "compare", "split"}  # commands of their own
    expected = {f"{table.stage}/{table.name}" for table in schema.TABLES.values() if table.stage in stages}
    assert expected <= set(tables)
    assert (runs["serial"] / "report" / "index.html").is_file()
    assert (runs["serial"] / "train" / "model" / "model.keras").is_file()
    assert (runs["serial"] / "tune" / "best" / "config.yaml").is_file()
    assert not list(runs["serial"].glob("*/_partial"))


def test_the_manifest_lists_every_part_with_its_rows(runs: dict[str, Path]) -> None:
    for path in runs["ray"].glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        assert manifest["cluster"]["executor"] == "RayExecutor"
        for table in manifest["tables"].values():
            for part in table["files"]:
                assert pq.ParquetFile(runs["ray"] / part["file"]).metadata.num_rows == part["rows"]


def test_each_stage_names_the_command_that_goes_on(runs: dict[str, Path]) -> None:
    output = runs["serial"]
    then = {path.parent.name: json.loads(path.read_text())["next_step"] for path in output.glob("*/manifest.json")}
    assert then["ingest"].startswith(f"detray audit --output {output}: ")
    for stage in ("train", "predict", "evaluate"):
        assert then[stage].startswith(f"detray diagnose --output {output}: ")
    assert f"; detray tune --output {output} searches" in then["diagnose"]
    assert then["report"] == f"open {output}/report/index.html in a browser"


def test_duckdb_polars_and_pandas_read_every_table_as_it_is(runs: dict[str, Path]) -> None:
    for key, folder in written(runs["ray"]).items():
        rows = pq.read_table(folder).num_rows
        parts = f"{folder}/*.parquet"
        assert duckdb.sql(f"SELECT count(*) FROM '{parts}'").fetchall() == [(rows,)], key
        assert pl.read_parquet(parts).height == rows, key
        assert len(pd.read_parquet(folder)) == rows, key


def test_with_and_without_ray_the_tables_are_the_same(runs: dict[str, Path]) -> None:
    serial, distributed = written(runs["serial"]), written(runs["ray"])
    assert serial.keys() == distributed.keys()
    for key in serial:
        table = key.split("/")[1]
        ours, theirs = (
            comparable(folder[key], table, runs[name]) for name, folder in (("serial", serial), ("ray", distributed))
        )
        assert ours.equals(theirs), key


def comparable(folder: Path, table: str, output: Path) -> pa.Table:
    """A table without what differs between any two runs: clocks, the run's id, and the folder's own name."""
    rows = pq.read_table(folder)
    rows = rows.drop_columns([name for name in ("run_id", *CLOCKS.get(table, [])) if name in rows.column_names])
    order = [(name, "ascending") for name in rows.column_names if not pa.types.is_nested(rows.schema.field(name).type)]
    return rows.sort_by(order) if rows.num_rows else rows


def test_the_winner_runs_from_its_own_configuration(runs: dict[str, Path], tmp_path: Path) -> None:
    best = runs["serial"] / "tune" / "best" / "config.yaml"
    assert cli.main(["evaluate", "--config", str(best), "--output", str(tmp_path / "best"), "--serial"]) == 0
    assert not (tmp_path / "best" / "train").exists()
    assert pq.read_table(tmp_path / "best" / "evaluate" / "class_metrics").num_rows > 0


def test_a_second_run_does_nothing(runs: dict[str, Path]) -> None:
    summary = run(runs["serial"].parent / "data", runs["serial"], "--serial")
    assert {stage["status"] for stage in summary["stages"]} == {"current"}
