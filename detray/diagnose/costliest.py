"""The answer for a class of which no cause is proven: the kind of error that costs it most, or none."""

from collections.abc import Sequence
from typing import Any

from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, percent, tune
from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.causes.symptoms.background_confusion import BackgroundConfusion
from detray.diagnose.causes.symptoms.class_confusion import ClassConfusion
from detray.diagnose.causes.symptoms.localization import Localization, remedy_of
from detray.diagnose.causes.symptoms.missed_objects import MissedObjects
from detray.diagnose.causes.symptoms.receives_class import ReceivesClass
from detray.diagnose.mend import LEAST_GAIN, Mend, regained
from detray.diagnose.observation import rows as o

CONFIDENCE = 0.25
"""Half of what a cause has that just passes its threshold."""

TAKEN = "are taken for other classes"

_FALSE = {
    ReceivesClass.name: (o.ON_OTHER, "sit on objects of other classes"),
    Duplicates.name: (o.DUPLICATE, "repeat a true one"),
    BackgroundConfusion.name: (o.BACKGROUND, "stand on background"),
}

_BOTH = (
    "Look at the labels of these boxes first: exchanged names cost as much as a model in doubt; then show it more"
    " examples of both classes."
)
_REMEDIES: dict[str, tuple[str, dict[str, list[Any]]]] = {
    ClassConfusion.name: (_BOTH, {"oversample": [1, 2, 4, 8], "freeze_units": [0]}),
    ReceivesClass.name: (_BOTH, {"oversample": [1, 2, 4], "freeze_units": [0]}),
    Duplicates.name: ("Suppress repeated detections: lower predict.nms.iou.", {}),
    BackgroundConfusion.name: (
        "Look whether they stand on objects that nobody drew; if not, train with more pictures without the class.",
        {"focal_gamma": [2.0, 3.0], "focal_alpha": [0.15, 0.25]},
    ),
    MissedObjects.name: (
        "Give the class more weight and more examples, and look at its worst images.",
        {"oversample": [1, 2, 4, 8]},
    ),
}
"""What to do where this kind of error costs most and its cause is not proven: words, and train settings to try."""


class NoCauseFound(Cause):
    """No kind of error costs the class anything worth mending."""

    name = "no_cause_found"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict:
        result = case.result
        return Verdict(
            confidence=CONFIDENCE,
            d_ap=None,
            numbers={"n_ground_truth": result.n_boxes, "recall": result.recall, "ap50": result.ap50},
            sentence=f"Nothing is found wrong with {case.label}: {percent(result.recall)} of its {result.n_boxes}"
            f" boxes are found, and no kind of error costs {LEAST_GAIN:.2f} AP or more.",
            remedy="Nothing to mend.",
        )


def costliest(case: Case, causes: Sequence[Cause]) -> tuple[Cause, Verdict]:
    """The symptom, of ``causes``, whose errors cost the class most AP, and what it says; `NoCauseFound`
    where none costs any.

    Each kind of false detection is taken away in turn, the boxes that are hit loosely, covered by
    another class, or lost are found in turn, as TIDE does (Bolya et al., ECCV 2020), and the true
    detections are drawn exactly. Two classes that are taken for each other lose on both sides, and mending
    it mends both: that is one kind, as in the table errors.
    """
    result = case.result
    kinds: dict[str, tuple[float, str]] = {}

    def add(name: str, mend: Mend, words: str) -> None:
        gain = regained(result, mend) or 0.0
        if gain > kinds.get(name, (0.0, ""))[0]:
            kinds[name] = (gain, words)

    for name, (outcome, words) in _FALSE.items():
        rows = result.outcomes(outcome)
        add(name, Mend(ignored=rows), f"{int(rows.sum())} detections of {case.label} {words}")
    loose, confused, lost = case.boxes.loose, case.confusion.boxes, case.boxes.lost
    for name, rows, mend, words in (
        (Localization.name, loose, Mend(snapped=loose), "are only hit loosely"),
        (ClassConfusion.name, confused, Mend(relabelled=confused), TAKEN),
        (MissedObjects.name, lost, Mend(found=lost), "are missed"),
    ):
        add(name, mend, f"{int(rows.sum())} of {result.n_boxes} boxes of {case.label} {words}")
    on_other = result.outcomes(o.ON_OTHER)
    if confused.any() and on_other.any():
        name = max((ClassConfusion.name, ReceivesClass.name), key=lambda name: kinds.get(name, (0.0, ""))[0])
        words = (
            f"{int(confused.sum())} of {result.n_boxes} boxes of {case.label} {TAKEN}, and {int(on_other.sum())} of its"
            " detections sit on objects of these"
        )
        add(name, Mend(relabelled=confused, ignored=on_other), words)
    if result.untight_share:
        words = f"{percent(result.untight_share)} of the true detections of {case.label} fail at IoU .75"
        add(Localization.name, Mend(exact=result.true), words)

    known = {each.name: each for each in causes}
    name, (gain, words) = max(kinds.items(), key=lambda item: item[1][0], default=("", (0.0, "")))
    if gain < LEAST_GAIN or name not in known:
        none = NoCauseFound()
        return none, none.judge(case)
    remedy, space = remedy_of(case) if name == Localization.name else _REMEDIES[name]
    return known[name], Verdict(
        confidence=CONFIDENCE,
        d_ap=gain,
        numbers={"recall": result.recall, "ap50": result.ap50},
        sentence=f"No single cause is proven; what costs most AP ({gain:.2f}) is that {words}.",
        remedy=remedy,
        config=tune(case.name, **space) if space else None,
        is_ceiling=True,
    )
