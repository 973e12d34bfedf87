import numpy as np

from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class WrongLabels:
    """Boxes of the class carry wrong labels, or objects of the class carry others.

    Tells: its missed boxes are covered by confident detections of several classes that each work
    for themselves, or its own confident detections sit on boxes of several other classes: a model
    confuses a class with one or two that look like it, only labels are wrong in all directions.
    Source: confident learning: labels that a working model contradicts (Northcutt et al., 2021).
    Example: labels shuffled in one annotator's batch.
    Remedy: review the suspected boxes (label_errors, kind wrong_class) and let clean relabel them.
    """

    name = "wrong_labels"
    group = cause.GROUND_TRUTH
    inputs = ()
    explains = ("class_confusion", "receives_class")

    def judge(self, case: Case) -> Verdict | None:
        view = case.view
        boxes, covered, on_other = view.boxes, case.confused, case.on_others
        auc = view.auc(on_other, case.floor)
        is_like_true = auc is not None and not case.is_depressed and not auc.is_bad and auc.value <= t.LIKE_TRUE_AUC
        into = _scattered(boxes.cover_category[covered], case)
        out = _scattered(view.found.other_category[on_other], case) if is_like_true else 0
        of = max(int(case.confident_detections.sum()), 1)
        n_into, n_out = int(covered.sum()) if into else 0, int(on_other.sum()) if out else 0
        share = max(n_into / max(len(boxes), 1), n_out / of)
        if share < t.WRONG_SHARE or max(n_into, n_out) < t.WRONG_BOXES:
            return None
        parts = []
        if n_into:
            parts.append(
                f"{n_into} of {len(boxes)} boxes of {case.label} are covered by confident detections of {into} other"
                " classes that work for themselves"
            )
        if n_out:
            parts.append(f"{n_out} of {of} confident detections of {case.label} sit on boxes of {out} other classes")
        # what is drawn as the class and is none does not count; what is the class and drawn as another does
        mended = view.ap_with(without=covered if n_into else None, labelled=on_other if n_out else None)
        return Verdict(
            confidence=cause.confidence(share, t.WRONG_SHARE, 0.6),
            d_ap=case.gain(mended),
            numbers={
                "covered": n_into,
                "n_ground_truth": len(boxes),
                "covering_classes": into,
                "on_other": n_out,
                "confident_detections": of,
                "other_classes": out,
            },
            sentence=f"{'; '.join(parts)}: labels are likely wrong.",
            remedy="Review the suspected boxes in label_errors (kind wrong_class) and let clean relabel them.",
            config=tuning.clean("relabel"),
        )


def _scattered(others: np.ndarray, case: Case) -> int:
    """How many working classes these are, if they are several and none dominates; else 0."""
    classes, counts = np.unique(others, return_counts=True)
    works = np.array([case.around.works(int(k)) for k in classes], np.bool_)
    if not len(classes) or counts[works].sum() < t.SCATTER_WORKING * counts.sum():
        return 0
    several = int((counts[works] >= 1).sum()) >= t.SCATTER_CLASSES
    return int(works.sum()) if several and counts.max() < t.CONFUSION_DOMINANCE * counts.sum() else 0
