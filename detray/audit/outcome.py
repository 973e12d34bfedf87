"""What the audit says of itself at its end: findings by rule, classes, and what was not checked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from detray import schema
from detray.audit.pipeline import StatedPipeline
from detray.audit.roots import Conclusion
from detray.audit.rule import WARNING
from detray.audit.sentences import Said, sentences
from detray.flow.outcome import Json, Outcome, Table

MAX_CLASSES_SHOWN = 40
MAX_UNKNOWN_SHOWN = 4
FRACTIONAL = ("open_images", "yolo")
"""Formats whose boxes are fractions of pictures, and which do not state the pictures' sizes."""


def outcome(
    conclusion: Conclusion,
    groups: pa.Table,
    statistics: pa.Table,
    said: Sequence[Said],
    *,
    n_rows: int,
    formats: Mapping[str, str],
    pictured: Collection[str],
    looked: bool,
    pipeline: StatedPipeline | None = None,
) -> Outcome:
    """The summary of an audit.

    Args:
        conclusion: findings about no single row, and roots.
        groups: merged counts of raw findings, as `summary.GROUPS`.
        statistics: the table class_stats.
        said: what the findings about rows say.
        n_rows: images and annotations that were audited.
        formats: of each split's files, where it is known.
        pictured: splits whose pictures are at hand.
        looked: whether any pictures were looked at.
        pipeline: the pipeline.config that was checked, too.
    """
    findings_of, to_look_at, total = _counted(conclusion, groups)
    by_rule = [
        [code, schema.SEVERITIES[severity], to_look_at[code, severity], findings_of[code, severity]]
        for code, severity in sorted(findings_of, key=lambda key: (-key[1], -findings_of[key], key[0]))
    ]
    facts: Json = {
        "max_severity": max(total, default=None),
        "findings_by_severity": {schema.SEVERITIES[severity]: total[severity] for severity in sorted(total)[::-1]},
        "findings_by_rule": [dict(zip(("rule", "severity", "roots", "findings"), one, strict=True)) for one in by_rule],
        "pictures_checked": looked,
    }
    advice, next_step = sentences(conclusion.findings, said)
    classes = ("split", "class", "images", "boxes", "share", "median size px", "findings")
    return Outcome(
        counts={"findings": sum(total.values()), "in": n_rows, "kept": n_rows, "quarantined": 0},
        facts=facts,
        summary=[
            Table("Findings by rule", ("rule", "severity", "to look at", "findings"), by_rule),
            Table("Classes", classes, _classes(statistics)),
        ],
        notes=[*_notes(statistics.num_rows, formats, pictured, looked), *_of_pipeline(pipeline)],
        advice=advice,
        next_step=next_step,
    )


def _counted(
    conclusion: Conclusion, groups: pa.Table
) -> tuple[Counter[tuple[str, int]], Counter[tuple[str, int]], Counter[int]]:
    """Findings by rule and severity, those of them that no root explains, and all by severity."""
    findings_of: Counter[tuple[str, int]] = Counter()
    to_look_at: Counter[tuple[str, int]] = Counter()
    total: Counter[int] = Counter()
    heads = _heads(conclusion, groups)
    for group in groups.to_pylist():
        key = group["rule"], group["severity"]
        findings_of[key] += group["n"]
        to_look_at[key] += 0 if group["group"] in conclusion.roots else group["n"]
        total[group["severity"]] += group["n"]
    for row in conclusion.findings:
        key = row["rule"], row["severity"]
        findings_of[key] += row["finding_id"] not in heads
        to_look_at[key] += row.get("root_cause_id") is None
        total[row["severity"]] += 1
    return findings_of, to_look_at, total


def _notes(n_classes: int, formats: Mapping[str, str], pictured: Collection[str], looked: bool) -> list[str]:
    notes = [] if looked else ["pictures not checked: no image folder is stated"]
    if n_classes > MAX_CLASSES_SHOWN:
        notes.append(f"{MAX_CLASSES_SHOWN} of {n_classes} classes shown; class_stats has all")
    return notes + _unmeasured(formats, pictured)


def _of_pipeline(pipeline: StatedPipeline | None) -> list[str]:
    """What of a pipeline.config no rule reads."""
    unknown = pipeline.file.unknown if pipeline is not None else ()
    if pipeline is None or not unknown:
        return []
    named = ", ".join(f"{one.place} (line {one.line})" for one in unknown[:MAX_UNKNOWN_SHOWN])
    more = f" and {len(unknown) - MAX_UNKNOWN_SHOWN} more" if len(unknown) > MAX_UNKNOWN_SHOWN else ""
    return [f"{pipeline.file.name}: no rule reads {len(unknown)} of its fields: {named}{more}"]


def _unmeasured(formats: Mapping[str, str], pictured: Collection[str]) -> list[str]:
    """Splits whose boxes are fractions of pictures that are not at hand."""
    names = [name for name, kind in formats.items() if kind in FRACTIONAL and name not in pictured]
    said = "sizes and overlaps of boxes not judged: they are fractions of pictures whose size is unknown"
    return [f"{', '.join(names)}: {said}; state the image folder"] if names else []


def _heads(conclusion: Conclusion, groups: pa.Table) -> set[str]:
    """The findings that stand for others of their own rule, which are counted in their place."""
    rule_of = {row["finding_id"]: row["rule"] for row in conclusion.findings}
    children = [(group["rule"], conclusion.roots.get(group["group"])) for group in groups.to_pylist()]
    children += [(row["rule"], row.get("root_cause_id")) for row in conclusion.findings]
    return {root for rule, root in children if root is not None and rule_of.get(root) == rule}


def _classes(statistics: pa.Table) -> list[list[object]]:
    """Classes with the most findings of severity warning or more first."""
    rows = []
    for row in statistics.to_pylist():
        serious = sum(row[f"n_findings_{name}"] for name in schema.SEVERITIES[WARNING:])
        share = None if row["share"] is None else round(row["share"], 4)
        size = None if row["size_p50"] is None else round(row["size_p50"], 1)
        rows.append([row["split"], row["category_name"], row["n_images"], row["n_boxes"], share, size, serious])
    return sorted(rows, key=lambda row: (-row[6], -row[3], row[0], str(row[1])))[:MAX_CLASSES_SHOWN]
