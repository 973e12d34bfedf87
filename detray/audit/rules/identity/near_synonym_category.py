"""Two classes have names that differ in spelling only.

Failure: one class was written in two ways ('traffic light', 'Traffic-Lights'), so its boxes are divided: each half
has fewer examples, and detections of one count as false for the other.
Number: names that are equal without case, spaces, punctuation (not symbols as in c++), Unicode variants and an
English plural's ending.
Source: Unicode normalisation form NFKC (UAX 15); merged data sets.
"""

from collections.abc import Sequence

from detray.audit.rule import WARNING, Fact, Limits, SummaryRule
from detray.audit.summary import Summary
from detray.meaning.names import plain, plurals


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    facts = []
    for split, names in data.classes.items():
        known: dict[str, tuple[int, str]] = {}  # by spelling, plurals too
        for category_id, name in sorted(names.items()):
            word = plain(name)
            spellings = [word, *sorted(plurals(word))]
            first_id, first = next((known[one] for one in spellings if one in known), (category_id, name))
            for one in spellings:
                known.setdefault(one, (first_id, first))
            if first != name:
                n, m = (data.boxes[split].get(one, 0) for one in (category_id, first_id))
                facts.append(
                    Fact(
                        split,
                        f"'{name}' with {n} boxes, '{first}' with {m}",
                        category_id=category_id,
                        category_name=name,
                        other_category_name=first,
                        count=n,
                    )
                )
    return facts


RULE = SummaryRule(
    code="near-synonym-category",
    family="identity",
    severity=WARNING,
    scope="class",
    problem="its name is another class's in a different spelling",
    fix="merge the two classes",
    doc=__doc__,
    check=_check,
)
