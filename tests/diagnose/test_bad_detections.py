"""What evaluate and diagnose make of files of detections that are not as they should be."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scenes

from detray import cli
from detray.store import Store


@dataclass
class Files:
    """A ground truth file, and the rows of a file of detections that fits it."""

    folder: Path
    gt: Path
    rows: list[dict]
    names: dict[int, str]

    def write(self, rows: object) -> str:
        path = self.folder / "dets.json"
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return str(path)

    def run(self, verb: str, rows: object) -> tuple[int, Store]:
        output = str(self.folder / "out")
        code = cli.main([verb, str(self.gt), self.write(rows), "--serial", "--output", output])
        return code, Store(output)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    rng = np.random.default_rng(1)
    world = scenes.detect(rng, scenes.uniform(rng, 30, 3), scenes.Quality())
    gt, dt = scenes.coco_files(world, tmp_path)
    names = {image["id"]: Path(image["file_name"]).stem for image in json.loads(gt.read_text())["images"]}
    return Files(tmp_path, gt, json.loads(dt.read_text()), names)


BAD = {
    "nan-score": {"score": float("nan")},
    "not-finite-box": {"bbox": [1, 2, float("inf"), 4]},
    "unreadable-row": {"category_id": "cat"},
    "score-out-of-range": {"score": 1.5},
    "negative-size": {"bbox": [1, 2, -3, 4]},
    "unknown-image": {"image_id": 10**7},
    "unknown-category": {"category_id": 999},
}


def test_each_bad_row_is_quarantined_counted_and_named(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    rows = files.rows[:]
    for place, change in enumerate(BAD.values()):
        rows[2 * place] = rows[2 * place] | change
        rows[2 * place + 1] = rows[2 * place + 1] | change
    code, store = files.run("evaluate", rows)
    assert code == 0
    kept = store.read("quarantine", "predict").to_pylist()
    assert Counter(row["reason"] for row in kept) == dict.fromkeys(BAD, 2)
    assert sorted(row["row"] for row in kept) == list(range(14))
    said = capsys.readouterr().out
    for place, reason in enumerate(BAD):
        line = next(line for line in said.splitlines() if line.startswith(reason))
        assert f"row {2 * place}:" in line
        assert line.split()[1] == "2"
    assert store.manifest("predict")["counts"] == {"in": len(rows), "kept": len(rows) - 14, "quarantined": 14}


NO_KNOWN_IMAGE: dict[str, Callable[[dict], dict]] = {
    "other ids": lambda row: row | {"image_id": row["image_id"] + 10**6},
    "ids as text": lambda row: row | {"image_id": str(row["image_id"] + 10**6)},
    "names of other files": lambda row: row | {"image_id": f"other_{row['image_id']}.jpg"},
    "other ids and bad scores": lambda row: row | {"image_id": row["image_id"] + 10**6, "score": 7},
}


@pytest.mark.parametrize("way", NO_KNOWN_IMAGE)
def test_evaluate_ends_with_3_where_no_detection_names_a_known_image(
    way: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [NO_KNOWN_IMAGE[way](row) for row in files.rows]
    assert files.run("evaluate", rows)[0] == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"detray: none of the {len(rows)} detections names an image of the split val")


def test_diagnose_then_answers_image_id_mismatch(files: Files) -> None:
    code, store = files.run("diagnose", [NO_KNOWN_IMAGE["other ids"](row) for row in files.rows])
    assert code == 0
    first = [row for row in store.read("diagnoses").to_pylist() if row["rank"] == 1]
    assert {row["cause"] for row in first} == {"image_id_mismatch"}
    assert all(row["d_ap"] > 0.3 for row in first)


def test_names_of_other_files_are_an_image_id_mismatch_too(files: Files) -> None:
    code, store = files.run("diagnose", [NO_KNOWN_IMAGE["names of other files"](row) for row in files.rows])
    assert code == 0
    first = [row for row in store.read("diagnoses").to_pylist() if row["rank"] == 1]
    assert {row["cause"] for row in first} == {"image_id_mismatch"}


@pytest.mark.parametrize("form", ["{id}", "{stem}", "{stem}.jpg", "pictures/{stem}.png"])
def test_ids_as_text_and_file_names_are_read(form: str, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    stated = [
        row | {"image_id": form.format(id=row["image_id"], stem=files.names[row["image_id"]])} for row in files.rows
    ]
    code, store = files.run("evaluate", stated)
    assert code == 0
    found = store.read("predictions")
    assert found["image_id"].to_pylist() == sorted(row["image_id"] for row in files.rows)
    assert ("name their image by its file name" in capsys.readouterr().out) == ("stem" in form)


def test_names_that_fit_no_file_are_left_out_of_a_diagnosis_and_named(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row | {"image_id": f"{files.names[row['image_id']]}.png"} for row in files.rows]
    rows[0]["image_id"] = "elsewhere.png"
    rows[1]["score"] = float("nan")
    code, store = files.run("diagnose", rows)
    assert code == 0
    assert store.read("predictions").num_rows == len(rows) - 2
    said = capsys.readouterr().out
    assert "image elsewhere.png" in said
    assert "detections that no cause can look at, as if they were not there: nan-score 1" in said


@pytest.mark.parametrize("verb", ["evaluate", "diagnose"])
def test_an_empty_list_is_a_model_that_finds_nothing(verb: str, files: Files) -> None:
    code, store = files.run(verb, [])
    assert code == 0
    metrics = store.read("class_metrics").to_pylist()
    assert {row["ap"] for row in metrics if row["n_ground_truth"] and row["area_range"] == "all"} == {0.0}
    if verb == "diagnose":
        assert {row["cause"] for row in store.read("diagnoses").to_pylist()} == {"no_detections"}


def test_a_list_of_which_nothing_is_left_says_so(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = files.run("evaluate", [row | {"score": 100 * row["score"] + 1.5} for row in files.rows])
    assert code == 0
    assert f"nothing is left to score: all {len(files.rows)} detections were left out" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["evaluate", "diagnose"])
def test_a_file_that_is_cut_off_is_refused_in_a_sentence(
    verb: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert files.run(verb, json.dumps(files.rows)[:-100])[0] == 3
    assert "the file is cut off; repair the file or export it again" in capsys.readouterr().err


def test_negative_sizes_are_seen_before_they_are_left_out(files: Files) -> None:
    def written(row: dict) -> dict:
        x, y, width, height = row["bbox"]
        return row | {"bbox": [x, y, width - x, height - y]}

    code, store = files.run("diagnose", [written(row) for row in files.rows])
    assert code == 0
    assert "negative-size" in store.read("quarantine", "predict")["reason"].to_pylist()
    assert {row["cause"] for row in store.read("diagnoses").to_pylist() if row["rank"] == 1} == {"box_format"}
