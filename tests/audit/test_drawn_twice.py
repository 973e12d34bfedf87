"""Pictures that are drawn twice: the matching of their boxes, and what the whole audit says of real pictures."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from audit_data import TABLES, Dataset, dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detray.audit import flow as audit_flow
from detray.audit.drawings import one_to_one
from detray.audit.flow import AuditInputs, audit
from detray.audit.settings import AuditSettings
from detray.flow.data import MemoryData
from detray.flow.memory import InMemoryRun, run_in_memory

RULE = "duplicate-disagreement"
PICTURES = 8
TIGHTER = 0.7
"""Of the height, in the second drawing: the IoU of every pair of boxes."""


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(50, 100), max_size=12))
def test_matches_are_those_of_the_highest_first(weights: dict[tuple[int, int], int]) -> None:
    pairs = sorted(weights)
    first, second = np.array([pair[0] for pair in pairs], int), np.array([pair[1] for pair in pairs], int)
    iou = np.array([weights[pair] for pair in pairs], float) / 100
    expected: list[int] = []
    for place in sorted(range(len(pairs)), key=lambda place: (-iou[place], pairs[place])):
        if all(first[place] != first[other] and second[place] != second[other] for other in expected):
            expected.append(place)
    assert one_to_one(first, second, iou).tolist() == sorted(expected)


def _twice(folder: Path, *, near: bool, copied: bool = False) -> Dataset:
    """Eight pictures in train that stand in val too, the second time drawn tighter, or with the same boxes.

    ``near``: in half the size and compressed again.
    """
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    rng = np.random.default_rng(1)
    for number in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        picture = coarse.resize((160, 120), Image.Resampling.BICUBIC)
        for split in ("train", "val"):
            path = folder / f"{split}-{'abcdefgh'[number]}.jpg"
            scale = 0.5 if near and split == "val" else 1.0
            own = picture.resize((80, 60)) if scale < 1 else picture
            own.save(path, quality=70 if scale < 1 else 95)
            image = len(images) + 1
            images.append({"split": split, "image_id": image, "file_name": path.name, "path": str(path)})
            images[-1] |= {"width": own.width, "height": own.height}
            for place in range(3):
                height = 40 * (1 if copied or split == "train" else TIGHTER)
                box = np.array([5.0 + 50 * place, 10 + 5 * place, 40, height]) * scale
                boxes.append({"split": split, "image": image, "class": 1 + place % 2, "box": box.tolist()})
    return dataset(images=images, boxes=boxes, splits=("train", "val"), categories={1: "cell", 2: "vial"})


def _audited(data: Dataset, cuts: int = 1, pictured: tuple[str, ...] = ("train", "val"), **changes: Any) -> InMemoryRun:
    shards, _ = data.shards(cuts)
    memory = MemoryData(shards, {"categories": data.categories})
    inputs = AuditInputs("test", AuditSettings(**changes), pictured=pictured)
    return run_in_memory(audit, memory, inputs, tables=TABLES)


@pytest.mark.parametrize("cuts", [1, 3])
@pytest.mark.parametrize("near", [False, True])
def test_two_drawings_of_a_picture_bound_ap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: bool, cuts: int
) -> None:
    monkeypatch.setattr(audit_flow, "KEYS_PER_BUCKET", 1_000_000 if cuts == 1 else 20)  # one bucket, or several
    run = _audited(_twice(tmp_path, near=near), cuts)
    found = run.tables["findings"].filter(pc.equal(run.tables["findings"]["rule"], RULE)).to_pylist()
    (root,) = [row for row in found if row["scope"] == "dataset"]
    assert root["count"] == PICTURES
    assert "8 pictures are drawn twice, in train and val: 24 of 24 and 24 boxes match at IoU .5" in root["message"]
    assert "no detector can be expected beyond AP75 of about 0.00 here (AP50 1.00, AP 0.50)" in root["message"]
    images = [row for row in found if row["scope"] == "image"]
    assert len(images) == 2 * PICTURES
    assert [row["category_name"] for row in found if row["scope"] == "class"] == ["cell"]  # too few vials
    assert {row["root_cause_id"] for row in found} == {None, root["finding_id"]}
    rows = [row for row in run.tables["drawn_twice"].to_pylist() if row["category_id"] is None]
    assert [row["agreement"] for row in rows] == [1.0] * 5 + [0.0] * 5
    assert {(row["split"], row["other_split"], row["finding_id"]) for row in rows} == {
        ("train", "val", root["finding_id"])
    }
    assert any(RULE in line for line in run.outcome.advice)


def test_what_is_no_second_drawing_says_nothing(tmp_path: Path) -> None:
    copied = _audited(_twice(tmp_path, near=True, copied=True))
    unseen = _audited(_twice(tmp_path, near=True), pictured=())
    disabled = _audited(_twice(tmp_path, near=True), disable=(RULE,))
    for run in (copied, unseen, disabled):
        assert RULE not in run.tables["findings"]["rule"].to_pylist()
        assert run.tables["drawn_twice"].num_rows == 0


def test_agreement_is_that_of_the_best_matching_of_several_boxes() -> None:
    """Boxes in a row that each overlap their neighbours, against all ways to match them."""
    left = np.array([0.0, 3.0, 6.0])
    moved = left + np.array([1.0, 0.5, 2.0])
    boxes = [{"box": [x, 5, 20, 20], "annotator": "ann"} for x in left]
    boxes += [{"box": [x, 5, 20, 20], "annotator": "bob"} for x in moved]
    table = _audited(dataset(boxes=boxes)).tables["drawn_twice"]
    n50 = next(row["n_matched"] for row in table.to_pylist() if row["category_id"] is None)
    shared = np.maximum(0, 20 - np.abs(left[:, None] - moved))
    iou = shared / (40 - shared)
    assert n50 == max(
        sum(iou[place, other] >= 0.5 for place, other in enumerate(way)) for way in permutations(range(3))
    )
