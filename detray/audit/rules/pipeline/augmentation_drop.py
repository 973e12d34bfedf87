"""The configured augmentation loses boxes of a class.

Failure: boxes that leave the picture, or of which little is left, are dropped in silence, so small objects at the
edge, and the classes that lie there, are seen less often than the data set says.
Number: the training split's augmentation (`train.augmentation`) is tried four times on each of up to 500 images; the
share of a class's boxes that it loses, at least `max_lost`, from `min_boxes` tries on.
Source: Albumentations drops boxes by min_visibility and clips them without a word.
"""

from collections.abc import Sequence

from detray.audit.augmented import LOST
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.summary import Summary


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, category_id, name in data.each_class():
        keys, n = data.tallies[split].histogram("augmented", category_id)
        tried, lost = int(n.sum()), int(n[keys == LOST].sum())
        if tried >= limits["min_boxes"] and lost >= limits["max_lost"] * tried:
            observed = f"{lost / tried:.0%} of {tried} tries"
            facts.append(Fact(split, observed, category_id=category_id, category_name=name, count=lost))
    return facts


RULE = SummaryRule(
    code="augmentation-drop",
    family="pipeline",
    severity=SUSPECT,
    scope="class",
    problem="the augmentation loses its boxes",
    fix="use a weaker train.augmentation",
    doc=__doc__,
    thresholds=(
        Threshold("max_lost", 0.1, "of the boxes", 0.001, 1.0, "from this share on it is too many"),
        Threshold("min_boxes", 40, "tries", 4, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
