"""The answer for a weak class of which no cause is proven: the kind of error that costs it most."""

from detray.diagnose import observe as o
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict
from detray.diagnose.causes.background_confusion import BackgroundConfusion
from detray.diagnose.causes.class_confusion import ClassConfusion
from detray.diagnose.causes.duplicates import Duplicates
from detray.diagnose.causes.localization import Localization
from detray.diagnose.causes.missed_objects import MissedObjects
from detray.diagnose.causes.receives_class import ReceivesClass

CONFIDENCE = 0.25
"""Half of what a cause has that just passes its threshold."""

_FALSE = {
    ReceivesClass.name: (o.ON_OTHER, "sit on objects of other classes"),
    Duplicates.name: (o.DUPLICATE, "repeat a true one"),
    BackgroundConfusion.name: (o.BACKGROUND, "stand on background"),
}


def costliest(case: Case) -> tuple[str, Verdict] | None:
    """The symptom whose errors cost the class most AP, and what it says; None where none costs any.

    Each kind of false detection is taken away in turn, and the boxes that are hit loosely, covered
    by another class, or lost are found in turn, as TIDE does (Bolya et al., ECCV 2020).
    """
    view = case.view
    if view.ap50 is None or view.ap50 >= t.GOOD_AP50:
        return None
    kinds: dict[str, tuple[float | None, int, str]] = {}
    for name, (outcome, words) in _FALSE.items():
        rows = view.outcomes(outcome)
        kinds[name] = (case.gain(view.ap_with(ignore=rows)), int(rows.sum()), f"detections of {case.label} {words}")
    boxes = (
        (
            Localization.name,
            case.loose,
            view.ap_with(snapped=(case.loose, view.boxes.detection)),
            "are only hit loosely",
        ),
        (ClassConfusion.name, case.confused, view.ap_with(relabelled=case.confused), "are taken for other classes"),
        (MissedObjects.name, case.lost, view.ap_with(found=case.lost), "are missed"),
    )
    for name, rows, mended, words in boxes:
        kinds[name] = (case.gain(mended), int(rows.sum()), f"of {view.n_boxes} boxes of {case.label} {words}")

    name, (gain, n, words) = max(kinds.items(), key=lambda item: item[1][0] or 0.0)
    if gain is None or gain < t.LEAST_GAIN:
        return None
    return name, Verdict(
        confidence=CONFIDENCE,
        d_ap=gain,
        numbers={"n": n, "recall": view.recall},
        sentence=f"No single cause is proven; what costs most AP ({gain:.2f}) is that {n} {words}.",
        remedy="Give the class more weight and more examples, and look at its worst images.",
        config=None,
    )
