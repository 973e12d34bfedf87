"""What a rule is, and what it answers with."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from detray.arrays import Floats, Hashes, Ints, Ints8, Rows
from detray.audit.pictures import PictureView
from detray.audit.summary import Summary
from detray.audit.view import View
from detray.errors import UsageError

INFO, SUSPECT, WARNING, ERROR, FATAL = range(5)
"""Severities by effect; error and fatal need proof."""

Scope = Literal["dataset", "split", "class", "image", "annotation"]
About = Literal["annotations", "images"]
Limits = Mapping[str, float]
"""A rule's thresholds by name."""


@dataclass(frozen=True)
class Threshold:
    """A number that a rule compares with: its default, unit, range and meaning."""

    name: str
    default: float
    unit: str
    low: float
    high: float
    description: str


@dataclass(frozen=True)
class Hits:
    """Rows that a rule objects to, and what it saw there.

    Attributes:
        rows: positions in the view's table ``about``, int64 ``[k]``; a row may stand there twice.
        about: the table.
        observed, expected: text for each row, or one for all.
        severity: int8 ``[k]`` where it is not the rule's.
        confidence: float64 ``[k]``; None where proven.
        other: positions of the other annotation of each pair, int64 ``[k]``.
        other_file_name, other_split: of the other picture of each pair, text ``[k]``.
        share: text ``[k]``: rows of one rule and split with the same text have one fault in common.
            With ``share_name`` it is what the root finding names: the field ``area``, the id ``7``.
        extra: text ``[k]`` that tells apart several findings of one rule on one row.
    """

    rows: Rows
    about: About = "annotations"
    observed: pa.Array | str | None = None
    expected: pa.Array | str | None = None
    severity: Ints8 | None = None
    confidence: Floats | None = None
    other: Rows | None = None
    other_file_name: pa.Array | None = None
    other_split: pa.Array | None = None
    share: pa.Array | None = None
    extra: pa.Array | None = None


@dataclass(frozen=True)
class Keys:
    """What a collision rule compares across the whole data set.

    Two rows collide where their ``hashes``, uint64 ``[k]``, are equal; ``rows`` are positions in a table of the view.
    """

    rows: Rows
    hashes: Hashes


@dataclass(frozen=True)
class Fact:
    """A finding about a class, a split or the data set.

    ``explains`` names rules whose rows of that split, class, annotator and source file (all where None)
    have this finding as their root cause, and whose facts about these are not told; ``effects`` are
    findings on classes that have this root. ``share`` tells apart several facts of one rule about the
    same split and class. ``threshold`` names the one that it breaks, the rule's first where None;
    ``fix`` stands in the place of the rule's; ``root`` is the fact of the same rule that explains it. With
    ``of_share`` it explains only rows with that `Hits.share`, with ``of_classes`` only those of these classes.
    ``of_splits`` are the two splits of a fact about pictures that are drawn twice.
    """

    split: str | None
    observed: str
    expected: str | None = None
    category_id: int | None = None
    category_name: str | None = None
    other_category_name: str | None = None
    count: int | None = None
    confidence: float = 1.0
    severity: int | None = None
    explains: tuple[str, ...] = ()
    effects: "tuple[Effect, ...]" = ()
    share: str | None = None
    annotator: str | None = None
    source_file: str | None = None
    threshold: str | None = None
    fix: str | None = None
    root: "Fact | None" = None
    of_share: str | None = None
    of_classes: frozenset[int] | None = None
    of_splits: tuple[str, str] | None = None


@dataclass(frozen=True)
class Effect:
    """What a rule finds about some classes of a split (of any where None) as the effect of something else."""

    rule: str
    category_ids: frozenset[int]
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Its sentences are read by people: ``problem`` completes 'RBC in a.jpg: ...'.

    ``doc`` is the text of its module: what fails, how the number is formed, and where that is known
    from.
    """

    code: str
    family: Literal["schema", "identity", "geometry", "relation", "class", "image", "pipeline", "pattern"]
    severity: int
    scope: Scope
    problem: str
    fix: str
    doc: str
    expected: str | None = None
    thresholds: tuple[Threshold, ...] = ()

    @property
    def defaults(self) -> dict[str, float]:
        """The thresholds that hold where none are configured."""
        return {threshold.name: threshold.default for threshold in self.thresholds}


@dataclass(frozen=True, kw_only=True)
class RowRule(Rule):
    """Judges rows of one shard by themselves."""

    check: Callable[[View, Limits], Sequence[Hits]]


@dataclass(frozen=True, kw_only=True)
class CollisionRule(Rule):
    """Judges rows by others that may lie in any shard: those with equal keys (of several splits: ``across_splits``)."""

    keys: Callable[[View], Keys]
    describe: Callable[[View, Rows, Ints], Hits]
    """Given the view, the rows that collide and how many rows (if ``across_splits``, splits) have each one's key."""
    across_splits: bool = False


@dataclass(frozen=True, kw_only=True)
class SummaryRule(Rule):
    """Judges classes, splits or the whole data set by merged tallies."""

    check: Callable[[Summary, Limits], Sequence[Fact]]


Suspects = Mapping[str, Sequence[Any]]
"""By split: what a hypothesis is tested on, as the rule's ``gather`` takes it."""


@dataclass(frozen=True, kw_only=True)
class HypothesisRule(Rule):
    """Judges by evidence that is gathered, in a second look, only where the tallies raise a suspicion."""

    suspects: Callable[[Summary, Limits], Suspects]
    gather: Callable[[View, Sequence[Any]], Iterable[pa.Table]]
    """Given the view and the suspects of its split: a tally."""
    check: Callable[[Summary, Limits], Sequence[Fact]]


@dataclass(frozen=True, kw_only=True)
class OutlierRule(Rule):
    """Judges objects by their distance from the median of their class, in octaves.

    ``measure`` is size (the side of a square of equal area), aspect, or beside (size against the
    neighbours of its class in the image); the thresholds are max_deviations, max_expected, min_boxes
    and, where there is one, min_ratio of the longer side over the shorter.
    """

    measure: Literal["size", "aspect", "beside"]
    observed: Callable[[View, Rows], pa.Array]
    expected_of: Callable[[View, Rows, Floats], pa.Array]
    """Given the medians of the rows' classes, in octaves."""


@dataclass(frozen=True, kw_only=True)
class LikenessRule(Rule):
    """Judges pictures by others that look like them, in any shard: `likeness` finds the pairs of its ``kinds``."""

    kinds: tuple[str, ...]
    across_splits: bool


@dataclass(frozen=True, kw_only=True)
class DrawnRule(SummaryRule):
    """Judges by pictures that are drawn twice: `Summary.drawn`, and `drawn_twice` describes the images."""


@dataclass(frozen=True, kw_only=True)
class PictureRule(Rule):
    """Judges pictures by what the image pass read."""

    check: Callable[[PictureView, Limits], Sequence[Hits]]


@dataclass(frozen=True)
class Active:
    """The rules that run, each with its thresholds."""

    rules: tuple[tuple[Rule, dict[str, float]], ...]

    def of(self, kind: type[Any]) -> list[tuple[Any, dict[str, float]]]:
        """The rules of one kind, each with its thresholds."""
        return [(rule, limits) for rule, limits in self.rules if isinstance(rule, kind)]


def activate(rules: Sequence[Rule], thresholds: Mapping[str, Mapping[str, Any]], disable: Sequence[str] = ()) -> Active:
    """``rules`` less those in ``disable``, with thresholds as configured.

    Raises:
        UsageError: a code or threshold that does not exist, with the nearest one, or a value out of range.
    """
    known = {rule.code: rule for rule in rules}
    for place, code in [*(("rules", code) for code in thresholds), *(("disable", code) for code in disable)]:
        if code not in known:
            raise UsageError(f"audit.{place}: there is no rule '{code}'; {_nearest(code, known)}")
    for code, values in thresholds.items():
        for name, value in values.items():
            _refuse(known[code], name, value)
    return Active(
        tuple(
            (rule, rule.defaults | {name: float(value) for name, value in thresholds.get(rule.code, {}).items()})
            for rule in rules
            if rule.code not in disable
        )
    )


def _refuse(rule: Rule, name: str, value: object) -> None:
    declared = {threshold.name: threshold for threshold in rule.thresholds}
    if name not in declared:
        hint = _nearest(name, declared) if declared else "it has no thresholds"
        raise UsageError(f"audit.rules.{rule.code}: there is no threshold '{name}'; {hint}")
    limit = declared[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not limit.low <= value <= limit.high:
        unit = f" {limit.unit}" if limit.unit else ""
        raise UsageError(
            f"audit.rules.{rule.code}.{name}: {value!r} is not a number from {limit.low:g} to {limit.high:g}{unit}"
            f" ({limit.description})"
        )


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
