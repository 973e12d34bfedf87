"""Classes of two splits told by their boxes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from audit_data import Dataset, dataset

from detray.audit import engine
from detray.audit.resemblance import remapped
from detray.audit.rule import activate
from detray.audit.rules import label_map_mismatch
from detray.audit.summary import Summary

SIDES = (12, 25, 50, 100, 200, 30)
PLACES = (0.1, 0.8, 0.4, 0.5, 0.6, 0.3)


def _scene(name: Callable[[int], int], *, val_scale: float = 1.0, categories: range = range(1, 7)) -> Dataset:
    """Six classes in two splits, drawn alike; ``name`` is the id that a class gets in val."""
    rng = np.random.default_rng(0)
    boxes: list[dict[str, Any]] = []
    for image in range(320):
        split = "train" if image < 160 else "val"
        scale = 1.0 if split == "train" else val_scale
        here = [key for key in range(6) if rng.random() < (key + 2) / 10]
        here += [0] if 3 in here and 0 not in here else []
        for key in here:
            for _ in range(1 + rng.poisson(key / 2)):
                side = SIDES[key] * scale * np.exp(0.3 * rng.standard_normal())
                x, y = rng.uniform(0, 400), 400 * np.clip(rng.normal(PLACES[key], 0.1), 0, 1)
                entry = {"image": image + 1, "split": split, "box": [x, y, side, side * (1 + key / 5)]}
                boxes.append(entry | {"class": key + 1 if split == "train" else name(key + 1)})
    images = [
        {"split": split, "width": 1000, "height": 1000, "repeat": n} for split, n in (("train", 160), ("val", 160))
    ]
    return dataset(
        boxes=boxes, images=images, categories={key: f"c{key}" for key in categories}, splits=("train", "val")
    )


def _summary(data: Dataset) -> Summary:
    shards, _ = data.shards(2)
    counted = [(shard.split, engine.examine(shard, activate([], {})).tally) for shard in shards]
    return replace(data.summary(), tallies=engine.merge_tallies(counted))


@pytest.mark.parametrize("scale", [1.0, 0.6, 1.7])
def test_the_same_classes_are_not_mapped(scale: float) -> None:
    assert remapped(_summary(_scene(lambda key: key, val_scale=scale)), "val", "train") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (lambda key: {2: 5, 5: 2}.get(key, key), {2: 5, 5: 2}),
        (lambda key: key % 6 + 1, {1: 6, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5}),
    ],
    ids=["swap", "cycle"],
)
def test_mixed_up_ids_are_told(name: Callable[[int], int], expected: dict[int, int]) -> None:
    found = remapped(_summary(_scene(name)), "val", "train")
    assert found is not None
    assert found.ids.items() <= expected.items()
    assert len(found.ids) >= 2
    assert found.confidence >= 0.99


def test_ids_shifted_by_one_under_the_same_names_are_a_finding() -> None:
    data = _summary(_scene(lambda key: key - 1, categories=range(7)))
    (fact,) = label_map_mismatch.check(data, {})
    assert (fact.split, fact.severity) == ("val", 2)
    assert fact.observed.startswith("by its boxes, against split train:")
    assert fact.observed.endswith("classes are shifted by +1")
    assert 0.99 <= fact.confidence < 1
