import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case, dominant_class
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
        view = case.result
        boxes, found = view.boxes, view.detections
        # those that one class alone has are confused with it
        covered = case.confused & (boxes.cover_category != dominant_class(boxes.cover_category[case.confused]))
        on_other = case.on_others & (found.other_category != dominant_class(found.other_category[case.on_others]))
        own = boxes.iou[~view.missed]
        auc = view.auc(on_other, case.floor)
        n_high = int((on_other & (found.score >= case.true_median)).sum())
        is_out = (
            auc is not None
            and not auc.is_bad
            and auc.value <= t.LIKE_TRUE_AUC
            and _is_tight(found.other_iou[on_other], own)
            and n_high >= t.ABOVE_CLUTTER * case.usual_false(case.true_median)
        )
        is_into = covered.sum() >= t.WRONG_OF_ALL * len(boxes) and _is_tight(boxes.cover_iou[covered], own)
        into = _scattered(boxes.cover_category[covered], case) if is_into else 0
        out = _scattered(found.other_category[on_other], case) if is_out else 0
        n_into, n_out = int(covered.sum()) if into else 0, int(on_other.sum()) if out else 0
        n_true = int(view.true.sum())
        share = max(n_into / max(case.n_seen, 1), n_out / max(n_out + n_true, 1))
        if share < t.WRONG_SHARE or max(n_into, n_out) < t.WRONG_BOXES:
            return None
        # what is drawn as the class and is none does not count; what is the class and drawn as another does
        mended = view.ap_with(without=covered if n_into else None, labelled=on_other if n_out else None)
        gain = case.gain(mended)
        if not case.is_worth(gain):
            return None
        parts = []
        if n_into:
            parts.append(
                f"{n_into} of {len(boxes)} boxes of {case.label} are covered by confident detections of {into} other"
                " classes that work for themselves"
            )
        if n_out:
            parts.append(
                f"{n_out} confident detections of {case.label} sit on boxes of {out} other classes, beside {n_true}"
                " true ones"
            )
        return Verdict(
            confidence=cause.confidence(share, t.WRONG_SHARE, 0.6),
            d_ap=gain,
            numbers={
                "covered": n_into,
                "n_ground_truth": len(boxes),
                "covering_classes": into,
                "on_other": n_out,
                "true": n_true,
                "other_classes": out,
            },
            sentence=f"{'; '.join(parts)}: labels are likely wrong.",
            remedy="Review the suspected boxes in label_errors (kind wrong_class) and let clean relabel them.",
            config=tuning.clean("relabel"),
            boxes=covered if n_into else None,
            detections=on_other if n_out else None,
        )


def _is_tight(iou: Floats, own: Floats) -> bool:
    """Whether detections sit on boxes as true ones do (of the class, ``own``), not as on a neighbour's."""
    usual = min(t.TRUE_COVER_IOU, float(np.median(own))) if len(own) >= t.MIN_HITS else t.TRUE_COVER_IOU
    return len(iou) > 0 and float(np.median(iou)) >= usual - t.AS_TIGHT


def _scattered(others: Ints, case: Case) -> int:
    """How many working classes these are, if they are several; else 0."""
    classes, counts = np.unique(others, return_counts=True)
    works = np.array([case.split.works(int(k)) for k in classes], np.bool_)
    if works.sum() < t.SCATTER_CLASSES or counts[works].sum() < t.SCATTER_WORKING * counts.sum():
        return 0
    return int(works.sum())
