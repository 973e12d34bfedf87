"""Pictures of the evaluated split beside those of training: brightness, contrast and sharpness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.audit.picture_measures import PROPERTIES, key_of, value_of
from detray.audit.statistics import Histogram, chance_of_distance, distance, pooled, quantile_key
from detray.diagnose.criterion import Criterion

PICTURES_APART = Criterion(0.25, "Kolmogorov-Smirnov distance, as of the audit's rule image-property-drift")
PICTURES_FAR = Criterion(0.5, "the same where nothing but the pictures tells: half of them look like no other")
PICTURES_CHANCE = Criterion(0.01, "the usual level of a test, for all properties together")
FEWEST_PICTURES = Criterion(8, "pictures of a split from which a distribution can be told")

Measured = Mapping[str, Histogram]
"""By property the pictures of a split, in bins."""


@dataclass(frozen=True)
class PictureDrift:
    """How far a property of the pictures lies from training: the distance, and the medians here and there."""

    measure: str
    distance: float
    here: float
    there: float


def measured(parts: Sequence[pa.Table]) -> Measured:
    """The pictures of rows of ``image_stats``; no property of those that could not be read."""
    found = {}
    for measure in PROPERTIES:
        values = [np.asarray(tables.numpy(rows, measure), np.float64) for rows in parts]
        keys = [np.unique(key_of(measure, own[np.isfinite(own)]), return_counts=True) for own in values]
        found[measure] = pooled(keys)
    return found


def drifts_of(here: Measured, there: Measured) -> tuple[PictureDrift, ...] | None:
    """The properties that differ beyond chance, the one that differs most first; None where too few tell."""
    found, is_told = [], False
    for measure in here.keys() & there.keys():
        a, b = here[measure], there[measure]
        n, m = int(a[1].sum()), int(b[1].sum())
        if min(n, m) < FEWEST_PICTURES:
            continue
        is_told, gap = True, distance(a, b)
        if gap >= PICTURES_APART and len(PROPERTIES) * chance_of_distance(gap, n, m) < PICTURES_CHANCE:
            middle, usual = (value_of(measure, quantile_key(own, 0.5)) for own in (a, b))
            found.append(PictureDrift(measure, gap, middle, usual))
    return tuple(sorted(found, key=lambda one: (-one.distance, one.measure))) if is_told else None
