"""Which causes hold for a class, in which order, and as which rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from detray.arrays import Flags
from detray.diagnose.as_pipeline import remedy_as_pipeline
from detray.diagnose.case import Case
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import LEARNT, MAPPING, SYMPTOM, Cause, Verdict
from detray.diagnose.causes.ground_truth.crowd_only import CrowdOnly
from detray.diagnose.causes.ground_truth.no_ground_truth import NoGroundTruth
from detray.diagnose.causes.training_data.few_examples import FewExamples
from detray.diagnose.costliest import costliest
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.inputs import Input, Inputs
from detray.diagnose.mend import LEAST_GAIN
from detray.pipeline.read import PipelineFile
from detray.settings import to_yaml

EXPLAINED_SHARE = Criterion(0.5, "a symptom is explained if at least half of its boxes or detections are")
LIGHT_SHARE = Criterion(0.25, "share of the AP that the costliest cause costs: below it a cause is not what matters")

FIRST = (NoGroundTruth.name, CrowdOnly.name)
"""A class without ground truth has no AP that another cause could explain."""


@dataclass(frozen=True)
class Ranked:
    """A cause that holds, with what it says."""

    cause: Cause
    verdict: Verdict

    @property
    def is_ceiling(self) -> bool | None:
        """Whether its AP regained is only the most that could be; None where there is no such number."""
        return None if self.verdict.d_ap is None else self.verdict.is_ceiling or self.cause.group in LEARNT


def is_looked_for(cause: Cause, inputs: Inputs) -> bool:
    """Whether what the cause needs is given."""
    return not cause.inputs or not inputs.given.isdisjoint(cause.inputs)


def not_looked_for(inputs: Inputs, causes: Sequence[Cause] = CAUSES) -> list[str]:
    """What to say of the causes that are not looked for, because what they need is not given; one line, if any."""
    skipped: dict[tuple[Input, ...], list[str]] = {}
    for cause in causes:
        if not is_looked_for(cause, inputs):
            skipped.setdefault(cause.inputs, []).append(cause.name)
    named = [f"{', '.join(names)} (no {' and no '.join(needed)})" for needed, names in skipped.items()]
    return [f"not looked for: {'; '.join(named)}"] if named else []


def ranked(case: Case, causes: Sequence[Cause] = CAUSES) -> list[Ranked]:
    """The causes that hold for the class, the likeliest first.

    Where none holds, or only that there are few boxes, the kind of error that costs most stands in
    (see `costliest`). By group; within a group the one that costs more AP, unknown costs last; a cause,
    other than of the mapping, that costs far less than another stands behind those that do not. Symptoms that another
    cause explains (it names them, or those above are about half of the same boxes or detections), and
    those that only show as long as a mapping fault is not repaired, stand last.
    """
    causes = [cause for cause in causes if is_looked_for(cause, case.split.inputs)]
    holding = [(cause, verdict) for cause in causes if (verdict := cause.judge(case)) is not None]
    holding += _stand_in(case, causes, holding)
    explained = {name for cause, verdict in holding for name in (*cause.explains, *verdict.explains)}
    held = [(cause, verdict, cause.name in explained) for cause, verdict in holding]
    if case.is_repaired:
        names = {cause.name for cause, _, _ in held}
        unrepaired = replace(case, result=case.given, split=case.split.unrepaired)
        held += [
            (cause, verdict, True)
            for cause in causes
            if cause.group == SYMPTOM
            and cause.name not in names | explained
            and (verdict := cause.judge(unrepaired)) is not None
            and (verdict.d_ap is None or verdict.d_ap >= LEAST_GAIN)
        ]
    order = {cause.name: place for place, cause in enumerate(causes)}

    most = max((verdict.d_ap or 0.0 for _, verdict, _ in held), default=0.0)

    def key(entry: tuple[Cause, Verdict, bool]) -> tuple[object, ...]:
        cause, verdict, is_explained = entry
        cost = float("inf") if verdict.d_ap is None else -verdict.d_ap
        is_light = cause.group > MAPPING and verdict.d_ap is not None and verdict.d_ap < LIGHT_SHARE * most
        group = 0 if is_explained else cause.group  # of what another cause explains only the cost tells
        return cause.name not in FIRST, is_explained, is_light, group, cost, order.get(cause.name, len(order))

    told = _Told()
    first, last = [], []
    for cause, verdict, is_explained in sorted(held, key=key):
        if is_explained or (cause.group == SYMPTOM and told.covers(verdict)):
            last.append(Ranked(cause, verdict))
        else:
            first.append(Ranked(cause, verdict))
            told.add(verdict)
    return first + last


def _stand_in(
    case: Case, causes: Sequence[Cause], holding: Sequence[tuple[Cause, Verdict]]
) -> list[tuple[Cause, Verdict]]:
    """The kind of error that costs most, where what holds are but symptoms that cost far less, or too few boxes.

    Too few boxes are no reason to say nothing of what is wrong with them.
    """
    others = [entry for entry in holding if entry[0].name != FewExamples.name]
    if any(cause.group != SYMPTOM or verdict.d_ap is None for cause, verdict in others):
        return []
    cause, verdict = costliest(case, causes)
    if verdict.d_ap is None:
        return [] if holding else [(cause, verdict)]
    dearest = max((other.d_ap or 0.0 for _, other in others), default=0.0)
    named = {other.name for other, _ in others}
    return [] if cause.name in named or dearest >= LIGHT_SHARE * verdict.d_ap else [(cause, verdict)]


def only(case: Case, cause: Cause) -> list[Ranked]:
    """The cause alone, where it holds: of a class that needs no other."""
    verdict = cause.judge(case)
    return [] if verdict is None else [Ranked(cause, verdict)]


@dataclass
class _Told:
    """The boxes and the detections that the causes so far are about."""

    boxes: Flags | None = None
    detections: Flags | None = None

    def covers(self, verdict: Verdict) -> bool:
        """Whether at least half of what the verdict is about is among them."""
        pairs = [(self.boxes, verdict.boxes), (self.detections, verdict.detections)]
        known = [(told, own) for told, own in pairs if told is not None and own is not None and own.any()]
        return bool(known) and all(told[own].mean() >= EXPLAINED_SHARE for told, own in known)

    def add(self, verdict: Verdict) -> None:
        self.boxes = _either(self.boxes, verdict.boxes)
        self.detections = _either(self.detections, verdict.detections)


def _either(a: Flags | None, b: Flags | None) -> Flags | None:
    return b if a is None else a if b is None else a | b


def rows_of(case: Case, answers: Sequence[Ranked], pipeline: PipelineFile | None = None) -> list[dict[str, Any]]:
    """The rows of ``diagnoses`` about one class, without run, split and model; ``pipeline`` is for lines of it."""
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
            "d_ap_is_ceiling": entry.is_ceiling,
            "evidence": json.dumps({key: _rounded(value) for key, value in entry.verdict.numbers.items()}),
            "sentence": entry.verdict.sentence,
            "remedy": entry.verdict.remedy,
            "remedy_config": to_yaml(entry.verdict.config) if entry.verdict.config else None,
            "remedy_pipeline": None
            if pipeline is None
            else remedy_as_pipeline(pipeline, entry.cause.name, case.name, entry.verdict.config),
        }
        for place, entry in enumerate(answers, start=1)
    ]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
