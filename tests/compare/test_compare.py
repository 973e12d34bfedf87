"""Two output folders side by side: exact figures, later less earlier, and a check that fails."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from defusedxml import ElementTree as ET

from detray import cli
from detray.store import Store

DOG = "dog|`<b>x</b>`"


def detray(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A, and B with other ids of images, four changed annotations and a model that misses dogs; both diagnosed."""
    place = tmp_path_factory.mktemp("compare")
    rng = random.Random(0)
    boxes = [(image, number) for image in range(1, 31) for number in (1, 2)]
    annotations = [
        {"id": n, "image_id": image, "category_id": number, "bbox": [10 * number, 10 + image, 30, 40], "area": 1200,
         "iscrowd": 0} for n, (image, number) in enumerate(boxes)
    ]  # fmt: skip
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in range(1, 31)]
    truth = {"images": images, "annotations": annotations}
    truth["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": DOG}]

    def detections(missed: float) -> list[dict[str, Any]]:
        kept = [row for row in annotations if row["category_id"] == 1 or rng.random() > missed]
        return [
            {key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": rng.random()} for row in kept
        ]

    later = json.loads(json.dumps(truth))
    later["annotations"][0]["bbox"][0] += 3
    later["annotations"][2]["category_id"] = 2
    del later["annotations"][5]
    later["annotations"].append(annotations[7] | {"id": 999, "bbox": [60, 60, 10, 10], "area": 100})
    files = {"gt_a": truth, "gt_b": later, "a": detections(0.1), "b": detections(0.85)}
    for row in [*later["images"], *later["annotations"], *files["b"]]:
        row["id" if "file_name" in row else "image_id"] += 1000
    files["a_on_b"] = [row | {"image_id": row["image_id"] + 1000} for row in files["a"]]
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content))
    for name in ("a", "b"):
        options = ("--serial", "--output", place / name.upper())
        assert detray("diagnose", place / f"gt_{name}.json", place / f"{name}.json", *options) == 0
        assert detray("audit", *options) == 0
    return place


def test_what_changed_is_later_less_earlier(folder: Path, tmp_path: Path) -> None:
    assert detray("compare", folder / "A", folder / "B", "--output", tmp_path) == 0
    store = Store(str(tmp_path))
    rows = {row["category_name"]: row for row in store.read("compared_classes").to_pylist()}
    assert (rows[DOG]["verdict"], rows["cat"]["verdict"]) == ("worse", "unclear")
    assert rows[DOG]["delta"] == pytest.approx(rows[DOG]["paired_later"] - rows[DOG]["paired_earlier"])
    assert rows[DOG]["delta"] < 0
    assert rows[None]["delta"] == pytest.approx((rows["cat"]["delta"] + rows[DOG]["delta"]) / 2)
    # the same figures as evaluating both models on the later annotations
    files = [folder / name for name in ("gt_b.json", "a_on_b.json")]
    assert detray("evaluate", *files, "--against", folder / "b.json", "--serial", "--output", tmp_path / "e") == 0
    comparisons = Store(str(tmp_path / "e")).read("comparisons").to_pylist()
    assert {row["category_name"] for row in comparisons} == {"cat", DOG}
    for row in comparisons:
        found = rows[row["category_name"]]
        figures = {"paired_earlier": "ap_a", "paired_later": "ap_b", "delta": "delta", "delta_low": "delta_low"}
        assert {ours: found[ours] for ours in figures} == {ours: row[theirs] for ours, theirs in figures.items()}
    changed = Counter(row["change"] for row in store.read("compared_annotations").to_pylist())
    assert changed == {"added": 1, "removed": 1, "moved": 1, "relabelled": 1}
    causes = store.read("compared_causes").to_pylist()
    assert {(row["category_name"], row["change"]) for row in causes} >= {(DOG, "new")}
    keys = {row["key"] for row in store.read("compared_settings").to_pylist()}
    assert "detector.path" in keys
    assert "evaluate.bootstrap" not in keys


def test_the_other_way_round_every_difference_has_the_other_sign(folder: Path, tmp_path: Path) -> None:
    for name, order in (("ab", ("A", "B")), ("ba", ("B", "A"))):
        assert detray("compare", *(folder / one for one in order), "--output", tmp_path / name) == 0
    there, back = (
        {row["rule"]: row["delta"] for row in Store(str(tmp_path / name)).read("compared_findings").to_pylist()}
        for name in ("ab", "ba")
    )
    assert back == {rule: -delta for rule, delta in there.items()}
    assert any(there.values())
    rows = {row["category_name"]: row for row in Store(str(tmp_path / "ba")).read("compared_classes").to_pylist()}
    assert rows[DOG]["verdict"] == "better"


def test_a_check_fails_where_a_class_is_worse(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate = ("--baseline", folder / "A", "--fail-if-worse", ".01")
    assert detray("compare", folder / "B", *gate, "--output", tmp_path, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_code"] == 1
    assert sum(line.startswith("worse than may be") for line in answer["notes"]) == 2
    suite = ET.fromstring((tmp_path / "compare" / "junit.xml").read_bytes())
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["val: mean over classes", f"val: {DOG}"]
    summary = (tmp_path / "compare" / "summary.md").read_text()
    assert "**2 of 3** are worse by more than 0.01" in summary
    assert "<b>" not in summary
    page = (tmp_path / "compare" / "index.html").read_text()
    assert "0 classes better, 1 worse, 4 annotations changed" in page
    assert "1 annotation moved" in page
    assert "<b>" not in page
    for baseline, allowed in (("B", ".01"), ("A", "0")):
        gate = ("--baseline", folder / baseline, "--fail-if-worse", allowed)
        assert detray("compare", folder / "A", *gate, "--output", tmp_path) == 0


def test_a_folder_and_itself_differ_in_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detray("compare", folder / "B", folder / "B", "--output", tmp_path, "--json") == 0
    shown = {table["title"]: table["rows"] for table in json.loads(capsys.readouterr().out)["tables"]}
    assert shown["What else differs"] == [[name, 0] for name in ("causes", "findings", "settings", "annotations")]
    store = Store(str(tmp_path))
    assert store.read("compared_causes").num_rows
    assert store.read("compared_findings").num_rows


def test_without_shared_images_each_folder_speaks_for_itself(folder: Path, tmp_path: Path) -> None:
    truth = json.loads((folder / "gt_a.json").read_text())
    for image in truth["images"]:
        image["file_name"] = f"other-{image['file_name']}"
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    options = ("--serial", "--output", tmp_path / "other")
    assert detray("evaluate", tmp_path / "gt.json", folder / "a.json", *options) == 0
    assert detray("compare", folder / "B", tmp_path / "other", "--output", tmp_path / "c") == 0
    rows = Store(str(tmp_path / "c")).read("compared_classes").to_pylist()
    assert {row["category_name"] for row in rows} == {"cat", DOG, None}
    for row in rows:
        assert row["delta"] == pytest.approx(row["ap_later"] - row["ap_earlier"])
        assert (row["paired_later"], row["delta_low"], row["verdict"]) == (None, None, None)


def test_a_check_with_nothing_to_judge_does_not_pass(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--serial", "--output", tmp_path / "audited")
    assert detray("audit", folder / "gt_a.json", *options) == 0
    command = ("compare", folder / "A", tmp_path / "audited", "--output", tmp_path / "c")
    assert detray(*command) == 0
    assert detray(*command, "--fail-if-worse", ".01") == 2
    assert "no class has an AP in both" in capsys.readouterr().err


def test_what_is_no_folder_of_results_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detray("compare", folder / "A", tmp_path / "none") == 2
    assert "no results of detray are there" in capsys.readouterr().err
    assert detray("compare", folder / "A") == 2
    assert "two output folders or more" in capsys.readouterr().err
