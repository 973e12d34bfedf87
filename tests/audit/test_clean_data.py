"""Nothing wrong is found where nothing is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from audit_data import dataset, reach
from hypothesis import given, settings
from hypothesis import strategies as st

from detray import schema
from detray.audit import outliers, tally
from detray.audit.catalogue import RULES
from detray.audit.examine import examine, suspects
from detray.audit.rule import ERROR, activate
from detray.tables import Shard


def _found(data: Any, cuts: int = 2) -> pa.Table:
    return data.audited(cuts=cuts)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 400),
    side=st.floats(3, 30),
    sigma=st.floats(0, 1.2),
    width=st.integers(60, 900),
    height=st.integers(60, 900),
)
def test_no_provable_fault_in_clean_boxes(
    seed: int, n: int, side: float, sigma: float, width: int, height: int
) -> None:
    images = [{"width": width, "height": height}] * 12
    entry = {"scatter": n, "seed": seed, "over": [1, 12], "size": [width, height], "side": side, "sigma": sigma}
    found = _found(
        dataset(boxes=[entry, entry | {"class": 2, "seed": seed + 1}], images=images, categories={1: "a", 2: "b"})
    )
    serious = found.filter(pc.greater_equal(found["severity"], ERROR))
    assert serious["message"].to_pylist() == []


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.5])
def test_heavy_tailed_sizes_have_no_outliers(sigma: float) -> None:
    wide = 1_000_000
    images = [{"width": wide, "height": wide}] * 50
    entry = {"scatter": 5000, "over": [1, 50], "size": [wide, wide], "side": 100, "sigma": sigma}
    found = _found(dataset(boxes=[entry], images=images))
    assert not set(found["rule"].to_pylist()) & {"size-outlier", "extreme-aspect", "neighbour-outlier"}
    # the mean and five standard deviations of the side itself would flag some of these
    sides = np.exp(sigma * np.random.default_rng(0).standard_normal(5000))
    assert sigma < 1 or (sides > sides.mean() + 5 * sides.std()).any()


def test_two_random_halves_of_one_data_set_do_not_drift() -> None:
    flagged = set()
    for seed in range(5):
        images = [{"split": "train"}] * 80 + [{"split": "val"}] * 80
        boxes = [
            {
                "scatter": 300,
                "seed": 10 * seed + half,
                "over": [1 + 80 * half, 80 + 80 * half],
                "split": split,
                "class": key,
            }
            for half, split in enumerate(("train", "val"))
            for key in (1, 2)
        ]
        found = _found(dataset(boxes=boxes, images=images, categories={1: "a", 2: "b"}, splits=("train", "val")))
        flagged |= set(found["rule"].to_pylist())
    assert not flagged & {"split-drift", "unlabelled-companion", "coordinate-scale", "box-format", "defect-share"}


EXTREMES = [0.0, -0.0, 1e308, -1e308, 1.7e308, 5e-324, 1e-300, 2.0**63, -(2.0**63), 0.1, 99.99999999, None]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from(EXTREMES)] * 4), min_size=1, max_size=60), st.integers(1, 3))
def test_any_number_is_judged_without_a_crash(boxes: list[tuple[float | None, ...]], cuts: int) -> None:
    entries = [{"box": box, "image": 1 + number % 3, "area": None} for number, box in enumerate(boxes)]
    data = dataset(boxes=entries, images=3)
    small = reach(64, 64, [(8, 8)])
    found = data.audited(cuts=cuts, reach=small)
    assert found.equals(data.audited(reach=small))
    flat = {
        number
        for number, (x, y, width, height) in enumerate(boxes)
        if None not in (x, y, width, height) and (width <= 0 or height <= 0)
    }
    degenerate = found.filter(pc.equal(found["rule"], "degenerate-box"))
    assert set(degenerate["annotation_row"].drop_null().to_pylist()) == flat


def test_one_class_with_most_defects_is_named() -> None:
    boxes: list[dict[str, Any]] = [
        {"scatter": 300, "over": [1, 30]},
        {"scatter": 100, "over": [1, 30], "class": 2, "seed": 1},
    ]
    boxes += [{"class": 2, "box": [90.0, 10.0 + number, 15.0, 9.0]} for number in range(12)]
    data = dataset(boxes=boxes, images=30, categories={1: "cell", 2: "vial"})
    found = data.audited("defect-share", "out-of-bounds").to_pylist()
    (row,) = [one for one in found if one["rule"] == "defect-share"]
    assert (row["category_name"], row["observed"]) == ("vial", "100% of 12 defects, 27.2% of the boxes")
    assert row["confidence"] > 0.999


def test_rows_that_a_hypothesis_explains_point_to_it() -> None:
    boxes = [{"scatter": 200, "over": [1, 20], "format": "corners"}, {"class": 2, "scatter": 200, "over": [1, 20]}]
    found = _found(dataset(boxes=boxes, images=20, categories={1: "cell", 2: "vial"})).to_pylist()
    (root,) = [row for row in found if row["rule"] == "box-format"]
    outside = [row for row in found if row["rule"] == "out-of-bounds" and row["scope"] == "annotation"]
    assert len(outside) > 50
    assert {row["root_cause_id"] for row in outside} == {root["finding_id"]}
    assert {row["category_name"] for row in outside} == {"cell"}


REAL = {
    "coco_val2014_100/instances_val2014_100.json": {},
    "visdrone50/annotations.json": {},
    "taco/annotations.json": {"duplicate-annotation-id": 4},
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_have_the_faults_that_are_known_and_no_other(shared: Path, tmp_path: Path, name: str) -> None:
    from detray.flow.executor import InProcess
    from detray.settings import convert
    from detray.store import Store
    from detray.verbs import runner
    from detray.verbs.base import Context
    from detray.verbs.config import Config

    splits = {"val": {"format": "coco", "annotations": name}}
    config = convert({"dataset": {"root": str(shared), "splits": splits}}, Config, "test")
    context = Context(config, Store(str(tmp_path)), InProcess())
    runner.run(context, ["audit"])
    found = context.store.read("findings", filters=[("severity", ">=", ERROR)])
    counted = found.group_by("rule").aggregate([([], "count_all")]).to_pylist()
    assert {row["rule"]: row["count_all"] for row in counted} == REAL[name]


def test_thousands_of_classes_at_random_raise_no_suspicion() -> None:
    """The commonest class is in nearly all images, each of which has as many boxes; small classes lean by chance."""
    rng = np.random.default_rng(0)
    images, boxes, classes = 6_000, 20, 300
    n = images * boxes
    weights = 1 / np.arange(1, classes + 1)
    sides = np.minimum(np.exp(rng.normal(3.5, 0.8, (2, n))), [[576.0], [432.0]])
    x, y = rng.uniform(0, 640 - sides[0]), rng.uniform(0, 480 - sides[1])
    numbers = np.arange(n)
    annotations = {
        "annotation_id": numbers,
        "annotation_row": numbers,
        "image_id": numbers // boxes,
        "category_id": rng.choice(classes, n, p=weights / weights.sum()),
        **dict(zip(("x", "y", "width", "height"), (x, y, *sides), strict=True)),
        "area": sides[0] * sides[1],
        "is_crowd": np.zeros(n, bool),
        "is_difficult": np.zeros(n, bool),
        "source_file": ["data.json"] * n,
    }
    pictures = {
        "image_id": np.arange(images),
        "image_row": np.arange(images),
        "file_name": [f"{number}.jpg" for number in range(images)],
        "width": np.full(images, 640),
        "height": np.full(images, 480),
        "source_file": ["data.json"] * images,
    }
    of_test = {"run": "test", "split": "val"}
    tables = {
        name: schema.conform(
            pa.table(columns | {key: [text] * len(columns["image_id"]) for key, text in of_test.items()}), name
        )
        for name, columns in (("images", pictures), ("annotations", annotations))
    }
    listed = dataset(categories={number: f"class {number}" for number in range(classes)})
    shard = Shard("val", tables["images"], tables["annotations"], listed.categories)
    active = activate(RULES, {})
    data = listed.summary(tally.merge([("val", examine(shard, active).tally)]))
    assert [one for one in suspects(data, active) if one] == []
    assert not outliers.may_be_any(data.tallies["val"], outliers.spreads(data.tallies["val"]), active)
