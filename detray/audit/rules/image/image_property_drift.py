"""The pictures of a class are darker, flatter or more blurred in one split than in the other.

Failure: another camera, season or compression: what was learned at one brightness does not hold at another, and the
validation AP measures the camera.
Number: the Kolmogorov-Smirnov distance of brightness (mean luma), contrast (its standard deviation) and sharpness
(variance of the Laplacian) of the images that hold the class, or of all, between the split and the training split
(else the largest), at least `min_distance`, from `min_images` images on in both, and where chance, times the number
of comparisons, is below 0.01.
Source: Kolmogorov-Smirnov test with Stephens' correction; variance of the Laplacian: Pech-Pacheco et al., ICPR 2000.
"""

from collections.abc import Iterator, Sequence

from detray.audit.picture_measures import PROPERTIES, value_of
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.drift import drifted, reference
from detray.audit.statistics import quantile_key
from detray.audit.summary import Summary
from detray.audit.view import NO_ID


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    other = reference(data)
    if other is None:
        return []
    return [fact for split in data.splits if split != other for fact in _between(data, split, other, limits)]


def _between(data: Summary, split: str, other: str, limits: Limits) -> Iterator[Fact]:
    here, there = data.tallies[split], data.tallies[other]
    groups: list[tuple[int, str | None]] = [(NO_ID, None), *data.classes[split].items()]
    overall = set()
    for category_id, name in groups:
        for measure in PROPERTIES:
            a, b = here.histogram(measure, category_id), there.histogram(measure, category_id)
            n, m = int(a[1].sum()), int(b[1].sum())
            if min(n, m) < limits["min_images"] or measure in overall:
                continue
            found = drifted(a, b, n, m, len(groups) * len(PROPERTIES), limits["min_distance"])
            if found is None:
                continue
            if name is None:
                overall.add(measure)  # the classes only repeat what holds for all pictures
            yield Fact(
                split,
                f"{measure}: distance {found.gap:.2f}, median {value_of(measure, quantile_key(a, 0.5)):.0f}",
                expected=f"median {value_of(measure, quantile_key(b, 0.5)):.0f} as in {other}",
                category_id=None if name is None else category_id,
                category_name=name,
                confidence=1 - found.chance,
                share=measure,
            )


RULE = SummaryRule(
    code="image-property-drift",
    family="image",
    severity=SUSPECT,
    scope="class",
    problem="its pictures look different in another split",
    fix="split again at random, or train with stronger colour and blur augmentation",
    doc=__doc__,
    thresholds=(
        Threshold("min_distance", 0.25, "of 1", 0.01, 1.0, "Kolmogorov-Smirnov distance"),
        Threshold("min_images", 30, "images", 2, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
