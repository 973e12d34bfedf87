"""The trials that no other beats in AP and time both."""

import numpy as np

from detray.tune.pareto import on_front


def test_the_front() -> None:
    objective = np.array([0.2, 0.4, 0.4, 0.3, 0.1, np.nan, 0.9, 0.2])
    milliseconds = np.array([5.0, 9.0, 8.0, 8.0, 5.0, 1.0, np.nan, 5.0])
    assert on_front(objective, milliseconds).tolist() == [True, False, True, False, False, False, False, True]
    assert on_front(objective[:0], milliseconds[:0]).tolist() == []
