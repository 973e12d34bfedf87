"""Which causes hold for a class, in which order, and as which rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from detray.diagnose.case import Case
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import SYMPTOM, Cause, Verdict
from detray.diagnose.causes.crowd_only import CrowdOnly
from detray.diagnose.causes.no_ground_truth import NoGroundTruth
from detray.diagnose.costliest import costliest
from detray.settings import to_yaml

FIRST = (NoGroundTruth.name, CrowdOnly.name)
"""A class without ground truth has no AP that another cause could explain."""


@dataclass(frozen=True)
class Ranked:
    """A cause that holds, with what it says."""

    cause: Cause
    verdict: Verdict


def ranked(case: Case, causes: Sequence[Cause] = CAUSES) -> list[Ranked]:
    """The causes that hold for the class, the likeliest first.

    Where none holds, the kind of error that costs most stands in (see `costliest`).
    By group; within a group the one that costs more AP, unknown costs last. Symptoms that another
    cause explains, and those that only show as long as a mapping fault is not repaired, stand last.
    """
    holding = [(cause, verdict) for cause in causes if (verdict := cause.judge(case)) is not None]
    if not holding and (costs := costliest(case)) is not None:
        name, verdict = costs
        return [Ranked(cause, verdict) for cause in causes if cause.name == name]
    explained = {name for cause, _ in holding for name in cause.explains}
    found = [(cause, verdict, cause.name in explained) for cause, verdict in holding]
    if case.is_repaired:
        names = {cause.name for cause, _, _ in found}
        unrepaired = replace(case, view=case.given, around=case.around.unrepaired)
        found += [
            (cause, verdict, True)
            for cause in causes
            if cause.group == SYMPTOM and cause.name not in names and (verdict := cause.judge(unrepaired)) is not None
        ]
    order = {cause.name: place for place, cause in enumerate(causes)}

    def key(entry: tuple[Cause, Verdict, bool]) -> tuple[object, ...]:
        cause, verdict, is_explained = entry
        cost = float("inf") if verdict.d_ap is None else -verdict.d_ap
        return cause.name not in FIRST, is_explained, cause.group, cost, order[cause.name]

    return [Ranked(cause, verdict) for cause, verdict, _ in sorted(found, key=key)]


def rows_of(case: Case, found: Sequence[Ranked]) -> list[dict[str, Any]]:
    """The rows of ``diagnoses`` about one class, without run, split and model."""
    return [
        {
            "category_id": case.category,
            "category_name": case.name,
            "rank": place,
            "cause": entry.cause.name,
            "confidence": entry.verdict.confidence,
            "ap": case.given.ap,
            "ap50": case.given.ap50,
            "d_ap": entry.verdict.d_ap,
            "evidence": json.dumps({key: _rounded(value) for key, value in entry.verdict.numbers.items()}),
            "sentence": entry.verdict.sentence,
            "remedy": entry.verdict.remedy,
            "remedy_config": to_yaml(entry.verdict.config) if entry.verdict.config else None,
        }
        for place, entry in enumerate(found, start=1)
    ]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
