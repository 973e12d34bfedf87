"""Planted causes are named: a short run of what benchmarks/diagnose.py does at length."""

from pathlib import Path

import pytest
import scenes
import suite

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FIRST_SEED = 5000


@pytest.mark.parametrize("name", scenes.PLANTS)
def test_a_single_cause_is_named_first(name: str) -> None:
    trials = _trials((name,), 24 if name == "class_imbalance" else 8)
    assert len(trials) >= 4
    first = [trial.causes[0] if trial.causes else None for trial in trials]
    assert first.count(name) >= len(trials) - 1, first


@pytest.mark.parametrize(
    "names",
    [
        ("label_id_mismatch", "localization"),
        ("box_format", "class_confusion"),
        ("image_id_mismatch", "duplicates"),
        ("missing_labels", "duplicates"),
        ("class_confusion", "background_confusion"),
        ("noisy_boxes", "missed_objects"),
        ("score_threshold", "receives_class"),
        ("few_examples", "no_detections"),
        ("class_confusion", "missed_objects"),
        ("localization", "small_objects"),
        ("duplicates", "score_threshold"),
        ("background_confusion", "class_imbalance"),
    ],
    ids=" + ".join,
)
def test_both_causes_of_a_pair_are_among_the_first_three(names: tuple[str, str]) -> None:
    trials = _trials(names, 24 if "class_imbalance" in names else 8)
    assert len(trials) >= 4
    both = [set(names) <= set(trial.causes[:3]) for trial in trials]
    assert sum(both) >= len(both) - 2, [trial.causes for trial in trials]


def _trials(names: tuple[str, ...], n: int) -> list[suite.Trial]:
    shared = SHARED if SHARED.is_dir() else None
    found = [
        suite.run_trial(seed, names, suite.GEOMETRIES[seed % len(suite.GEOMETRIES)], shared)
        for seed in range(FIRST_SEED, FIRST_SEED + n)
    ]
    return [trial for trial in found if trial is not None and suite.is_weak(trial) and suite.is_visible(trial)]
