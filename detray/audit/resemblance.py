"""Which classes of two lots of boxes look alike, whatever their ids and names say.

A class is known by the size, aspect and place of its boxes, how many stand in an image, in which share
of the images it stands, and beside which others. Where boxes of one split, or of an annotator or a
source file, look like those of another split only under a mapping of the ids, the ids were mixed up.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Floats
from detray.audit.groups import Group, of_people_and_files
from detray.audit.measures import measure
from detray.audit.statistics import (
    Histogram,
    chance_of_distance,
    chance_of_ranks,
    distance,
    effect_of_shares,
)
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import View
from detray.tables import Shard

MEASURES = ("size", "aspect", "left", "top", "boxes_per_image")
MIN_IMAGES = 30
MAX_CHANCE = 0.001
MOST = 0.8  # of the classes
UNLIKE, ALIKE = 0.2, 0.15
TIE = 0.05
"""Mean distances from which boxes are of another class, and up to which they are of the same."""

MIN_CONFIDENCE = 0.99
SHIFTS = (1, -1, 2, -2)
MAX_CLASSES = 50
"""Classes that look strange up to which any mapping of theirs is tried; beyond, only shifts of all ids."""


@dataclass(frozen=True)
class Boxes:
    """The boxes of a split, or of an annotator or a source file of it, by class.

    ``suffix`` ends the names of their measures in ``tally``; ``listed`` are the ids of the split's classes.
    """

    tally: Tally
    suffix: str
    n_images: int
    listed: Collection[int]

    @cached_property
    def images(self) -> dict[int, int]:
        """Images that hold the class; classes without are absent."""
        return self.tally.per_class(f"boxes_per_image{self.suffix}")

    @cached_property
    def known(self) -> list[int]:
        """The classes with images enough to be known by."""
        return [key for key in self.listed if self.images.get(key, 0) >= MIN_IMAGES]

    def histogram(self, measure: str, key: int) -> Histogram:
        """What was counted under ``measure`` of the class ``key``."""
        return self.tally.histogram(f"{measure}{self.suffix}", key)


def of_split(data: Summary, split: str) -> Boxes:
    """The boxes of a split."""
    return Boxes(data.tallies[split], "", data.n_images(split), data.classes[split])


def of_group(data: Summary, group: Group) -> Boxes:
    """The boxes of an annotator or a source file, of which `measure_groups` made evidence."""
    return Boxes(data.evidence[group.split], group.suffix, group.n_images(data), data.classes[group.split])


def measure_groups(view: View, groups: Sequence[Group]) -> Iterator[pa.Table]:
    """What is counted by class in one shard, for annotators and source files."""
    wanted = {group.suffix for group in groups}
    for suffix, rows in of_people_and_files(view):
        if suffix in wanted:
            drawn_on = np.unique(view.image_of[rows])
            images = view.images.take(drawn_on[drawn_on >= 0])
            counted = measure(View(Shard(view.split, images, view.annotations.take(rows), view.categories)))
            counted = counted.filter(pc.is_in(counted["measure"], value_set=pa.array([*MEASURES, "companions"])))
            named = pc.binary_join_element_wise(counted["measure"], suffix, "")
            yield counted.set_column(0, counted.schema.field(0), named)


def differ(here: Boxes, there: Boxes) -> bool:
    """Whether the boxes of any class that both know look different by no chance."""
    both = [key for key in here.known if there.images.get(key, 0) >= MIN_IMAGES]
    return any(
        len(MEASURES) * len(both) * _chance(here, there, key, distances(here, there, key, key)) < MAX_CHANCE
        for key in both
    )


@dataclass(frozen=True)
class Remapped:
    """Classes of one split whose boxes look like those of other ids in another split, and how sure that is."""

    ids: Mapping[int, int]
    confidence: float


def remapped(here: Boxes, there: Boxes) -> Remapped | None:
    """The mapping under which boxes look like others; None where they do as they are, or under none."""
    strange = [key for key in here.known if key not in there.known or _is_strange(here, there, key)]
    if len(strange) < 2:
        return None
    tried = [{key: key + shift for key in here.known if key + shift in there.known} for shift in SHIFTS]
    tried = [ids for ids in tried if len(ids) >= MOST * len(here.known) - 1] + [_assigned(here, there, strange)]
    for ids in tried:
        own = [distances(here, there, key, key).mean() for key in ids if key in there.known]
        looks = [distances(here, there, *pair).mean() for pair in ids.items()]
        if len(ids) < 2 or np.mean(looks) > ALIKE or (own and np.mean(looks) > np.mean(own) / 2):
            continue
        confidence = preference(here, there, ids, {key: key for key in ids})
        if confidence >= MIN_CONFIDENCE:
            return Remapped(ids, confidence)
    return None


def _assigned(here: Boxes, there: Boxes, strange: Sequence[int]) -> dict[int, int]:
    """The best mapping of classes that look strange to each other's ids and to ids that they have not."""
    from scipy.optimize import linear_sum_assignment

    free = sorted({key for key in there.known if key in strange or key not in here.listed})
    if len(strange) > MAX_CLASSES or len(free) < len(strange):
        return {}
    gaps = np.array([[distances(here, there, one, two).mean() for two in free] for one in strange])
    pairs = [
        (strange[row], free[column], gaps[row, column])
        for row, column in zip(*linear_sum_assignment(gaps), strict=True)
    ]
    ids = {one: two for one, two, gap in pairs if one != two and gap <= ALIKE}
    return ids if len(ids) >= len(strange) / 2 else {}


def preference(here: Boxes, there: Boxes, mapping: Mapping[int, int], against: Mapping[int, int]) -> float:
    """The confidence that boxes look alike under one mapping of ids more than under another.

    One less the chance, by Wilcoxon's signed-rank test, that the measures of the classes would prefer it so
    much; where they differ by no more than `TIE` they prefer neither.
    """
    gains = [np.zeros(0)]
    for key in mapping:
        if key not in against or mapping[key] == against[key]:
            continue
        mine, theirs = (
            np.append(distances(here, there, key, one[key]), _beside(here, there, key, one))
            for one in (mapping, against)
        )
        gains.append(theirs - mine)
    gain = np.concatenate(gains)
    return 1 - chance_of_ranks(gain[np.abs(gain) > TIE])


def distances(here: Boxes, there: Boxes, one: int, two: int) -> Floats:
    """How much boxes of class ``one`` differ from others of class ``two``: 0 to 1 for each of `MEASURES`, and for the
    share of images."""
    found = [
        distance(a, b) if len(a[0]) and len(b[0]) else 1.0
        for measure in MEASURES
        for a, b in [(here.histogram(measure, one), there.histogram(measure, two))]
    ]
    shares = [boxes.images.get(key, 0) / max(boxes.n_images, 1) for boxes, key in ((here, one), (there, two))]
    return np.array([*found, effect_of_shares(*(min(share, 1.0) for share in shares)) / np.pi])


def _is_strange(here: Boxes, there: Boxes, key: int) -> bool:
    """Whether a class's boxes look unlike those under the same id, and by no chance."""
    gaps = distances(here, there, key, key)
    if not there.images.get(key, 0):
        return True
    return (
        bool(gaps.mean() >= UNLIKE) and len(MEASURES) * len(here.listed) * _chance(here, there, key, gaps) < MAX_CHANCE
    )


def _chance(here: Boxes, there: Boxes, key: int, gaps: Floats) -> float:
    return chance_of_distance(float(gaps[:-1].max()), here.images[key], there.images[key])


def _beside(here: Boxes, there: Boxes, key: int, mapping: Mapping[int, int]) -> float:
    """How much the shares of a class's images that hold each other class differ, under a mapping."""
    theirs = _shares_beside(there, mapping[key])
    moved = {mapping.get(one, one): share for one, share in _shares_beside(here, key).items()}
    return sum(abs(moved.get(one, 0.0) - theirs.get(one, 0.0)) for one in moved.keys() | theirs.keys())


def _shares_beside(boxes: Boxes, key: int) -> dict[int, float]:
    """Of the images with a class, the share that hold each other class."""
    images = boxes.images
    n = max(images.get(key, 0), 1)
    found: dict[int, float] = {}
    for one in images:
        pairs: Histogram = boxes.histogram("companions", min(one, key))
        place = np.searchsorted(pairs[0], max(one, key))
        if one != key and place < len(pairs[0]) and pairs[0][place] == max(one, key):
            found[one] = float(pairs[1][place]) / n
    return found
