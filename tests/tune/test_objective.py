"""The objective by hand."""

import numpy as np
import pytest

from detray.tune.objective import objective

FOCUS = np.array([True, False, False])


@pytest.mark.parametrize(
    ("ap", "expected"),
    [
        ([0.3, 0.5, 0.6], 0.3),  # as the baseline
        ([0.3, 0.49, 0.7], 0.3),  # within the allowance; a gain elsewhere does not count
        ([0.3, 0.4, 0.6], 0.3 - 0.08),
        ([0.3, 0.4, 0.5], 0.3 - 0.08),  # the worst counts
        ([0.3, np.nan, 0.6], 0.3),  # no AP, no shortfall
    ],
)
def test_by_hand(ap: list[float], expected: float) -> None:
    baseline = np.array([0.1, 0.5, 0.6])
    assert objective(np.array(ap), baseline, FOCUS, max_drop=0.02) == pytest.approx(expected)


def test_mean_of_the_focus_classes_with_an_ap() -> None:
    ap = np.array([0.2, 0.4, np.nan, 0.9])
    assert objective(ap, None, np.array([True, True, True, False]), 0.0) == pytest.approx(0.3)
    assert objective(ap, None, np.array([False, False, True, False]), 0.0) is None


def test_losing_beyond_the_allowance_outweighs_gaining() -> None:
    baseline = np.array([0.1, 0.5, 0.6])
    kept = objective(np.array([0.2, 0.5, 0.6]), baseline, FOCUS, 0.02)
    traded = objective(np.array([0.3, 0.3, 0.6]), baseline, FOCUS, 0.02)
    assert kept is not None
    assert traded is not None
    assert kept > traded
