"""Annotators who drew on the same images do not agree.

Failure: the ground truth is what one person made of the guideline; where two differ, no detection can be right for
both, and the AP that a model can reach is bounded by their agreement.
Number: for each pair of annotators, on images where both drew (and at most 32 in all) at least `min_boxes` boxes
together, boxes matched one to one at IoU 0.5: the F1 of their boxes, at least `min_f1`; the mean IoU of matches, at
least `min_iou`; the share of matches with the same class, at least `min_same_class`; how far their numbers of boxes
agree, one less the sum over images of the difference over all boxes, at least `min_same_count`. And the bias of one
against the other: the median ratio of side lengths, within `max_bias`; the ratio of their numbers of boxes, within
`max_count_bias`, where chance would prefer one so often in less than one case in a thousand (sign test over images).
Who disagrees with most of the others, and more than these with each other, is named in one finding, to which those of
his pairs point.
Source: inter-annotator agreement as in LVIS (Gupta et al., CVPR 2019, section 4) and COCO (Lin et al., ECCV 2014,
appendix); Bray and Curtis, Ecological Monographs 27 (1957), for the numbers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detray.arrays import Ints
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.statistics import chance_of_preference, pooled, quantile_key
from detray.audit.summary import Summary
from detray.audit.tally import Tally, bin_centres

MAX_CHANCE = 0.001
_BOXES = "pair:boxes:"

Pair = tuple[str, str]


@dataclass(frozen=True)
class Agreement:
    """How well one annotator agrees with another, or with several: values by the threshold that they are held against.

    The biases are above 1 where the one draws larger boxes, or more.
    """

    boxes: int
    values: dict[str, float]

    def breaks(self, limits: Limits) -> list[str]:
        """The thresholds that it does not keep."""
        return [
            name
            for name, value in self.values.items()
            if (value < limits[name] if name.startswith("min_") else max(value, 1 / value) > limits[name])
        ]


def agreement(tally: Tally, one: str, pairs: Sequence[Pair]) -> Agreement:
    """That of ``one`` with the other in each of ``pairs``, all together."""

    def counted(what: str) -> tuple[Ints, Ints]:
        found = []
        for pair in pairs:
            keys, n = tally.histogram(f"pair:{what}:{'|'.join(pair)}")
            if what in ("count", "size") and pair[0] != one:
                keys = -keys
            found.append((keys, n))
        return pooled(found)

    boxes = sum(_boxes(tally, pair) for pair in pairs)
    ious, n_matched = counted("matched")
    matched = int(n_matched.sum())
    more, images = counted("count")
    values = {"min_f1": 2 * matched / boxes}
    if matched:
        same, n_same = counted("classes")
        values["min_iou"] = float(np.sum((ious + 0.5) * n_matched) / (100 * matched))
        values["min_same_class"] = float(n_same[same == 1].sum() / matched)
    values["min_same_count"] = 1 - float(np.sum(np.abs(more) * images) / boxes)
    if matched:
        values["max_bias"] = float(bin_centres(quantile_key(counted("size"), 0.5)))
    excess = int(np.sum(more * images))
    often, seldom = sorted([int(images[more > 0].sum()), int(images[more < 0].sum())], reverse=True)
    if abs(excess) < boxes and chance_of_preference(often, seldom) < MAX_CHANCE:
        values["max_count_bias"] = (boxes + excess) / (boxes - excess)
    return Agreement(boxes, values)


def _boxes(tally: Tally, pair: Pair) -> int:
    return int(tally.histogram(_BOXES + "|".join(pair))[1].sum())


def at_fault(judged: Collection[Pair], poor: Collection[Pair]) -> dict[Pair, str]:
    """Who is to blame for poor pairs: who disagrees with most of the others, and more than these with each other.

    Pairs that nobody alone explains are absent.
    """
    found: dict[Pair, str] = {}
    left, unexplained = set(judged), set(poor)
    while unexplained:
        met, bad = (Counter(name for pair in pairs for name in pair) for pairs in (left, unexplained))
        worst = min(bad, key=lambda name: (-bad[name] / met[name], -bad[name], name))
        share = bad[worst] / met[worst]
        others = [pair for pair in left if worst not in pair]
        of_others = sum(pair in unexplained for pair in others) / max(len(others), 1)
        if bad[worst] < 2 or share <= max(of_others, 0.5):
            break
        mine = {pair for pair in unexplained if worst in pair}
        found |= dict.fromkeys(mine, worst)
        unexplained -= mine
        left = set(others)
    return found


def _pairs(data: Summary, split: str) -> Iterator[Pair]:
    """The annotators who share images: of many, most share none."""
    people = set(data.annotators(split))
    for measure in data.tallies[split].measures:
        if measure.startswith(_BOXES):
            names = measure.removeprefix(_BOXES).split("|")  # a name may hold the sign, too
            cuts = (("|".join(names[:cut]), "|".join(names[cut:])) for cut in range(1, len(names)))
            yield from [(one, other) for one, other in cuts if one in people and other in people][:1]


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [fact for split in data.splits for fact in _in_split(data, split, limits)]


def _in_split(data: Summary, split: str, limits: Limits) -> Iterator[Fact]:
    tally = data.tallies[split]
    judged = {
        pair: agreement(tally, pair[0], [pair])
        for pair in _pairs(data, split)
        if _boxes(tally, pair) >= max(limits["min_boxes"], 1)
    }
    broken = {pair: found.breaks(limits) for pair, found in judged.items()}
    faults: defaultdict[str, defaultdict[Pair, list[str]]] = defaultdict(lambda: defaultdict(list))
    unexplained: defaultdict[Pair, list[str]] = defaultdict(list)
    for name in (one.name for one in RULE.thresholds):
        poor = [pair for pair, names in broken.items() if name in names]
        blamed = at_fault(judged, poor)
        for pair in poor:
            (faults[blamed[pair]] if pair in blamed else unexplained)[pair].append(name)
    for who, mine in sorted(faults.items()):
        names = [one.name for one in RULE.thresholds if any(one.name in broken for broken in mine.values())]
        root = _fact(tally, split, who, sorted(mine), names, limits)
        yield root
        for pair, own in sorted(mine.items()):
            yield _fact(tally, split, who, [pair], own, limits, root)
    for pair, own in sorted(unexplained.items()):
        yield _fact(tally, split, pair[0], [pair], own, limits)


def _fact(
    tally: Tally,
    split: str,
    who: str,
    pairs: Sequence[Pair],
    names: Sequence[str],
    limits: Limits,
    root: Fact | None = None,
) -> Fact:
    """What ``who`` and those of ``pairs`` disagree in, by the names of thresholds."""
    found = agreement(tally, who, pairs)
    others = [other if one == who else one for one, other in pairs]
    is_shared = root is None and len(pairs) == 1
    words = [_WORDS[name](found.values[name]) for name in names if name in found.values]
    return Fact(
        split,
        f"{who} against {', '.join(others)}: {', '.join(words)}",
        expected=", ".join(_EXPECTED[name].format(limits[name]) for name in names),
        count=found.boxes,
        share="|".join([who, *others]),
        annotator=None if is_shared else who,
        threshold=names[0],
        root=root,
    )


_WORDS: dict[str, Callable[[float], str]] = {
    "min_f1": "F1 of boxes {:.2f}".format,
    "min_iou": "mean IoU {:.2f}".format,
    "min_same_class": "same class in {:.0%} of the matches".format,
    "min_same_count": "numbers of boxes agree to {:.0%}".format,
    "max_bias": lambda ratio: f"draws boxes {abs(ratio - 1):.0%} {'larger' if ratio > 1 else 'tighter'}",
    "max_count_bias": lambda ratio: f"draws {abs(ratio - 1):.0%} {'more' if ratio > 1 else 'fewer'} boxes",
}
_EXPECTED = {
    "min_f1": "F1 of at least {:g}",
    "min_iou": "mean IoU of at least {:g}",
    "min_same_class": "the same class in at least {:.0%}",
    "min_same_count": "numbers of boxes that agree to at least {:.0%}",
    "max_bias": "sides within {:g} times",
    "max_count_bias": "numbers of boxes within {:g} times",
}


RULE = SummaryRule(
    code="annotator-disagreement",
    family="class",
    severity=SUSPECT,
    scope="split",
    problem="its annotators do not agree",
    fix="settle the guideline on the images that they share, and draw again",
    doc=__doc__,
    thresholds=(
        Threshold("min_f1", 0.8, "F1", 0.0, 1.0, "of the boxes of two annotators"),
        Threshold("min_iou", 0.75, "IoU", 0.0, 1.0, "mean of their matched boxes"),
        Threshold("min_same_class", 0.9, "of the matches", 0.0, 1.0, "matches of the same class"),
        Threshold("min_same_count", 0.85, "of the boxes", 0.0, 1.0, "how far their numbers of boxes agree"),
        Threshold("max_bias", 1.1, "times", 1.0, 10.0, "side lengths against the other's"),
        Threshold("max_count_bias", 1.15, "times", 1.0, 1e6, "number of boxes against the other's"),
        Threshold("min_boxes", 40, "boxes", 2, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
