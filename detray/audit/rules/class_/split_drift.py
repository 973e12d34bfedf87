"""A class looks different from one split to the other.

Failure: what was learned from one split does not hold on the other; a validation AP then measures the split, not the
model.
Number: the Kolmogorov-Smirnov distance of size, aspect, and horizontal and vertical place of the boxes between the
split and the training split (else the largest), at least `min_distance`; and Cohen's h of the shares of images that
hold the class, at least `min_effect`. Boxes of one image are not independent, so images are counted: from
`min_images` on in both, and where chance, times the number of comparisons, is below 0.01.
Source: Kolmogorov-Smirnov test with Stephens' correction; Cohen, Statistical Power Analysis, 1988, chapter 6.
"""

from collections.abc import Iterator, Sequence

from detray.audit.measures import EDGE_STEPS
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.drift import MAX_CHANCE, drifted, judged_classes, reference
from detray.audit.statistics import chance_of_score, effect_of_shares, quantile_key
from detray.audit.summary import Summary
from detray.audit.tally import bin_centres

PROPERTIES = ("size", "aspect", "left", "top")


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    other = reference(data)
    if other is None:
        return []
    return [fact for split in data.splits if split != other for fact in _between(data, split, other, limits)]


def _between(data: Summary, split: str, other: str, limits: Limits) -> Iterator[Fact]:
    judged = list(judged_classes(data, split, other, limits["min_images"]))
    here, there = data.tallies[split], data.tallies[other]
    for category_id, name, n, m in judged:
        for measure in PROPERTIES:
            a, b = here.histogram(measure, category_id), there.histogram(measure, category_id)
            if not len(a[0]) or not len(b[0]):
                continue
            found = drifted(a, b, n, m, len(judged) * len(PROPERTIES), limits["min_distance"])
            if found is not None:
                yield Fact(
                    split,
                    f"{measure}: distance {found.gap:.2f}, median {_median(measure, a)}",
                    expected=f"median {_median(measure, b)} as in {other}",
                    category_id=category_id,
                    category_name=name,
                    confidence=1 - found.chance,
                    share=measure,
                )
    total, total_there = data.n_images(split), data.n_images(other)
    for category_id, name in data.classes[split].items():
        n, m = data.images[split].get(category_id, 0), data.images[other].get(category_id, 0)
        if min(total, total_there) < limits["min_images"] or min(n, m) == 0:
            continue
        effect = effect_of_shares(n / total, m / total_there)
        # the difference of two shares on the scale of h has variance 1/n + 1/m
        score = effect / (1 / total + 1 / total_there) ** 0.5
        chance = len(data.classes[split]) * chance_of_score(score)
        if effect >= limits["min_effect"] and chance < MAX_CHANCE:
            yield Fact(
                split,
                f"in {n / total:.1%} of the images, effect {effect:.2f}",
                expected=f"in {m / total_there:.1%} as in {other}",
                category_id=category_id,
                category_name=name,
                confidence=1 - chance,
                share="images",
            )


def _median(measure: str, histogram: tuple) -> str:
    key = quantile_key(histogram, 0.5)
    if measure in ("left", "top"):
        return f"{key / EDGE_STEPS:.2f} of the image"
    return f"{bin_centres(key):.1f} px" if measure == "size" else f"{bin_centres(key):.2f}"


RULE = SummaryRule(
    code="split-drift",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the class looks different in another split",
    fix="split again at random, by scene or source if images come in groups",
    doc=__doc__,
    thresholds=(
        Threshold("min_distance", 0.25, "of 1", 0.01, 1.0, "Kolmogorov-Smirnov distance"),
        Threshold("min_effect", 0.5, "Cohen's h", 0.01, 3.2, "of the shares of images that hold the class"),
        Threshold("min_images", 30, "images", 2, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
