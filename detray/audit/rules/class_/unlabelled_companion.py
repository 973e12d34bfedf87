"""A class is absent where its usual companions stand.

Failure: plates without their car, cells of one kind without the other: in images where a class nearly always stands
beside another and here does not, it was probably not drawn, and the model is taught that it is background.
Number: of the images with the companion, the share that also hold the class. In one split at least `min_share`, unless
so many images without it are no surprise (chance at least 0.01, or less than twice as many or few as foretold): where
it often stands alone in its image, by Chao's estimate of the images with none from those with one and with two; where
its number differs much from image to image, by the negative binomial distribution of that mean and variance. Both are
of the whole split, and taken for as large a part of it as the images are that hold both. Or in other splits together at
least `min_share` and in this one at most half of that. From `min_images` images with the companion on; the first five
that lack the class are named.
Source: association rules, confidence: Agrawal et al., SIGMOD 1993; Chao, Scand. J. Statistics 11 (1984); Anscombe,
Biometrika 37 (1950), for the negative binomial. In the public BCCD data set all 19 images that it finds hold cells of
the absent class, which were not drawn, or drawn as another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Flags, Hashes, Ints
from detray.audit import tally
from detray.audit.rule import SUSPECT, Fact, HypothesisRule, Limits, Suspects, Threshold
from detray.audit.statistics import chance_of_count
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.text import mix
from detray.audit.view import View

MAX_NAMED = 5
MAX_CHANCE = 0.01
MIN_RATIO = 2.0

Shares = dict[tuple[int, int], tuple[int, int]]
"""By class and companion: images with both, and images with the companion."""


def shares(data: Summary, least: float) -> dict[str, Shares]:
    """By split: the pairs that reach the share ``least`` in any split, of the millions that many classes make."""
    counted = {split: _companions(data, split) for split in data.splits}
    reached = [keys[both / np.maximum(images, 1) >= least] for keys, _, both, images in counted.values()]
    common = np.unique(np.concatenate([np.zeros(0, np.uint64), *reached]))
    found: dict[str, Shares] = {}
    for split, (keys, pairs, both, images) in counted.items():
        rows = np.isin(keys, common)
        values = zip(both[rows].tolist(), images[rows].tolist(), strict=True)
        found[split] = dict(zip(map(tuple, pairs[rows].tolist()), values, strict=True))
    return found


def _companions(data: Summary, split: str) -> tuple[Hashes, Ints, Ints, Ints]:
    """Pairs of class and companion, ``[n, 2]``, both ways: a key of each, images with both, and with the companion."""
    lower, higher, both = data.tallies[split].all_of("companions")
    pairs = np.concatenate([np.stack([lower, higher], axis=1), np.stack([higher, lower], axis=1)])
    known = np.array([(0, 0), *sorted(data.images[split].items())], np.int64)[1:]
    images = known[np.searchsorted(known[:, 0], pairs[:, 1]), 1]  # a companion has images
    return mix(pairs[:, 0], pairs[:, 1]), pairs, np.tile(both, 2), images


@dataclass(frozen=True)
class Missing:
    """A class that is absent from ``n`` of the images with its companion."""

    category_id: int
    companion: int
    n: int
    images: int
    expected: str
    confidence: float


def suspects(data: Summary, limits: Limits) -> Suspects:
    """For each class of each split, the companion in the most of whose images it is absent."""
    by_split = shares(data, limits["min_share"])
    found: dict[str, list[Missing]] = {}
    for split in data.splits:
        best: dict[int, Missing] = {}
        for one in _missing(data, split, by_split, limits):
            known = best.get(one.category_id)
            if known is None or (one.n, one.confidence) > (known.n, known.confidence):
                best[one.category_id] = one
        if best:
            found[split] = [best[key] for key in sorted(best)]
    return found


def _missing(data: Summary, split: str, by_split: dict[str, Shares], limits: Limits) -> Iterator[Missing]:
    found, names = by_split[split], data.classes[split]
    pairs = set(found).union(*(shares for other, shares in by_split.items() if other != split))
    for one, other in sorted(pairs):
        both, images = found.get((one, other), (0, data.images[split].get(other, 0)))
        if one not in names or other not in names or images < limits["min_images"] or both == images:
            continue
        here = both / images
        elsewhere = [
            shares[one, other] for name, shares in by_split.items() if name != split and (one, other) in shares
        ]
        there = sum(n for n, _ in elsewhere) / max(sum(n for _, n in elsewhere), 1)
        enough = sum(n for _, n in elsewhere) >= limits["min_images"]
        if here >= limits["min_share"] and _by_no_chance(images - both, both, data.tallies[split], one):
            yield Missing(one, other, images - both, images, f"as in the other {both} of {images} images", here)
        elif enough and there >= limits["min_share"] and here <= there / 2:
            expected = f"in {there:.0%} of them, as in the other splits"
            yield Missing(one, other, images - both, images, expected, there)


def _by_no_chance(absent: int, both: int, counted: Tally, category_id: int) -> bool:
    """Whether the class's numbers in the images that hold it foretell another number without it.

    Where its objects come at random f1 images with one and f2 with two foretell f1 (f1 - 1) / 2 (f2 + 1) with none
    (Chao 1984). If far fewer are, it is no such class: it usually stands there, as one number plate on a car.
    Where its numbers scatter more than that, none is but the low end of them, and more would be a surprise.

    Args:
        absent, both: images of a companion without the class, and with it.
    """
    keys, n = counted.histogram("boxes_per_image", category_id)
    once, twice = (int(n[keys == key].sum()) for key in (1, 2))
    part = both / float(n.sum())
    foretold = part * once * (once - 1) / (2 * (twice + 1))
    return _differs(absent, foretold) and (
        absent > (scattered := part * _foretold_by_scatter(keys, n)) and _differs(absent, scattered)
    )


def _differs(seen: int, foretold: float) -> bool:
    """By far, and by no chance: Poisson counts of that mean are so far from it in less than one case of a hundred."""
    if not foretold:
        return True
    is_far = not foretold / MIN_RATIO < seen < foretold * MIN_RATIO
    return is_far and chance_of_count(seen, foretold) < MAX_CHANCE


def _foretold_by_scatter(keys: Ints, n: Ints) -> float:
    """Images with none by a negative binomial distribution of the mean and variance of ``n`` images with ``keys``."""
    images = int(n.sum())
    mean = float(n @ keys) / images
    surplus = float(n @ (keys - mean) ** 2) / images - mean
    if surplus <= 0:  # they scatter no more than what comes at random
        return 0.0
    shape = mean * mean / surplus
    none = (shape / (shape + mean)) ** shape
    return images * none / (1 - none)


def gather(view: View, suspected: Sequence[Missing]) -> Iterator[pa.Table]:
    """The images that have the companion and not the class: by class the image's id as key, and in the measure's name
    the companion and the file; the first few."""
    for one in suspected:
        alone = np.flatnonzero(_holds(view, one.companion) & ~_holds(view, one.category_id))
        first = alone[np.lexsort((tables.numpy(view.images, "image_row", -1)[alone], view.own_image_ids[alone]))]
        for image, name in zip(first[:MAX_NAMED].tolist(), view.file_names(first[:MAX_NAMED]).to_pylist(), strict=True):
            key = view.own_image_ids[[image]]
            yield tally.count(
                _measure(one, name or f"image {key[0]}"), np.array([one.category_id]), np.zeros(1, np.int64), key
            )


def _holds(view: View, category_id: int) -> Flags:
    """The images of a shard that hold a class, ``[m]``."""
    images = view.image_of[view.category_ids == category_id]
    holds = np.zeros(view.images.num_rows, bool)
    holds[images[images >= 0]] = True
    return holds


def _measure(one: Missing, file_name: str) -> str:
    return f"without:{one.companion}:{file_name}"


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, suspected in suspects(data, limits).items():
        names = data.classes[split]
        for one in suspected:
            facts.append(
                Fact(
                    split,
                    f"not in {one.n} of {one.images} images with {names[one.companion]}{_named(data, split, one)}",
                    expected=one.expected,
                    category_id=one.category_id,
                    category_name=names[one.category_id],
                    other_category_name=names[one.companion],
                    count=one.n,
                    confidence=one.confidence,
                )
            )
    return facts


def _named(data: Summary, split: str, one: Missing) -> str:
    evidence, start = data.evidence.get(split), _measure(one, "")
    if evidence is None:
        return ""
    found = sorted(
        (int(key), measure.removeprefix(start))
        for measure in evidence.measures
        if measure.startswith(start)
        for key in evidence.histogram(measure, one.category_id)[0]
    )
    more = ", ..." if one.n > MAX_NAMED else ""
    return f": {', '.join(name for _, name in found[:MAX_NAMED])}{more}" if found else ""


RULE = HypothesisRule(
    code="unlabelled-companion",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the class is absent where its usual companion stands",
    fix="look at the images that have the companion and not the class",
    doc=__doc__,
    thresholds=(
        Threshold("min_share", 0.95, "of the images", 0.5, 1.0, "companions stand together in at least this share"),
        Threshold("min_images", 30, "images", 2, 1e9, "fewer images with the companion are not judged"),
    ),
    suspects=suspects,
    gather=gather,
    check=_check,
)
