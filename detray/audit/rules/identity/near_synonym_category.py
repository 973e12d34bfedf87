"""Two classes have names that differ in spelling only, or by what looks like a slip of the pen.

Failure: one class was written in two ways ('traffic light', 'Traffic-Lights'), so its boxes are divided: each half
has fewer examples, and detections of one count as false for the other.
Number: names that are equal without case, spaces, punctuation (not symbols as in c++), Unicode variants and an
English plural's ending. A slip (helmmet) is one letter within a name of at least 6 left out, put in or
exchanged with the next, or within one of at least 8 replaced, in a class with at most `max_share` of the boxes
of the other one, which has at least `min_boxes`; it is a suspicion.
Source: Unicode normalisation form NFKC (UAX 15); merged data sets. Damerau, A technique for computer detection and
correction of spelling errors (CACM 1964): 80% of slips are one of these four. No two of the 1,203 names of LVIS are
so near to each other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from detray.audit.rule import SUSPECT, WARNING, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.identity.slips import is_slip, slip_keys
from detray.audit.summary import Summary
from detray.meaning.names import plain, plurals


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    return [*_spelt_otherwise(data), *_slips(data, limits)]


def _spelt_otherwise(data: Summary) -> list[Fact]:
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


def _slips(data: Summary, limits: Limits) -> Iterator[Fact]:
    boxes: Counter[str] = Counter()
    for split, names in data.classes.items():
        for category_id, name in names.items():
            boxes[name] += data.boxes[split].get(category_id, 0)
    usual = {plain(name): name for name, count in boxes.items() if count >= limits["min_boxes"]}
    near: dict[str, set[str]] = defaultdict(set)
    for word in usual:
        for key in slip_keys(word):
            near[key].add(word)
    for split, names in data.classes.items():
        for category_id, name in sorted(names.items()):
            count = data.boxes[split].get(category_id, 0)
            found = {word for key in slip_keys(plain(name)) for word in near[key]} if count else set()
            for word in sorted(found):
                other = usual[word]
                if is_slip(plain(name), word) and boxes[name] <= limits["max_share"] * boxes[other]:
                    yield Fact(
                        split,
                        f"'{name}' with {count} boxes is a letter apart from '{other}' with {boxes[other]}",
                        category_id=category_id,
                        category_name=name,
                        other_category_name=other,
                        count=count,
                        severity=SUSPECT,
                        confidence=0.8,
                        threshold="max_share",
                    )


RULE = SummaryRule(
    code="near-synonym-category",
    family="identity",
    severity=WARNING,
    scope="class",
    problem="its name is another class's in a different spelling",
    fix="merge the two classes",
    doc=__doc__,
    thresholds=(
        Threshold("max_share", 0.05, "of the other's boxes", 0.0, 1.0, "a slip is rare beside the name that was meant"),
        Threshold("min_boxes", 20, "boxes", 1, 1e9, "with fewer it is not known which of the two names was meant"),
    ),
    check=_check,
)
