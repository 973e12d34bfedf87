"""Which class each class id of the detections means, from what the detections sit on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detray.diagnose import thresholds as t
from detray.diagnose.observe import Tally


@dataclass(frozen=True)
class ClassRemap:
    """Detections labelled ``source`` mean the class ``target``; ``hits`` of its ``n`` boxes say so."""

    source: int
    target: int
    hits: int
    n: int


@dataclass(frozen=True)
class LabelFault:
    """All remaps, and what they have in common: ``offset`` if every id is shifted by as much."""

    remaps: Mapping[int, ClassRemap]
    """By target class."""
    offset: int | None

    @property
    def classes(self) -> dict[int, int]:
        """From the id that detections carry to the class they mean."""
        return {remap.source: target for target, remap in self.remaps.items()}


def find_remaps(tally: Tally) -> LabelFault | None:
    """The assignment of detection ids to classes that co-occurrence shows (Hungarian method, Kuhn 1955).

    A class takes part where its own recall is nil; an id where its own recall is nil or it has no
    boxes, and it covers a share of the class's boxes and most of those that anything covers. Where
    most remaps shift the id by the same number, classes with too few boxes to tell follow.
    """
    voted = {category for category, _ in tally.votes}

    def nil(category: int) -> bool:
        n = tally.boxes.get(category, 0)
        own = tally.votes.get((category, category), 0) if category in voted else tally.hits.get(category, 0)
        return own <= t.NIL_RECALL * n

    targets = sorted(k for k, n in tally.boxes.items() if n and nil(k))
    sources = sorted(k for k, n in tally.detections.items() if n and nil(k))
    if not targets or not sources:
        return None
    weight = np.zeros((len(targets), len(sources)))
    column = {k: place for place, k in enumerate(sources)}
    row = {k: place for place, k in enumerate(targets)}
    covered = dict.fromkeys(targets, 0)
    for (target, source), n in tally.votes.items():
        if target in row and source != target:
            covered[target] += n
            if source in column:
                weight[row[target], column[source]] = n / tally.boxes[target]
    if weight.max() < t.REMAP_SHARE:
        return None
    from scipy.optimize import linear_sum_assignment  # a second to import, and seldom needed

    chosen = zip(*linear_sum_assignment(weight, maximize=True), strict=True)
    remaps: dict[int, ClassRemap] = {}
    weak: dict[int, ClassRemap] = {}
    for i, j in chosen:
        target, source = targets[i], sources[j]
        hits = tally.votes.get((target, source), 0)
        remap = ClassRemap(source, target, hits, tally.boxes[target])
        if target == source or weight[i, j] < t.REMAP_SHARE or hits < t.REMAP_DOMINANCE * covered[target]:
            continue
        (remaps if hits >= t.MIN_HITS else weak)[target] = remap
    offset = _common_offset(remaps)
    remaps |= {k: r for k, r in weak.items() if offset is not None and r.source - r.target == offset}
    return LabelFault(remaps, offset) if remaps else None


def _common_offset(remaps: Mapping[int, ClassRemap]) -> int | None:
    """The shift of the ids that at least two thirds, and at least two, of the remaps share."""
    shifts = [remap.source - remap.target for remap in remaps.values()]
    if len(shifts) < 2:
        return None
    common = max(set(shifts), key=shifts.count)
    return common if shifts.count(common) >= max(2, 2 * len(shifts) / 3) else None
