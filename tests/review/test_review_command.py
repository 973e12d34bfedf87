"""`detray review` as a person runs it: from files to a tool, back, and audited again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from people import PEOPLE, find
from PIL import Image

from detray import cli
from detray.store import Store

BOXES = [
    (1, 1, [4, 4, 20, 20]),
    (1, 1, [4, 4, 20, 20]),  # twice the same
    (2, 1, [50, 10, 40, 20]),  # out of a picture of 64 by 48
    (2, 2, [10, 10, 12, 12]),
    (2, 1, [10, 10, 12, 12]),  # and of two classes
    (3, 2, [5, 5, 0, 30]),  # no tool can show it
    (3, 2, [5, 5, 20, 30]),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with an audit, of pictures that are there."""
    data = tmp_path_factory.mktemp("data")
    (data / "pictures").mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (64, 48), (60 * number, 90, 200)).save(data / "pictures" / f"{number}.png")
    coco = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 64, "height": 48} for n in (1, 2, 3)],
        "annotations": [
            {"id": n, "image_id": image, "category_id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for n, (image, number, box) in enumerate(BOXES, 1)
        ],
        "categories": [{"id": 1, "name": "<b>cat</b> & \"co\""}, {"id": 2, "name": "dog"}],
    }  # fmt: skip
    (data / "gt.json").write_text(json.dumps(coco))
    detray("audit", str(data / "gt.json"), "--images", str(data / "pictures"), "--output", str(data / "out"))
    return data / "out"


def detray(verb: str, *arguments: str) -> None:
    assert cli.main([verb, *arguments, *([] if verb == "review" else ["--serial"])]) == 0


def rules(output: Path) -> set[str]:
    return set(Store(str(output)).read("findings")["rule"].to_pylist())


@pytest.mark.parametrize("tool", PEOPLE)
def test_what_is_accepted_is_gone_when_it_is_audited_again(tool: str, out: Path, tmp_path: Path) -> None:
    assert {"duplicate-box", "out-of-bounds", "same-box-two-classes"} <= rules(out)
    detray("review", str(out), "--to", tool, "--into", str(tmp_path / "in"))
    person = PEOPLE[tool](tmp_path / "in")
    for kind in ("duplicate-box", "same-box-two-classes"):
        (key,) = find(person, suspect=kind)
        person.say(key, "accept")
    (key,) = find(person, suspect="out-of-bounds")
    person.say(key, "reject")
    file = person.save(tmp_path / "saved")
    detray("clean", "--output", str(out), "--decisions", file, "--set", "clean.actions=[]")
    edits = Store(str(out)).read("edits").to_pylist()
    assert [(row["annotation_row"], row["action"]) for row in edits] == [(1, "drop"), (4, "drop")]
    (fixed,) = (out / "clean" / "data").rglob("*.json")
    detray("audit", str(fixed), "--output", str(tmp_path / "again"))
    assert rules(out) - rules(tmp_path / "again") >= {"duplicate-box", "same-box-two-classes"}
    assert "out-of-bounds" in rules(tmp_path / "again")


def test_what_is_said(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    detray("review", str(out), "--to", "coco", "--json")
    answer = json.loads(capsys.readouterr().out)
    facts = answer["facts"]
    assert (facts["pictures"], facts["boxes"]) == (3, 6)
    assert facts["left_out"] == {
        "boxes without an area in their picture": 1,
        "asked about such boxes: see report/review.html": 1,
    }
    assert Path(facts["folder"]) == out / "review" / "coco"
    assert any("detray clean --output" in note for note in answer["notes"])
    detray("review", str(out), "--to", "coco", "--json")  # the same results: the same export
    assert json.loads(capsys.readouterr().out)["facts"] == facts


def test_pictures_that_cannot_be_opened_are_left_out(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(out.parent / "pictures", tmp_path / "pictures")
    (tmp_path / "pictures" / "2.png").unlink()
    (tmp_path / "pictures" / "3.png").write_bytes(b"no picture")
    where = ["--images", str(tmp_path / "pictures"), "--output", str(tmp_path / "out")]
    detray("audit", str(out.parent / "gt.json"), *where)
    capsys.readouterr()
    for more, pictures in ([], 1), (["--pictures", "https://host/"], 3):
        detray("review", str(tmp_path / "out"), "--to", "cvat", "--json", *more)
        facts = json.loads(capsys.readouterr().out)["facts"]
        assert facts["pictures"] == pictures
        assert facts["left_out"].get("pictures that are missing or damaged", 0) == 3 - pictures


def test_most_and_all(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    counts: dict[str, Any] = {}
    for name, more in {"one": ["--most", "1"], "all": ["--most", "1", "--all"]}.items():
        detray("review", str(out), "--to", "cvat", "--into", str(tmp_path / name), "--json", *more)
        counts[name] = json.loads(capsys.readouterr().out)["facts"]
    assert (counts["one"]["pictures"], counts["all"]["pictures"]) == (1, 3)
    assert (tmp_path / "all" / "val.txt").read_text() == "1.png\n2.png\n3.png\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--to", "paint"], "--to paint: no such tool; known: fiftyone, label-studio, cvat, coco"),
        (["--to", "cvat", "--most", "0"], "--most: a number from 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], why: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["review", str(out), *arguments]) == 2
    assert why in capsys.readouterr().err


def test_a_folder_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["review", str(tmp_path), "--to", "cvat"]) == 2
    assert "no results of detray; run detray audit" in capsys.readouterr().err


def test_pictures_that_are_nowhere(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = out.parent / "gt.json"
    detray("audit", str(data), "--output", str(tmp_path / "out"))
    for tool in ("fiftyone", "label-studio"):
        assert cli.main(["review", str(tmp_path / "out"), "--to", tool]) == 2
        assert "opens pictures, and no image folder is known: state --pictures PREFIX" in capsys.readouterr().err
        detray("review", str(tmp_path / "out"), "--to", tool, "--pictures", "https://host/a b/")
    detray("review", str(tmp_path / "out"), "--to", "coco")
    (task, *_) = json.loads((tmp_path / "out" / "review" / "label-studio" / "tasks.json").read_text())
    assert task["data"]["image"] == "https://host/a b/1.png"
