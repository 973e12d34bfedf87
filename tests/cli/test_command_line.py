"""The command line as people use it: help, errors in a sentence, exit codes, summaries."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detray import cli, schema
from detray.arguments import VERBS


@pytest.fixture
def document() -> dict:
    """Two pictures, one class, three boxes; the second box has no width."""
    boxes = [[10, 10, 30, 40], [50, 20, 0, 10], [60, 60, 20, 20]]
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i + 1, "image_id": 1 + i // 2, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, box in enumerate(boxes)
        ],
    }


@pytest.fixture
def truth(tmp_path: Path, document: dict) -> Path:
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    path = tmp_path / "dets.json"
    rows = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 40], "score": 0.9}]
    path.write_text(json.dumps(rows))
    return path


def detray(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\nfrom detray import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): cli.main(['--help'])\n"
        "print([name for name in ('numpy', 'pyarrow', 'msgspec', 'ray', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", [*VERBS, "demo", "init", "schema"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        detray(verb, "--help")
    assert caught.value.code == 0
    assert "usage: detray " + verb in capsys.readouterr().out


def test_an_audit_of_a_plain_file(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detray("audit", truth, "--serial", "--output", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "degenerate-box" in shown
    assert "pictures not checked" in shown


@pytest.mark.parametrize(("severity", "code"), [("error", 1), ("3", 1), ("fatal", 0), (None, 0)])
def test_fail_on_a_severity(truth: Path, tmp_path: Path, severity: str | None, code: int) -> None:
    options = ["--fail-on", severity] if severity else []
    assert detray("audit", truth, "--serial", "--output", tmp_path / "out", *options) == code


def test_json_is_all_that_stands_on_standard_output(
    truth: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detray("evaluate", truth, detections, "--serial", "--json", "--output", tmp_path / "out") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["verb"] == "evaluate"
    assert [stage["stage"] for stage in answer["stages"]] == ["ingest", "predict", "evaluate"]
    assert all(stage["status"] == "done" for stage in answer["stages"])


def test_a_second_run_does_nothing_and_force_does_it_again(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def statuses(*options: str) -> dict[str, str]:
        assert detray("audit", truth, "--serial", "--json", "--output", tmp_path / "out", *options) == 0
        return {stage["stage"]: stage["status"] for stage in json.loads(capsys.readouterr().out)["stages"]}

    assert statuses() == {"ingest": "done", "audit": "done"}
    assert statuses() == {"ingest": "current", "audit": "current"}
    assert statuses("--force") == {"ingest": "current", "audit": "done"}
    assert statuses("--set", "audit.disable=[imbalance]") == {"ingest": "current", "audit": "done"}
    document = json.loads(truth.read_text())
    document["annotations"].pop()
    truth.write_text(json.dumps(document))
    assert statuses("--set", "audit.disable=[imbalance]") == {"ingest": "done", "audit": "done"}


def test_earlier_stages_that_stand_take_a_line_each(
    truth: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> str:
        assert detray("evaluate", truth, detections, "--serial", "--output", tmp_path / "out") == 0
        return capsys.readouterr().out

    assert "\nsplits\n" in shown()
    again = shown()
    assert [line.split(",")[0] for line in again.splitlines() if line.startswith("== ")] == [
        "== ingest: current",
        "== predict: current",
        "== evaluate: current",
    ]
    assert again.startswith("== ingest")
    assert "\nsplits\n" not in again
    assert "COCO numbers" in again


def test_long_tables_of_stages_on_the_way_are_left_to_their_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = [{"id": number, "name": f"class {number}"} for number in range(1, 15)]
    boxes = [
        {"id": entry["id"], "image_id": 1, "category_id": entry["id"], "bbox": [9, 9, 9, 9], "area": 81, "iscrowd": 0}
        for entry in classes
    ]
    truth, detections = tmp_path / "gt.json", tmp_path / "dt.json"
    images = [{"id": 1, "file_name": "a.jpg", "width": 99, "height": 99}]
    truth.write_text(json.dumps({"images": images, "categories": classes, "annotations": boxes}))
    detections.write_text(json.dumps([box | {"score": 0.9} for box in boxes]))
    places = (truth, detections, "--serial", "--output", tmp_path / "out")
    assert detray("diagnose", *places) == 0
    shown = capsys.readouterr().out
    assert "14 rows, which detray evaluate shows" in shown
    assert "COCO numbers\n" in shown
    assert "\nclass 14 " not in shown
    assert detray("evaluate", *places) == 0
    assert "\nclass 14 " in capsys.readouterr().out


def test_a_folder_is_asked_about_where_two_data_sets_fit(
    document: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B"):
        (tmp_path / "kits" / name).mkdir(parents=True)
        (tmp_path / "kits" / name / "labels.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    assert detray("audit", "kits", "--serial") == 2
    *_, first, second = capsys.readouterr().err.splitlines()
    assert [first, second] == [f"  detray audit kits/{name}  # coco: val in {name}/labels.json" for name in "AB"]
    assert detray("audit", "kits/A", "--serial") == 0
    assert "kits/A: took coco: val from labels.json, pictures not found" in capsys.readouterr().err


def test_a_verb_goes_on_from_the_folder_of_an_earlier_run(truth: Path, tmp_path: Path) -> None:
    assert detray("ingest", truth, "--serial", "--output", tmp_path / "out") == 0
    assert detray("audit", "--serial", "--output", tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["audit", "nowhere.json"], 2, ["nowhere.json", "check the path"]),
        (["evaluate", "{truth}", "nowhere.json"], 2, ["nowhere.json"]),
        (["audit"], 2, ["--config"]),
        (["evaluate", "{truth}"], 2, ["detections"]),
        (["evaluate", "{detections}", "{truth}"], 2, ["ground truth, then detections"]),
        (["audit", "{truth}", "--set", "audit.rulez={}"], 2, ["audit.rulez", "rules"]),
        (["audit", "{truth}", "--set", "audit.rules={tiny-bx: {}}"], 2, ["tiny-bx"]),
        (["audit", "{truth}", "--config", "x.yaml"], 2, ["x.yaml"]),
        (["run", "--config", "nowhere.yaml"], 2, ["nowhere.yaml"]),
        (["audit", "{cut}"], 3, ["cut.json"]),
        (["audit", "{text}"], None, ["text.json"]),
        (["audit", "{truth}", "--images", "{folder}/none"], 2, ["none"]),
        (["evaluate", "{truth}", "{cut_detections}"], 3, ["cut_dets.json"]),
        (["evaluate", "{truth}", "{strange}"], 3, ["image"]),
        (["schema", "tabel"], 2, ["tabel", "findings"]),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_stage(
    arguments: list[str],
    code: int | None,
    words: list[str],
    truth: Path,
    detections: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cut.json").write_text(truth.read_text()[: len(truth.read_text()) // 2])
    (tmp_path / "text.json").write_text("this is not JSON")
    (tmp_path / "cut_dets.json").write_text(detections.read_text()[:-9])
    (tmp_path / "strange.json").write_text(detections.read_text().replace('"image_id": 1', '"image_id": 77'))
    places = {
        "truth": truth,
        "detections": detections,
        "cut": tmp_path / "cut.json",
        "text": tmp_path / "text.json",
        "cut_detections": tmp_path / "cut_dets.json",
        "strange": tmp_path / "strange.json",
        "folder": tmp_path,
    }
    given = [
        argument.format(**places) if argument.startswith("{") and argument != "{}" else argument
        for argument in arguments
    ]
    options = ["--serial", "--output", str(tmp_path / "out")] if given[0] != "schema" else []
    ended = detray(*given, *options)
    assert ended == code if code is not None else ended in (2, 3)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("detray: ")
    for word in words:
        assert word in error
    failed = given[0] if given[0] != "run" else "ingest"
    assert not (tmp_path / "out" / failed / "manifest.json").exists()


def test_a_run_on_plain_files_goes_from_ground_truth_and_detections_to_the_page(
    truth: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detray("run", truth, detections, "--serial", "--json", "--output", tmp_path / "out") == 0
    answer = json.loads(capsys.readouterr().out)
    stages = ["ingest", "audit", "predict", "evaluate", "diagnose", "clean", "report"]
    assert [stage["stage"] for stage in answer["stages"]] == stages
    assert (tmp_path / "out" / "report" / "index.html").is_file()


@pytest.mark.parametrize("verb", ["audit", "evaluate"])
def test_an_empty_data_set_is_said(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    dets = tmp_path / "dets.json"
    dets.write_text("[]")
    files = [path, dets] if verb == "evaluate" else [path]
    assert detray(verb, *files, "--serial", "--output", tmp_path / "out") == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert "empty.json" in error
    assert "empty" in error


def test_no_detections_at_all_is_an_ap_of_zero(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dets = tmp_path / "none.json"
    dets.write_text("[]")
    assert detray("diagnose", truth, dets, "--serial", "--json", "--output", tmp_path / "out") == 0
    stages = {stage["stage"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert "no_detections" in json.dumps(stages["diagnose"]["tables"])


def test_schema_prints_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert detray("schema") == 0
    shown = capsys.readouterr().out
    assert all(f"## {name}\n" in shown for name in schema.TABLES)
    assert detray("schema", "findings", "--json") == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert [column["name"] for column in table["columns"]] == schema.schema("findings").names
