"""What each part has of each class, and how far its boxes are from training's, as the audit measures drift."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detray.arrays import Floats, Ints
from detray.audit.rules.class_.split_drift import RULE
from detray.audit.statistics import distance, effect_of_shares

LIMITS = {threshold.name: threshold.default for threshold in RULE.thresholds}
"""From which on the audit calls it drift: distance and effect, of classes with so many images in both."""
_UNKNOWN = -(10**6)


def drift_rows(
    parts: Sequence[str], names: Mapping[int, str], part_of: Ints, image_of: Ints, classes: Ints, sizes: Floats
) -> list[list[Any]]:
    """A row a class: its boxes in each part, and of the part that is farthest from the first the distances.

    Args:
        parts: their names; the first is what others are compared with.
        names: of classes.
        part_of: the part of each image, ``[n]``.
        image_of: the place of each box's image, ``[b]``.
        classes: of the boxes, ``[b]``.
        sizes: square roots of their areas, px, ``[b]``; NaN where not known.

    Returns:
        Class, boxes a part, the Kolmogorov-Smirnov distance of box sizes, Cohen's h of the shares of images, and
        whether the audit would call either drift. None where a part has no box to compare.
    """
    images = np.bincount(part_of, minlength=len(parts))
    steps = np.where(np.isfinite(sizes) & (sizes > 0), np.round(8 * np.log2(np.maximum(sizes, 1e-3))), _UNKNOWN)
    steps = steps.astype(np.int64)
    rows = []
    for number in sorted(set(names) | set(classes.tolist())):
        own = classes == number
        boxes = np.bincount(part_of[image_of[own]], minlength=len(parts))
        holding = [len(np.unique(image_of[own & (part_of[image_of] == part)])) for part in range(len(parts))]
        compared = [
            (
                _size_distance(steps[own & (part_of[image_of] == 0)], steps[own & (part_of[image_of] == part)]),
                effect_of_shares(holding[0] / max(images[0], 1), holding[part] / max(images[part], 1)),
                min(holding[0], holding[part]) >= LIMITS["min_images"],
            )
            for part in range(1, len(parts))
            if holding[0] and holding[part]
        ]
        sizes_apart = max((found[0] for found in compared if found[0] is not None), default=None)
        shares_apart = max((found[1] for found in compared), default=None)
        drifts = any(
            judged and ((gap or 0.0) >= LIMITS["min_distance"] or effect >= LIMITS["min_effect"])
            for gap, effect, judged in compared
        )
        rows.append([names.get(number, f"id {number}"), *boxes.tolist(), sizes_apart, shares_apart, drifts])
    return rows


def _size_distance(here: Ints, there: Ints) -> float | None:
    """Of two lists of steps; None where one has none that is known."""
    found = [np.unique(one[one != _UNKNOWN], return_counts=True) for one in (here, there)]
    if not all(len(keys) for keys, _ in found):
        return None
    here_counts, there_counts = ((keys, counts.astype(np.int64)) for keys, counts in found)
    return distance(here_counts, there_counts)
