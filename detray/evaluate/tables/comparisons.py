"""The table ``comparisons``: two models on the same resampled images, class by class."""

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import schema, tables
from detray.arrays import Floats, Ints
from detray.evaluate.tables.bootstrap import MIN_IMAGES, interval, mean_of_known
from detray.evaluate.tables.names import Names


def comparison_table(
    numbers: pa.Table, other_numbers: pa.Table, names: Names, other_model: str, main: str = "AP"
) -> pa.Table:
    """How the other model does against the model of ``names``.

    Both count each image equally often in a resample, so the interval is that of the paired
    difference: far narrower than the two intervals of the APs suggest. A class is better or worse
    where the interval leaves out 0; from too few images there is none, and the verdict is unclear.

    Args:
        numbers, other_numbers: `metrics.ClassTables.numbers` of the same classes.
        names: what all rows share.
        other_model: the other model's name.
        main: the protocol's main number.
    """
    ids, n_images, ap = _by_class(numbers, main)
    other_ids, _, other_ap = _by_class(other_numbers, main)
    if not np.array_equal(ids, other_ids):
        raise ValueError("the numbers of two models are of different classes")
    delta = other_ap - ap
    low, high = interval(delta[:, 1:], delta[:, 0], n_images)
    columns = names.of(ids) | {
        "other_model": [other_model] * len(ids),
        "n_images": n_images,
        "ap_a": ap[:, 0],
        "ap_b": other_ap[:, 0],
        "delta": delta[:, 0],
        "delta_low": low,
        "delta_high": high,
        "verdict": pa.array(verdicts(low, high), mask=~np.isfinite(delta[:, 0])),
    }
    return schema.from_columns("comparisons", columns, run=names.run)


def verdicts(low: Floats, high: Floats) -> NDArray[np.str_]:
    """What the ends of intervals of differences say; NaN is no interval, and unclear."""
    return np.where(low > 0, "better", np.where(high < 0, "worse", "unclear"))


class Gain(msgspec.Struct, frozen=True):
    """What the other model gains in AP over all classes with boxes, the ends of its paired interval, and the verdict.

    None where something is not known.
    """

    delta: float | None
    low: float | None
    high: float | None
    verdict: str


def mean_gain(numbers: pa.Table, other_numbers: pa.Table, main: str = "AP") -> Gain:
    """The gain over all classes together. Arguments as in `comparison_table`.

    In every resample that has the one image of a class, the class gains the same: images alone do not
    tell how far that is chance. Such classes, of too few images, are resampled too, as a group.
    """
    _, n_images, ap = _by_class(numbers, main)
    gains = _by_class(other_numbers, main)[2] - ap
    few = np.flatnonzero((n_images > 0) & (n_images < MIN_IMAGES))
    if len(few):
        drawn = np.random.default_rng(0).choice(few, (len(few), gains.shape[1]))
        drawn[:, 0] = few
        gains[few] = gains[drawn, np.arange(gains.shape[1])]
    delta = mean_of_known(gains.T)
    low, high = interval(delta[None, 1:], delta[:1])
    gain, low_end, high_end = (float(value) if np.isfinite(value) else None for value in (delta[0], low[0], high[0]))
    return Gain(gain, low_end, high_end, str(verdicts(low, high)[0]))


def _by_class(numbers: pa.Table, main: str) -> tuple[Ints, Ints, Floats]:
    """The classes, rising, their images, and their main number: first the value, then the resamples; ``[k, 1 + n]``."""
    ordered = numbers.select(["category_id", "n_images", "resample", main]).sort_by(
        [("category_id", "ascending"), ("resample", "ascending")]
    )
    ids, first = np.unique(tables.numpy(ordered, "category_id"), return_index=True)
    return ids, tables.numpy(ordered, "n_images")[first], tables.numpy(ordered, main).reshape(len(ids), -1)
