"""Annotators who drew on the same images do not agree.

Failure: the ground truth is what one person made of the guideline; where two differ, no detection can be right for
both, and the AP that a model can reach is bounded by their agreement.
Number: for each pair of annotators, on images where both drew at least `min_boxes` boxes together, boxes matched
one to one at IoU 0.5: the F1 of their boxes, at least `min_f1`; the mean IoU of matches, at least `min_iou`; the
share of matches with the same class, at least `min_same_class`. And each annotator's bias: the median ratio of side
lengths to the others', within `max_bias`.
Source: inter-annotator agreement as in LVIS (Gupta et al., CVPR 2019, section 4) and COCO (Lin et al., ECCV 2014,
appendix).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.statistics import Histogram, pooled, quantile_key
from detray.audit.summary import Summary
from detray.audit.tally import Tally, bin_centres


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [fact for split in data.splits for fact in _in_split(data, split, limits)]


def _in_split(data: Summary, split: str, limits: Limits) -> Iterator[Fact]:
    tally = data.tallies[split]
    people = data.annotators(split)
    ratios: dict[str, list[Histogram]] = {name: [] for name in people}
    for place, one in enumerate(people):
        for other in people[place + 1 :]:
            pair = f"{one}|{other}"
            boxes = int(tally.histogram(f"pair:boxes:{pair}")[1].sum())
            if boxes < limits["min_boxes"]:
                continue
            keys, n = tally.histogram(f"pair:size:{pair}")
            ratios[one].append((keys, n))
            ratios[other].append((-keys[::-1], n[::-1]))
            poor = _poor(tally, pair, boxes, limits)
            if poor:
                yield Fact(split, f"{one} and {other}: {', '.join(poor)}", count=boxes, share=pair)
    for name, found in ratios.items():
        histogram = pooled(found)
        if not len(histogram[0]):
            continue
        ratio = float(bin_centres(quantile_key(histogram, 0.5)))
        if max(ratio, 1 / ratio) > limits["max_bias"]:
            kind = "larger" if ratio > 1 else "tighter"
            yield Fact(
                split,
                f"{name} draws boxes {abs(ratio - 1):.0%} {kind} than the others",
                count=int(histogram[1].sum()),
                share=name,
                annotator=name,
            )


def _poor(tally: Tally, pair: str, boxes: int, limits: Limits) -> list[str]:
    """In what two annotators agree less than they should."""
    keys, n = tally.histogram(f"pair:matched:{pair}")
    matched = int(n.sum())
    found = []
    f1 = 2 * matched / boxes
    if f1 < limits["min_f1"]:
        found.append(f"F1 of boxes {f1:.2f}")
    if matched:
        iou = float(np.sum((keys + 0.5) * n) / (100 * matched))
        same, how_many = tally.histogram(f"pair:classes:{pair}")
        share = float(how_many[same == 1].sum() / matched)
        if iou < limits["min_iou"]:
            found.append(f"mean IoU {iou:.2f}")
        if share < limits["min_same_class"]:
            found.append(f"same class in {share:.0%}")
    return found


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
        Threshold("max_bias", 1.1, "times", 1.0, 10.0, "side lengths against the others'"),
        Threshold("min_boxes", 40, "boxes", 2, 1e9, "fewer are not judged"),
    ),
    check=check,
)
