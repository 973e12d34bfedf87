"""Results of different inputs never mix, and say which run they are of."""

import dataclasses
import json
import shlex
import socket
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from detray import cli, schema
from detray.store import Store
from detray.verbs import catalogue
from detray.verbs.base import StageDefinition


def data(folder: Path, name: str = "gt.json", count: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 64, "height": 64} for k in range(1, count + 1)]
    boxes = [{"id": k, "image_id": k, "category_id": 1, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
             for k in range(1, count + 1)]  # fmt: skip
    lists = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    (folder / name).write_text(json.dumps(lists))
    return folder / name


def detections(path: Path) -> Path:
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 20], "score": 0.9}]))
    return path


def detray(*arguments: object) -> int:
    return cli.main([*map(str, arguments), "--serial"])


def test_two_files_of_one_name_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = data(tmp_path / "a"), data(tmp_path / "b", count=2)
    for _ in range(2):  # in whatever order, and again
        assert detray("audit", first) == 0
        assert detray("audit", second) == 0
    folders = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert folders[0] == "gt"
    assert len(folders) == 2
    assert [Store(f"out/{name}").read("images").num_rows for name in folders] == [1, 2]
    assert f"out/gt holds the results of {first}; these go to out/{folders[1]}" in capsys.readouterr().err


def test_two_detections_of_one_data_set_have_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    truth = data(tmp_path / "a")
    assert detray("audit", truth) == 0
    for name in ("one.json", "two.json", "one.json"):
        assert detray("predict", truth, detections(tmp_path / name)) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_stated_folder_of_another_data_set_is_refused_with_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = data(tmp_path / "a"), data(tmp_path / "my b", count=2), tmp_path / "out"
    assert detray("audit", first, "--output", out) == 0
    assert detray("ingest", second, "--output", out) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    command = error.partition("to replace them: ")[2]
    assert f"holds the results of {first}, another data set" in error
    assert Store(str(out)).read("images").num_rows == 1
    assert shlex.split(command) == ["detray", "ingest", str(second), "--output", str(out), "--serial", "--overwrite"]
    before = json.loads((out / "run.json").read_text())["run_id"]
    assert cli.main(shlex.split(command)[1:]) == 0
    assert Store(str(out)).read("images").num_rows == 2
    assert Store(str(out)).manifest("audit") is None
    assert json.loads((out / "run.json").read_text())["run_id"] != before


def test_the_same_data_set_goes_on_in_its_folder(tmp_path: Path) -> None:
    first, out = data(tmp_path / "a"), tmp_path / "out"
    assert detray("audit", first, "--output", out) == 0
    data(tmp_path / "a", count=3)
    assert detray("audit", first, "--output", out) == 0
    assert detray("audit", first, "--train", data(tmp_path / "c"), "--output", out) == 0
    assert Store(str(out)).read("images").num_rows == 4


def test_every_table_says_which_run_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        truth = data(tmp_path / name, f"{name}.json")
        assert detray("run", truth, detections(tmp_path / "dets.json")) == 0
    ids = {name: json.loads((tmp_path / "out" / name / "run.json").read_text())["run_id"] for name in "ab"}
    assert ids["a"] != ids["b"]
    for table in schema.TABLES.values():
        files = sorted(tmp_path.glob(f"out/*/{table.stage}/{table.name}/*.parquet"))
        if files:
            found = ds.dataset(files).to_table(columns=["run_id"])
            assert set(found["run_id"].to_pylist()) <= set(ids.values()), table.name
            assert not found["run_id"].null_count
    counted = ds.dataset(sorted(tmp_path.glob("out/*/evaluate/class_metrics/*.parquet"))).to_table()
    assert set(zip(counted["run"].to_pylist(), counted["run_id"].to_pylist(), strict=True)) == set(ids.items())


def test_the_manifest_says_when_where_and_by_what_command(tmp_path: Path) -> None:
    truth, out = data(tmp_path / "my a"), tmp_path / "out"
    assert detray("ingest", truth, "--output", out) == 0
    manifest = json.loads((out / "ingest" / "manifest.json").read_text())
    assert manifest["run_id"] == json.loads((out / "run.json").read_text())["run_id"]
    assert shlex.split(manifest["command"]) == ["detray", "ingest", str(truth), "--output", str(out), "--serial"]
    assert manifest["host"] == socket.gethostname()
    assert manifest["created"][:2] == "20"


@pytest.mark.parametrize("name", schema.TABLES)
def test_every_table_has_the_column(name: str) -> None:
    assert schema.schema(name).names[:2] == ["run", "run_id"]


def test_an_interrupt_leaves_the_summaries_of_what_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` has told the AP before the diagnosis begins."""
    usual = catalogue.definition
    told: list[str] = []

    def interrupted(context: object, flow: object) -> None:
        told.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    def definition(name: str) -> StageDefinition:
        found = usual(name)
        return dataclasses.replace(found, run=interrupted) if name == "diagnose" else found

    monkeypatch.setattr(catalogue, "definition", definition)
    truth, dets = data(tmp_path / "a"), detections(tmp_path / "dets.json")
    assert detray("run", truth, dets, "--output", tmp_path / "out") == 130
    (shown,) = told
    assert "== audit: done" in shown
    assert "AP50" in shown.partition("== evaluate: done")[2]
