"""The terminal says what was found and what to do, the worst first, and what to do next at last."""

import json
from pathlib import Path
from typing import Any

import pytest

from detray import cli
from detray.schema import SEVERITIES


def _file(path: Path, annotations: list[dict[str, Any]], n_classes: int = 2) -> str:
    boxes = [{"image_id": 1 + k % 4, "category_id": 1 + k % n_classes, "bbox": [5 + k, 5, 20, 30]} | a
             for k, a in enumerate(annotations)]  # fmt: skip
    found = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "width": 200, "height": 100} for k in range(1, 5)],
        "categories": [{"id": k, "name": f"kind{k}"} for k in range(1, n_classes + 1)],
        "annotations": [
            {"id": k, "area": a["bbox"][2] * a["bbox"][3], "iscrowd": 0} | a for k, a in enumerate(boxes, 1)
        ],
    }
    path.write_text(json.dumps(found))
    return str(path)


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert cli.main([*arguments, "--serial"]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_fault_is_a_sentence_with_fix_and_example_the_worst_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [{"bbox": [5, 5, 0, 30]}] * 12 + [{"category_id": 9}] * 3 + [{}] * 20
    lines = _printed(capsys, "audit", _file(tmp_path / "gt.json", many), "--output", str(tmp_path / "out"))
    said = [line for line in lines if line.partition(":")[0] in SEVERITIES]
    levels = [SEVERITIES.index(line.partition(":")[0]) for line in said]
    assert levels == sorted(levels, reverse=True)
    assert min(levels) >= SEVERITIES.index("warning")
    place = next(k for k, line in enumerate(lines) if line.startswith("error: 12 boxes"))
    assert lines[place] == "error: 12 boxes in split val: the box has no area [degenerate-box]"
    assert lines[place + 1] == "    fix: draw the box again, or drop the annotation"
    assert lines[place + 2] == "    example: 1.jpg, row 0 of gt.json"
    assert any("12.jpg" not in line and "row 12 of gt.json" in line for line in lines)  # a fault of few rows
    assert lines[-2].startswith("results: ")
    first_fix = lines[lines.index(said[0]) + 1].removeprefix("    fix: ")
    rule = said[0].rpartition("[")[2].removesuffix("]")
    step = f"next: {first_fix} ({rule}); then run the same command again, which tells what is left"
    out = tmp_path / "out"
    copy = f"detray clean --output {out} writes a copy in which degenerate-box is mended where that is certain"
    assert lines[-1] == f"{step}; {copy}"
    assert cli.main(["clean", "--output", str(out), "--serial"]) == 0
    copy = str(out / "clean" / "data" / "gt.json")
    found = _printed(capsys, "audit", copy, "--output", str(tmp_path / "again"))
    assert not any("degenerate-box" in line for line in found)


def test_of_many_faults_the_rest_is_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"category_id": k, "bbox": [5 + k, 5, 20, 30]} for k in range(1, 16) for _ in range(4)
    ]
    rows += [{"bbox": [5, 5, 0, 30]}, {"category_id": 99}, {"image_id": 99}, {"bbox": [5, 5, -20, 30]}]
    rows += [{"id": 1}, {"bbox": [500, 5, 20, 30]}, {"bbox": [190, 5, 20, 30]}, {"area": 1}, {"category_id": "x"}]
    lines = _printed(
        capsys, "audit", _file(tmp_path / "gt.json", [{}] * 9 + rows, 20), "--output", str(tmp_path / "out")
    )
    said = [line for line in lines if line.partition(":")[0] in SEVERITIES]
    assert len(said) == 8
    [rest] = [line for line in lines if line.startswith("and ")]
    assert "more of warning or above, in audit/findings: " in rest


def test_where_nothing_is_found_the_last_line_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disabled = ["few-examples", "duplicate-box", "near-duplicate-box", "imbalance", "same-box-two-classes"]
    gt = _file(tmp_path / "gt.json", [{}] * 8, 1)
    lines = _printed(capsys, "audit", gt, "--set", f"audit.disable={disabled}", "--output", str(tmp_path / "out"))
    assert not [line for line in lines if line.partition(":")[0] in SEVERITIES[2:]]
    assert lines[-1].startswith("next: nothing of severity warning or above was found: ")


def test_diagnose_prints_the_remedy_under_each_cause_and_the_one_that_helps_most_at_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gt = _file(tmp_path / "gt.json", [{}] * 40)
    found = json.loads(Path(gt).read_text())["annotations"]
    dt = tmp_path / "dt.json"
    dt.write_text(json.dumps([
        {"image_id": a["image_id"], "category_id": 3 - a["category_id"], "bbox": a["bbox"], "score": 0.9} for a in found
    ]))  # fmt: skip
    lines = _printed(capsys, "diagnose", gt, str(dt), "--output", str(tmp_path / "out"))
    sentences = [k for k, line in enumerate(lines) if line.startswith(("kind1, 1: ", "kind2, 1: "))]
    assert len(sentences) == 2
    for k in sentences:
        assert "are covered by detections labelled" in lines[k]
        assert lines[k + 1].startswith("    do: Map the class ids of the detections as written out here")
    assert lines[-1].startswith("next: for kind")
    assert "Map the class ids of the detections" in lines[-1]
    assert _printed(capsys, "evaluate", gt, str(dt), "--output", str(tmp_path / "out"))[-1].startswith(
        f"next: detray diagnose --output {tmp_path / 'out'}: "
    )


def test_a_figure_of_another_tool_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = _file(tmp_path / "gt.json", [{}] * 8)
    boxes = json.loads(Path(truth).read_text())["annotations"]
    found = [{key: box[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for box in boxes[1:]]
    (tmp_path / "dets.json").write_text(json.dumps(found))
    (tmp_path / "log.txt").write_text("INFO:tensorflow:\t+ PascalBoxes_PerformanceByCategory/AP@0.5IOU/kind1: 0.2\n")
    arguments = ("--expect", "AP50/kind2=100", "--expect", "mAP=0.99", "--expect-file", str(tmp_path / "log.txt"))
    files = (truth, str(tmp_path / "dets.json"), "--output", str(tmp_path / "out"))
    lines = _printed(capsys, "evaluate", *files, *arguments)
    assert "AP50/kind2=1.000: val gives 1.000, the same" in lines
    assert any(line.startswith("mAP=0.990: val gives 0.87") for line in lines)
    assert any(line.startswith("AP50/kind1=0.200: val gives 0.75") for line in lines)
    capsys.readouterr()
    assert cli.main(["evaluate", *files, "--serial", "--expect", "F1=0.3"]) == 2
    assert "no number is called so; there are AP, AP50" in capsys.readouterr().err
