"""Findings about no single row: facts on classes and splits, and the faults that many rows share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from detray import schema
from detray.audit.explained import unexplained
from detray.audit.findings import hash_of
from detray.audit.rule import Active, Effect, Fact, HypothesisRule, Rule, SummaryRule
from detray.audit.summary import Summary

MIN_SHARED = 10
"""Findings of one rule, severity and split from which they count as one fault."""

_THINGS = {"annotation": "boxes", "image": "images", "class": "categories", "split": "files"}
"""What the rows of a group are, by their scope."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Conclusion:
    """``findings`` about no single row, as rows of that table, and the root finding's id of each group that has one.

    ``drawn``: the ids of those about pictures that are drawn twice, by both splits and the class.
    """

    findings: list[Row]
    roots: dict[int, str]
    drawn: Mapping[tuple[str, str, int | None], str] = field(default_factory=dict)

    def table(self, run: str) -> pa.Table:
        """The findings about no single row, as rows of the table findings."""
        return schema.from_rows("findings", self.findings, run=run)


def judge(data: Summary, active: Active) -> Conclusion:
    """Findings on classes, splits and the data set, and the roots of the groups of raw findings."""
    facts = [
        (rule, limits, fact)
        for rule, limits in active.rules
        if isinstance(rule, SummaryRule | HypothesisRule)
        for fact in rule.check(data, limits)
    ]
    told = unexplained(facts)
    found = conclude(told, data.groups, {rule.code: rule for rule, _ in active.rules}, data.classes)
    drawn = {(*fact.of_splits, fact.category_id): finding_id(rule, fact) for rule, _, fact in told if fact.of_splits}
    return replace(found, drawn=drawn)


def conclude(
    facts: Sequence[tuple[Rule, dict[str, float], Fact]],
    groups: pa.Table,
    rules: Mapping[str, Rule],
    names: Mapping[str, Mapping[int, str]],
) -> Conclusion:
    """Facts as findings, and root findings for what at least `MIN_SHARED` findings have in common.

    Args:
        facts: what the rules on classes, splits and the data set found, with rule and thresholds.
        groups: merged counts of raw findings, as `summary.GROUPS`.
        rules: by code.
        names: of classes, by split and id.
    """
    found = [_of_fact(rule, limits, fact) for rule, limits, fact in facts]
    counted = groups.to_pylist()
    of_rule: dict[str, list[Row]] = defaultdict(list)
    for group in counted:
        of_rule[group["rule"]].append(group)
    roots: dict[int, str] = {}
    for row, (_, _, fact) in zip(found, facts, strict=True):
        for group in (group for code in fact.explains for group in of_rule[code]):
            if _explains(fact, group):
                roots.setdefault(group["group"], row["finding_id"])
    for row, (_, _, fact) in zip(found, facts, strict=True):
        for effect in fact.effects:
            for other in found:
                if _is_effect(other, effect) and other is not row:
                    other["root_cause_id"] = row["finding_id"]
    shared: dict[tuple[str, int, str, str, str | None], list[Row]] = defaultdict(list)
    for group in counted:
        if group["group"] not in roots:
            shared[group["rule"], group["severity"], group["scope"], group["split"], group["share"]].append(group)
    for members in shared.values():
        n = sum(group["n"] for group in members)
        if n >= MIN_SHARED:
            root = _root(rules[members[0]["rule"]], members, n, names)
            found.append(root)
            roots |= {group["group"]: root["finding_id"] for group in members}
    return Conclusion(found + _roots_of_classes(found, rules), roots)


def _explains(fact: Fact, group: Row) -> bool:
    """Whether a group of findings, of a rule that the fact explains, is about what the fact is about."""
    return (
        fact.split in (None, group["split"])
        and fact.category_id in (None, group["category_id"])
        and fact.annotator in (None, group["annotator"])
        and fact.source_file in (None, group["whole_file"])
        and fact.of_share in (None, group["share"])
        and (fact.of_classes is None or group["category_id"] in fact.of_classes)
    )


def _is_effect(row: Row, effect: Effect) -> bool:
    """Whether a finding on a class, which has no root yet, is such an effect."""
    return (
        row["rule"] == effect.rule
        and row["root_cause_id"] is None
        and effect.split in (None, row["split"])
        and row["category_id"] in effect.category_ids
    )


def _of_fact(rule: Rule, limits: dict[str, float], fact: Fact) -> Row:
    if fact.category_id is not None:
        subject = fact.category_name or f"class {fact.category_id}"
        scope, subject = "class", f"{subject} in {fact.split}" if fact.split else subject
    elif fact.split is not None:
        scope, subject = "split", f"split {fact.split}"
    else:
        scope, subject = "dataset", PurePath(fact.source_file).name if fact.source_file else "the data set"
    severity = rule.severity if fact.severity is None else fact.severity
    key = finding_id(rule, fact)
    row = _row(rule, severity, scope, fact.split, key, f"{subject}: {rule.problem}", fact.observed)
    if rule.thresholds:
        broken = next((one for one in rule.thresholds if one.name == fact.threshold), rule.thresholds[0])
        row |= {"threshold": limits[broken.name], "unit": broken.unit}
    return row | {
        "confidence": fact.confidence,
        "count": fact.count,
        "category_id": fact.category_id,
        "category_name": fact.category_name,
        "other_category_name": fact.other_category_name,
        "source_file": fact.source_file,
        "annotator": fact.annotator,
        "root_cause_id": finding_id(rule, fact.root) if fact.root is not None else None,
        "expected": fact.expected or rule.expected,
        "fix": fact.fix or rule.fix,
    }


def finding_id(rule: Rule, fact: Fact) -> str:
    """The id of the finding of a fact."""
    about = (fact.split, fact.category_id, fact.category_name, fact.other_category_name, fact.share)
    return hash_of(rule.code, *about, fact.annotator, fact.source_file)


def _root(rule: Rule, members: list[Row], n: int, names: Mapping[str, Mapping[int, str]]) -> Row:
    """The finding for ``n`` rows of one split."""
    split, share, severity, things = (members[0][name] for name in ("split", "share", "severity", "scope"))
    ids = {group["category_id"] for group in members}
    category_id = ids.pop() if len(ids) == 1 else None
    name = names.get(split, {}).get(category_id) if category_id is not None else None
    whose = f" of {name}" if name else ""
    subject = f"{n} {_THINGS[things]}{whose} in split {split}"
    scope = "split" if category_id is None else "class"
    key = hash_of(rule.code, "root", severity, things, split, share)
    return _row(rule, severity, scope, split, key, f"{subject}: {rule.problem}", share) | {
        "count": n,
        "category_id": category_id,
        "category_name": name,
    }


def _roots_of_classes(found: Iterable[Row], rules: Mapping[str, Rule]) -> list[Row]:
    """One finding for each rule and split that many classes have in common; theirs then point to it."""
    shared: dict[tuple[str, int, str | None], list[Row]] = defaultdict(list)
    for row in found:
        if row["scope"] == "class" and rules[row["rule"]].scope == "class" and row.get("root_cause_id") is None:
            shared[row["rule"], row["severity"], row["split"]].append(row)
    roots = []
    for (code, severity, split), members in shared.items():
        if len(members) < MIN_SHARED:
            continue
        where = f" in split {split}" if split else ""
        key = hash_of(code, "root", severity, split, None)
        message = f"{len(members)} classes{where}: {rules[code].problem}"
        scope = "split" if split else "dataset"
        roots.append(_row(rules[code], severity, scope, split, key, message, None) | {"count": len(members)})
        for row in members:
            row["root_cause_id"] = key
    return roots


def _row(rule: Rule, severity: int, scope: str, split: str | None, key: str, message: str, observed: str | None) -> Row:
    return {
        "finding_id": key,
        "rule": rule.code,
        "family": rule.family,
        "severity": severity,
        "severity_name": schema.SEVERITIES[severity],
        "confidence": 1.0,
        "scope": scope,
        "split": split,
        "observed": observed,
        "expected": rule.expected,
        "message": f"{message} ({observed})" if observed else message,
        "fix": rule.fix,
    }
