"""Focus AP against the time of inference: which trials no other beats in both."""

import numpy as np

from detray.arrays import Flags, Floats


def on_front(objective: Floats, milliseconds: Floats) -> Flags:
    """The Pareto front: marks the trials that no other is at least as good as in both, and better in one.

    ``objective`` ``[t]`` is the better the higher, ``milliseconds`` ``[t]`` the better the lower; a trial of which
    either is NaN is neither on the front nor before any other.
    """
    known = ~(np.isnan(objective) | np.isnan(milliseconds))
    gain = objective[:, None] - objective[None, :]  # of the row over the column
    haste = milliseconds[None, :] - milliseconds[:, None]
    with np.errstate(invalid="ignore"):
        beats = (gain >= 0) & (haste >= 0) & ((gain > 0) | (haste > 0))
    return known & ~beats[known].any(axis=0)
