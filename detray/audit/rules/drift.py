"""What the rules on drift share: two splits' histograms of one class compared."""

from collections.abc import Iterator
from dataclasses import dataclass

from detray.audit.statistics import Histogram, chance_of_distance, distance
from detray.audit.summary import Summary

MAX_CHANCE = 0.01


@dataclass(frozen=True)
class Drift:
    """How far a split's histogram is from the reference's: the distance and its chance, corrected for the number
    of comparisons."""

    gap: float
    chance: float


def reference(data: Summary) -> str | None:
    """The split that others are compared with: train, else the one with the most boxes; None if there is one split."""
    if len(data.splits) < 2:
        return None
    return (
        "train" if "train" in data.splits else max(data.splits, key=lambda one: (data.tallies[one].total("boxes"), one))
    )


def drifted(here: Histogram, there: Histogram, n: int, m: int, comparisons: int, min_distance: float) -> Drift | None:
    """The drift between two histograms of n and m independent images; None where there is none to speak of."""
    gap = distance(here, there)
    chance = min(1.0, comparisons * chance_of_distance(gap, n, m))
    return Drift(gap, chance) if gap >= min_distance and chance < MAX_CHANCE else None


def judged_classes(data: Summary, split: str, other: str, min_images: float) -> Iterator[tuple[int, str, int, int]]:
    """The classes that both splits show often enough: id, name, and images of each."""
    for category_id, name in data.classes[split].items():
        n, m = (data.images[one].get(category_id, 0) for one in (split, other))
        if min(n, m) >= min_images:
            yield category_id, name, n, m
