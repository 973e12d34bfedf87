"""The answer for a class of which no cause is proven: the kind of error that costs it most, or none."""

from collections.abc import Sequence

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Cause, Verdict
from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.causes.symptoms.background_confusion import BackgroundConfusion
from detray.diagnose.causes.symptoms.class_confusion import ClassConfusion
from detray.diagnose.causes.symptoms.localization import Localization
from detray.diagnose.causes.symptoms.missed_objects import MissedObjects
from detray.diagnose.causes.symptoms.receives_class import ReceivesClass
from detray.diagnose.evidence import rows as o

CONFIDENCE = 0.25
"""Half of what a cause has that just passes its threshold."""

_FALSE = {
    ReceivesClass.name: (o.ON_OTHER, "sit on objects of other classes"),
    Duplicates.name: (o.DUPLICATE, "repeat a true one"),
    BackgroundConfusion.name: (o.BACKGROUND, "stand on background"),
}


class NoCauseFound:
    """No kind of error costs the class anything worth mending."""

    name = "no_cause_found"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict:
        view = case.result
        return Verdict(
            confidence=CONFIDENCE,
            d_ap=None,
            numbers={"n_ground_truth": view.n_boxes, "recall": view.recall, "ap50": view.ap50},
            sentence=f"Nothing is found wrong with {case.label}: {cause.percent(view.recall)} of its {view.n_boxes}"
            f" boxes are found, and no kind of error costs {t.LEAST_GAIN:.2f} AP or more.",
            remedy="Nothing to mend.",
        )


def costliest(case: Case, causes: Sequence[Cause]) -> tuple[Cause, Verdict]:
    """The symptom, of ``causes``, whose errors cost the class most AP, and what it says; `NoCauseFound`
    where none costs any.

    Each kind of false detection is taken away in turn, the boxes that are hit loosely, covered by
    another class, or lost are found in turn, as TIDE does (Bolya et al., ECCV 2020), and the true
    detections are drawn exactly.
    """
    view = case.result
    kinds: dict[str, tuple[float, str]] = {}

    def add(name: str, mended: float | None, words: str) -> None:
        gain = case.gain(mended) or 0.0
        if gain > kinds.get(name, (0.0, ""))[0]:
            kinds[name] = (gain, words)

    for name, (outcome, words) in _FALSE.items():
        rows = view.outcomes(outcome)
        add(name, view.ap_with(ignore=rows), f"{int(rows.sum())} detections of {case.label} {words}")
    for name, rows, mended, words in (
        (
            Localization.name,
            case.loose,
            view.ap_with(snapped=(case.loose, view.boxes.detection)),
            "are only hit loosely",
        ),
        (ClassConfusion.name, case.confused, view.ap_with(relabelled=case.confused), "are taken for other classes"),
        (MissedObjects.name, case.lost, view.ap_with(found=case.lost), "are missed"),
    ):
        add(name, mended, f"{int(rows.sum())} of {view.n_boxes} boxes of {case.label} {words}")
    if case.untight_share:
        words = f"{cause.percent(case.untight_share)} of the true detections of {case.label} fail at IoU .75"
        add(Localization.name, view.ap_with(perfect=view.true), words)

    known = {each.name: each for each in causes}
    name, (gain, words) = max(kinds.items(), key=lambda item: item[1][0], default=("", (0.0, "")))
    if gain < t.LEAST_GAIN or name not in known:
        none = NoCauseFound()
        return none, none.judge(case)
    return known[name], Verdict(
        confidence=CONFIDENCE,
        d_ap=gain,
        numbers={"recall": view.recall, "ap50": view.ap50},
        sentence=f"No single cause is proven; what costs most AP ({gain:.2f}) is that {words}.",
        remedy="Give the class more weight and more examples, and look at its worst images.",
        config=tuning.tune(case.name, oversample=[1, 2, 4, 8]),
    )
