"""The machinery of benchmarks/trained.py: a plant changes what it says, and what is judged right, promised and kept."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from planted import plant
from planted.data import Data, blood_cells
from planted.faults import FAULTS, PAIRS, Trial, trials
from planted.judge import accusations, harmed, promises, summary, table, totals
from planted.plant import Case, Plant
from planted.remedy import follow
from planted.runs import Bench, NotTrainedError, Result

NAMES = ("a", "b")


def document(pictures: int = 20) -> dict[str, Any]:
    """Two boxes of a and one of b in each picture of 100 x 80 px."""
    images = [{"id": k, "file_name": f"{k}.png", "width": 100, "height": 80} for k in range(1, pictures + 1)]
    boxes = [(1, [10.0, 10.0, 20.0, 20.0]), (1, [50.0, 10.0, 20.0, 30.0]), (2, [60.0, 40.0, 30.0, 30.0])]
    rows = [
        {"id": 3 * (k - 1) + place, "image_id": k, "category_id": category, "bbox": box, "area": box[2] * box[3]}
        for k in range(1, pictures + 1)
        for place, (category, box) in enumerate(boxes, start=1)
    ]
    return {
        "images": images,
        "annotations": rows,
        "categories": [{"id": k, "name": n} for k, n in enumerate(NAMES, 1)],
    }


def case() -> Case:
    return Case({"train": document(), "val": document()}, {"input_height": 64}, {"epochs": 5, "seed": 0}, {})


def planted(how: Plant, given: Case) -> Case:
    """What the plant gives; that the case it was given stays as it is."""
    before = copy.deepcopy(given)
    changed = how(given, np.random.default_rng(1))
    assert given == before
    return changed


def rows_of(given: Case, split: str) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in given.documents[split]["annotations"]}


def test_dropped_labels_are_a_share_of_one_class_in_one_split():
    changed = planted(plant.drop_labels("train", "a", 0.75), case())
    left = rows_of(changed, "train")
    before = rows_of(case(), "train")
    assert changed.documents["val"] == case().documents["val"]
    assert sum(row["category_id"] == 1 for row in left.values()) == 10
    assert {k: row for k, row in before.items() if row["category_id"] == 2}.items() <= left.items()
    assert left.items() <= before.items()


def test_swapped_names_exchange_two_classes():
    changed = planted(plant.swap_names("val", "a", "b"), case())
    before = rows_of(case(), "val")
    assert all(
        row == before[k] | {"category_id": 3 - before[k]["category_id"]} for k, row in rows_of(changed, "val").items()
    )
    assert changed.documents["train"] == case().documents["train"]


def test_relabelled_boxes_change_only_their_label():
    changed = planted(plant.relabel("val", "a", "b", 0.6), case())
    before, after = rows_of(case(), "val"), rows_of(changed, "val")
    differing = [k for k in before if before[k] != after[k]]
    assert len(differing) == 24
    assert all(after[k] == before[k] | {"category_id": 2} and before[k]["category_id"] == 1 for k in differing)


def test_loose_boxes_hold_the_true_ones_and_stay_in_the_picture():
    changed = planted(plant.loosen("val", "b", 0.35), case())
    before, after = rows_of(case(), "val"), rows_of(changed, "val")
    for k, row in after.items():
        x, y, width, height = row["bbox"]
        if row["category_id"] == 1:
            assert row == before[k]
            continue
        assert 0 <= x <= 60
        assert 0 <= y <= 40
        assert 90 <= x + width <= 100
        assert 70 <= y + height <= 80
        assert row["area"] == width * height > 900
        assert row == before[k] | {"bbox": row["bbox"], "area": row["area"]}


def test_few_pictures_keep_all_their_boxes():
    changed = planted(plant.keep_pictures("train", 4), case()).documents["train"]
    kept = {image["id"] for image in changed["images"]}
    assert len(kept) == 4
    assert changed["annotations"] == [row for row in document()["annotations"] if row["image_id"] in kept]


def test_settings_and_pictures_leave_labels_alone():
    changed = planted(plant.setting("predict", score_threshold=0.7), planted(plant.change_pictures("halved"), case()))
    assert changed == Case(case().documents, case().detector, case().train, {"score_threshold": 0.7}, "halved")


def test_changed_pictures():
    pixels = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    assert {name: change(pixels).shape for name, change in plant.PICTURES.items()} == {
        "inverted": (40, 60, 3),
        "darkened": (40, 60, 3),
        "blurred": (40, 60, 3),
        "halved": (20, 30, 3),
    }
    assert (plant.inverted(plant.inverted(pixels)) == pixels).all()
    assert plant.darkened(pixels).max() == 63
    assert all(change(pixels).dtype == np.uint8 for change in plant.PICTURES.values())


def test_trials_without_training_come_first_and_every_pair_is_there():
    found = trials()
    needs = [any(fault.in_training for fault in trial.faults) for trial in found]
    assert needs == sorted(needs)
    assert len(found) == len(FAULTS) + len(PAIRS)
    assert all(len({fault.data for fault in trial.faults}) == 1 for trial in found)


def a_row(cause: str, **more: Any) -> dict[str, Any]:
    row = {"cause": cause, "evidence": "{}", "sentence": "", "remedy_config": None, "category_name": "a"}
    return row | {"d_ap": 0.3, "d_ap_is_ceiling": False} | more


def data() -> Data:
    return Data("cells", {"train": document(), "val": document()}, {}, {}, 5)


def test_a_cause_of_training_labels_is_right_only_where_it_says_so():
    trial = Trial((FAULTS["94% of training labels dropped"],))
    clean = Result({"WBC": 0.8, "RBC": 0.6}, {"WBC": 0.95, "RBC": 0.9}, {})
    for row, is_right in (
        (a_row("missing_labels"), False),
        (a_row("missing_labels", sentence="most training labels are missing"), True),
        (a_row("missing_labels", evidence='{"split": "train"}'), True),
        (a_row("missing_labels", evidence='{"split": "val"}', sentence="as in the training labels"), False),
        (a_row("class_imbalance", sentence="few training labels"), False),
    ):
        given = Result({"WBC": 0.2, "RBC": 0.6}, {"WBC": 0.3, "RBC": 0.9}, {"WBC": [row], "RBC": [a_row("duplicates")]})
        (found,) = harmed(trial, 0, clean, given)
        assert (found.category, found.is_right) == ("WBC", is_right)
        assert accusations(given, ["WBC"]) == [("RBC", "duplicates")]


def test_of_a_pair_only_the_fault_that_harms_the_class_is_right():
    trial = Trial((FAULTS["94% of training labels dropped"], FAULTS["four detections an image"]))
    given = Result({"WBC": 0.0}, {"WBC": 0.0}, {"WBC": [a_row("max_detections")]})
    clean = Result({"WBC": 0.8}, {"WBC": 0.9}, {})
    assert [row.is_right for row in harmed(trial, 0, clean, given)] == [True]
    alone = {"94% of training labels dropped": ["WBC"], "four detections an image": ["RBC"]}
    assert [row.is_right for row in harmed(trial, 0, clean, given, alone)] == [False]


def test_totals_count_promises_that_were_kept():
    trial = Trial((FAULTS["65% of val labels missing"],))
    given = Result({"WBC": 0.4}, {"WBC": 0.5}, {"WBC": [a_row("missing_labels")]})
    rows = [harmed(trial, seed, Result({"WBC": 0.8}, {"WBC": 0.9}, {}), given)[0] for seed in (0, 1, 2)]
    rows[0].delivered, rows[1].delivered = 0.39, 0.45
    text = totals(rows, [], 4)
    assert all(words in text for words in ("right for 3 of 3", "regained: 1 of 2", "Accused: 0 of 4"))
    assert "Not known in advance: 0 of 3 classes" in text
    assert summary(rows).splitlines()[2:] == [
        "| 65% of val labels missing | cells | 3 | 3 | missing_labels | 0.30 | 0.42 | 1 of 2 | - | - | - | 0 |"
    ]
    assert promises(rows).splitlines()[2:] == ["| missing_labels | 3 | 3 | 1 of 2 | 0.15 | 0 | 0 |"]
    assert table(rows).splitlines()[2].endswith("| 0.80 | 0.40 | missing_labels | yes | 0.30 | - | 0.39 |")


def test_what_is_told_as_a_ceiling_is_no_promise_and_is_counted_as_such():
    trial = Trial((FAULTS["val darkened"],))
    said = [{"d_ap": 0.3, "d_ap_is_ceiling": True}] * 2 + [{"d_ap": None, "d_ap_is_ceiling": None}]
    given = [Result({"RBC": 0.4}, {"RBC": 0.5}, {"RBC": [a_row("train_eval_shift", **one)]}) for one in said]
    rows = [harmed(trial, seed, Result({"RBC": 0.8}, {"RBC": 0.9}, {}), one)[0] for seed, one in enumerate(given)]
    rows[0].delivered, rows[1].delivered = 0.02, 0.35
    text = totals(rows, [], 4)
    assert "regained: 0 of 0 that were followed, of 0" in text
    assert "Not known in advance: 3 of 3 classes; for 2 of them" in text
    assert "which held for 1 of 2 that were followed" in text
    assert summary(rows).splitlines()[2:] == [
        "| val darkened | cells | 3 | 3 | train_eval_shift | - | - | - | 0.30 | 0.18 | 1 of 2 | 1 |"
    ]
    assert promises(rows).splitlines()[2:] == ["| train_eval_shift | 3 | 0 | - | - | 2 | 1 |"]


def test_remedies_mend_what_they_speak_of():
    faulty = planted(plant.drop_labels("train", "a", 0.5), planted(plant.drop_labels("val", "a", 0.5), case()))
    faulty = planted(plant.setting("predict", score_threshold=0.7, max_detections=4), faulty)
    of_val = follow(a_row("missing_labels"), faulty, data())
    assert of_val
    assert (of_val.documents["val"], of_val.documents["train"]) == (document(), faulty.documents["train"])
    of_train = follow(a_row("missing_labels", evidence='{"split": "train"}'), faulty, data())
    assert of_train
    assert (of_train.documents["val"], of_train.documents["train"]) == (faulty.documents["val"], document())
    uncut = follow(a_row("score_threshold"), faulty, data())
    assert uncut
    assert uncut.predict == {"max_detections": 4}
    searched = {"tune": {"focus": ["a"], "space": {"oversample": [1, 4, 8], "freeze_units": [0, 1]}}}
    again = follow(a_row("few_examples", remedy_config=json.dumps(searched)), faulty, data())
    assert again
    assert again.train == {"epochs": 5, "seed": 0, "oversample": {"a": 4}}
    searched = {"tune": {"space": {"box_loss_weight": [1.0, 2.0, 4.0]}}}
    again = follow(a_row("localization", remedy_config=json.dumps(searched)), faulty, data())
    assert again
    assert again.train == {"epochs": 5, "seed": 0, "box_loss_weight": 2.0}
    assert follow(a_row("missed_objects"), faulty, data()) is None


def test_a_model_is_looked_for_by_what_made_it(tmp_path: Path):
    bench = Bench(tmp_path, tmp_path / "results", trains=False)
    clean = bench.clean(data(), 0)
    with pytest.raises(NotTrainedError):
        bench.model(data(), clean, "clean")


def test_blood_cells_are_read_without_boxes_of_no_area(tmp_path: Path):
    for folder in ("Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / "ImageSets/Main" / f"{split}.txt").write_text(f"{split}\n")
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>5</ymin><xmax>{x + w}</xmax><ymax>15</ymax>"
            "</bndbox></object>"
            for name, x, w in (("RBC", 10, 20), ("WBC", 40, 0), ("Platelets", 50, 10))
        )
        size = "<size><width>100</width><height>80</height></size>"
        (tmp_path / "Annotations" / f"{split}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    found = blood_cells(tmp_path).documents["val"]
    assert [(row["id"], row["category_id"], row["bbox"]) for row in found["annotations"]] == [
        (1, 1, [10, 5, 20, 10]),
        (2, 3, [50, 5, 10, 10]),
    ]
    assert found["images"] == [{"id": 1, "file_name": "val.jpg", "width": 100, "height": 80}]
