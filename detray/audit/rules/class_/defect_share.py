"""One class holds far more than its share of the defects.

Failure: whoever or whatever drew this class works differently from the rest: one annotator, one import script, one
confusing guideline. Mending it there mends most of the data set.
Number: the class's share of the findings of severity warning or more on rows of the split, over its share of the
boxes, at least `min_ratio`, from `min_defects` findings on, where chance is below 0.001.
Source: the exact binomial test, one-sided, as in scipy.stats.binomtest.
"""

from collections import Counter
from collections.abc import Sequence

from detray.audit.rule import SUSPECT, WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.statistics import chance_of_excess
from detray.audit.summary import Summary

MAX_CHANCE = 0.001


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split in data.splits:
        defects: Counter[int] = Counter()
        for group in data.groups.to_pylist():
            if group["split"] == split and group["severity"] >= WARNING and group["category_id"] in data.classes[split]:
                defects[group["category_id"]] += group["n"]
        all_defects, all_boxes = defects.total(), sum(data.boxes[split].values())
        for category_id, k in sorted(defects.items()):
            expected = data.boxes[split].get(category_id, 0) / max(all_boxes, 1)
            found = k / all_defects
            if k < limits["min_defects"] or not 0 < expected < 1 or found < limits["min_ratio"] * expected:
                continue
            chance = chance_of_excess(k, all_defects, expected)
            if chance < MAX_CHANCE:
                facts.append(
                    Fact(
                        split,
                        f"{found:.0%} of {all_defects} defects, {expected:.1%} of the boxes",
                        category_id=category_id,
                        category_name=data.classes[split][category_id],
                        count=k,
                        confidence=1 - chance,
                    )
                )
    return facts


RULE = SummaryRule(
    code="defect-share",
    family="class",
    severity=SUSPECT,
    scope="class",
    problem="the class holds far more than its share of the defects",
    fix="look at how this class was drawn or imported",
    doc=__doc__,
    thresholds=(
        Threshold("min_ratio", 3, "times", 1, 1e9, "share of the defects over share of the boxes"),
        Threshold("min_defects", 10, "findings", 1, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
