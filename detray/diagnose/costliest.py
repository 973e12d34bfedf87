"""The answer for a class of which no cause is proven: the kind of error that costs it most, or none."""

from collections.abc import Sequence

from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, percent, tune
from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.causes.symptoms.background_confusion import BackgroundConfusion
from detray.diagnose.causes.symptoms.class_confusion import ClassConfusion
from detray.diagnose.causes.symptoms.localization import Localization
from detray.diagnose.causes.symptoms.missed_objects import MissedObjects
from detray.diagnose.causes.symptoms.receives_class import ReceivesClass
from detray.diagnose.mend import LEAST_GAIN, Mend, regained
from detray.diagnose.observation import rows as o

CONFIDENCE = 0.25
"""Half of what a cause has that just passes its threshold."""

_FALSE = {
    ReceivesClass.name: (o.ON_OTHER, "sit on objects of other classes"),
    Duplicates.name: (o.DUPLICATE, "repeat a true one"),
    BackgroundConfusion.name: (o.BACKGROUND, "stand on background"),
}


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
    detections are drawn exactly.
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
        (ClassConfusion.name, confused, Mend(relabelled=confused), "are taken for other classes"),
        (MissedObjects.name, lost, Mend(found=lost), "are missed"),
    ):
        add(name, mend, f"{int(rows.sum())} of {result.n_boxes} boxes of {case.label} {words}")
    if result.untight_share:
        words = f"{percent(result.untight_share)} of the true detections of {case.label} fail at IoU .75"
        add(Localization.name, Mend(exact=result.true), words)

    known = {each.name: each for each in causes}
    name, (gain, words) = max(kinds.items(), key=lambda item: item[1][0], default=("", (0.0, "")))
    if gain < LEAST_GAIN or name not in known:
        none = NoCauseFound()
        return none, none.judge(case)
    return known[name], Verdict(
        confidence=CONFIDENCE,
        d_ap=gain,
        numbers={"recall": result.recall, "ap50": result.ap50},
        sentence=f"No single cause is proven; what costs most AP ({gain:.2f}) is that {words}.",
        remedy="Give the class more weight and more examples, and look at its worst images.",
        config=tune(case.name, oversample=[1, 2, 4, 8]),
    )
