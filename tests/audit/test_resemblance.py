"""Classes of two splits told by their boxes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from audit_data import Dataset, dataset
from scipy.stats import wilcoxon

from detray.audit import tally
from detray.audit.measures import measure
from detray.audit.resemblance import Remapped, of_split, remapped
from detray.audit.rules.identity import label_map_mismatch
from detray.audit.statistics import chance_of_ranks
from detray.audit.summary import Summary
from detray.audit.view import View

SIDES = (12, 25, 50, 100, 200, 30)
PLACES = (0.1, 0.8, 0.4, 0.5, 0.6, 0.3)


def _scene(
    name: Callable[[int], int],
    *,
    val_scale: float = 1.0,
    categories: range = range(1, 7),
    n: int = 160,
    column: str | None = None,
) -> Dataset:
    """Six classes in two splits of ``n`` images, drawn alike; ``name`` is the id that a class gets in val.

    Or, with a ``column``, where that is b in train, as it is of every other image.
    """
    rng = np.random.default_rng(0)
    boxes: list[dict[str, Any]] = []
    for image in range(2 * n):
        split = "train" if image < n else "val"
        more = {} if column is None else {column: f"{split}_{'ab'[image % 2]}"}
        is_renamed = split == "val" if column is None else more[column] == "train_b"
        scale = 1.0 if split == "train" else val_scale
        here = [key for key in range(6) if rng.random() < (key + 2) / 10]
        here += [0] if 3 in here and 0 not in here else []
        for key in here:
            for _ in range(1 + rng.poisson(key / 2)):
                side = SIDES[key] * scale * np.exp(0.3 * rng.standard_normal())
                x, y = rng.uniform(0, 400), 400 * np.clip(rng.normal(PLACES[key], 0.1), 0, 1)
                entry = {"image": image + 1, "split": split, "box": [x, y, side, side * (1 + key / 5)]}
                boxes.append(entry | more | {"class": name(key + 1) if is_renamed else key + 1})
    images = [{"split": split, "width": 1000, "height": 1000, "repeat": n} for split in ("train", "val")]
    return dataset(
        boxes=boxes, images=images, categories={key: f"c{key}" for key in categories}, splits=("train", "val")
    )


def _cycle(key: int) -> int:
    return key % 6 + 1


def _summary(data: Dataset) -> Summary:
    shards, _ = data.shards(2)
    return data.summary(tally.merge((shard.split, measure(View(shard))) for shard in shards))


def _remapped(data: Dataset) -> Remapped | None:
    summary = _summary(data)
    return remapped(of_split(summary, "val"), of_split(summary, "train"))


@pytest.mark.parametrize("scale", [1.0, 0.6, 1.7])
def test_the_same_classes_are_not_mapped(scale: float) -> None:
    assert _remapped(_scene(lambda key: key, val_scale=scale)) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (lambda key: {2: 5, 5: 2}.get(key, key), {2: 5, 5: 2}),
        (_cycle, {1: 6, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}),
    ],
    ids=["swap", "cycle"],
)
def test_mixed_up_ids_are_told(name: Callable[[int], int], expected: dict[int, int]) -> None:
    found = _remapped(_scene(name))
    assert found is not None
    assert found.ids.items() <= expected.items()
    assert len(found.ids) >= 2
    assert found.confidence >= 0.99


def test_ids_shifted_by_one_under_the_same_names_are_a_finding() -> None:
    data = _summary(_scene(lambda key: key - 1, categories=range(7)))
    (fact,) = label_map_mismatch.RULE.check(data, {})
    assert (fact.split, fact.severity) == ("val", 2)
    assert fact.observed.startswith("by its boxes, against split train:")
    assert fact.observed.endswith("classes are shifted by +1")
    assert 0.99 <= fact.confidence < 1


@pytest.mark.parametrize("column", ["annotator", "source_file"])
def test_the_annotator_or_file_whose_ids_are_shifted_is_named_and_is_the_root_of_the_drift(column: str) -> None:
    data = _scene(_cycle, n=400, column=column)
    found = data.audited("label-map-mismatch", "split-drift", cuts=2).to_pylist()
    (root,) = [row for row in found if row["rule"] == "label-map-mismatch"]
    assert (root["split"], root["severity"], root[column]) == ("train", 2, "train_b")
    assert root["observed"].startswith("by its boxes, those of train_b against split val: ")
    assert root["observed"].endswith("classes are shifted by -1")
    drifted = [row for row in found if row["rule"] == "split-drift"]
    assert drifted
    assert {row["root_cause_id"] for row in drifted} == {root["finding_id"]}


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_annotators_of_the_same_classes_are_not_accused(scale: float) -> None:
    data = _scene(lambda key: key, val_scale=scale, n=400, column="annotator")
    found = data.audited("label-map-mismatch", "split-drift", cuts=2)
    assert "label-map-mismatch" not in found["rule"].to_pylist()


@pytest.mark.parametrize("n", [1, 8, 40, 200, 300])
def test_ranks_are_as_likely_as_scipy_says(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    kind = "exact" if n <= 200 else "approx"
    expected = wilcoxon(differences, alternative="greater", method=kind).pvalue
    assert chance_of_ranks(differences) == pytest.approx(expected)


def test_equal_differences_share_their_ranks() -> None:
    assert chance_of_ranks(np.ones(4)) == 1 / 16
    assert chance_of_ranks(np.array([1.0, 1.0, -1.0, 2.0])) == 4 / 16
    assert chance_of_ranks(np.zeros(0)) == 1
