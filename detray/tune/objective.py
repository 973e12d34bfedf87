"""What a trial is judged by."""

import numpy as np

from detray.arrays import Flags, Floats


def focus_ap(ap: Floats, focus: Flags) -> float | None:
    """Mean AP of the focus classes; None where none of them has an AP.

    ``ap`` ``[c]`` holds the classes' AP, NaN without ground truth; ``focus`` ``[c]`` marks classes.
    """
    known = ap[focus & ~np.isnan(ap)]
    return float(known.mean()) if len(known) else None


def objective(ap: Floats, baseline: Floats | None, focus: Flags, max_drop: float) -> float | None:
    """Mean AP of the focus classes, less the most that another class fell below ``baseline - max_drop``.

    Shapes as in `focus_ap`. The penalty is the worst class's and not a sum: chance alone lets
    some of many classes fall. While ``baseline`` is None there is none.
    """
    score = focus_ap(ap, focus)
    if score is None or baseline is None:
        return score
    shortfall = (baseline - max_drop - ap)[~focus]
    return score - float(np.nanmax(np.append(shortfall, 0.0)))


def jackknife_error(left_out: Floats, focus: Flags) -> float | None:
    """The standard error of the focus classes' mean AP over the images; None where it is not known.

    ``left_out`` ``[g, c]`` holds AP without the images of each group: the delete-a-group jackknife, see `proof`.
    """
    known = left_out[:, focus & ~np.isnan(left_out).any(axis=0)]
    if known.size == 0 or len(known) < 2:
        return None
    return float(np.sqrt((len(known) - 1) * known.mean(axis=1).var()))
