"""What another rule's finding accounts for is not told again: the same boxes, one fault, one remedy."""

from collections.abc import Sequence
from itertools import product

from detray.audit.rule import Fact, Rule

Found = tuple[Rule, dict[str, float], Fact]


def unexplained(facts: Sequence[Found]) -> list[Found]:
    """The facts less those about boxes, or part of the boxes, of a fact that explains their rule."""
    accounted = {(code, *_about(fact)) for rule, _, fact in facts for code in fact.explains if code != rule.code}
    rules = {code for code, *_ in accounted}
    return [one for one in facts if one[0].code not in rules or accounted.isdisjoint(_wider(one[0].code, one[2]))]


def _about(fact: Fact) -> tuple[object, ...]:
    return fact.split, fact.category_id, fact.annotator, fact.source_file


def _wider(code: str, fact: Fact) -> set[tuple[object, ...]]:
    """A rule's code with all that a fact is about, or any part of that: the fewer are stated, the more boxes."""
    return set(product((code,), *((stated, None) for stated in _about(fact))))
