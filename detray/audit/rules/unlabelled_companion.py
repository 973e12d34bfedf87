"""A class is absent where its usual companions stand.

Failure: plates without their car, cells of one kind without the other: in images where a class nearly always stands
beside another and here does not, it was probably not drawn, and the model is taught that it is background.
Number: of the images with the companion, the share that also hold the class. In one split at least `min_share`: the
remaining images are named. Or in other splits together at least `min_share` and in this one at most half of that.
From `min_images` images with the companion on.
Source: association rules, confidence: Agrawal et al., SIGMOD 1993.
"""

from collections.abc import Iterator, Sequence

from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary

Shares = dict[tuple[int, int], tuple[int, int]]
"""By class and companion: images with both, and images with the companion."""


def shares(data: Summary, split: str) -> Shares:
    tally, images = data.tallies[split], data.images[split]
    found: Shares = {}
    for one in sorted(images):
        for other, both in zip(*(part.tolist() for part in tally.histogram("companions", one)), strict=True):
            found[one, other] = (both, images.get(other, 0))
            found[other, one] = (both, images[one])
    return found


def check(data: Summary, limits: Limits) -> Sequence[Fact]:
    by_split = {split: shares(data, split) for split in data.splits}
    facts = []
    for split, found in by_split.items():
        best: dict[int, Fact] = {}
        for missing, fact in _missing(data, split, found, by_split, limits):
            known = best.get(missing)
            if known is None or (fact.confidence, fact.count or 0) > (known.confidence, known.count or 0):
                best[missing] = fact
        facts += [best[key] for key in sorted(best)]
    return facts


def _missing(
    data: Summary, split: str, found: Shares, by_split: dict[str, Shares], limits: Limits
) -> Iterator[tuple[int, Fact]]:
    names = data.classes[split]
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
        if here >= limits["min_share"]:
            expected, confidence = f"as in the other {both} of {images} images", here
        elif enough and there >= limits["min_share"] and here <= there / 2:
            expected, confidence = f"in {there:.0%} of them, as in the other splits", there
        else:
            continue
        yield (
            one,
            Fact(
                split,
                f"not in {images - both} of {images} images with {names[other]}",
                expected=expected,
                category_id=one,
                category_name=names[one],
                other_category_name=names[other],
                count=images - both,
                confidence=confidence,
            ),
        )


RULE = SummaryRule(
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
    check=check,
)
