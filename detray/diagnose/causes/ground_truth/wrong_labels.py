import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, clean, confidence, percent
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.background import ABOVE_CLUTTER, LIKE_TRUE_AUC
from detray.diagnose.evidence.confusion import dominant_class
from detray.diagnose.evidence.renaming import CONTRADICTED, Renamed
from detray.diagnose.evidence.sides import TRAIN
from detray.diagnose.mend import Mend, is_worth, regained
from detray.diagnose.observation.counts import MIN_HITS

SCATTER_CLASSES = Criterion(
    3, "classes from which confusions count as scattered: two can be alike, three at once are not"
)
WRONG_SHARE = Criterion(0.2, f"share of the boxes, or of the confident detections, that contradict the labels: {SUITE}")
SCATTER_WORKING = Criterion(0.5, f"share of the contradictions that come from classes that work: {SUITE}")
WRONG_OF_ALL = Criterion(0.12, f"share of all boxes of the class: {SUITE}")
WRONG_BOXES = Criterion(5, "contradictions from which several classes are no accident")
AS_TIGHT = Criterion(0.02, "IoU by which medians differ by chance")
TRUE_COVER_IOU = Criterion(0.65, f"median IoU of detections that found the object: by chance it is .5 to .6: {SUITE}")


_REMEDY = "Review the suspected boxes in label_errors (kind wrong_class) and let clean relabel them."
_TRAIN_REMEDY = (
    "Diagnose the training split too (predict.splits), review the boxes that label_errors suspects there (kind"
    " wrong_class), let clean relabel the confirmed ones, and train again."
)


class WrongLabels(Cause):
    """Boxes of the class carry wrong labels, or objects of the class carry others.

    Tells: its missed boxes are covered by confident detections of several classes that each work
    for themselves, or its own confident detections sit on boxes of several other classes: a model
    confuses a class with one or two that look like it, only labels are wrong in all directions. Or, where the model was
    run on training pictures: it takes the class for one other, or sits on its boxes, in one split and not in the other;
    what looks alike is mixed up in both, so names are wrong there, be it in training.
    Source: confident learning: labels that a working model contradicts (Northcutt et al., 2021).
    Example: labels shuffled in one annotator's batch.
    Remedy: review the suspected boxes (label_errors, kind wrong_class) and let clean relabel them.
    """

    name = "wrong_labels"
    group = GROUND_TRUTH
    explains = ("class_confusion", "receives_class")

    def judge(self, case: Case) -> Verdict | None:
        renamed = case.renamed
        if renamed is not None and renamed.side.split == TRAIN:
            return _in_one_split(case, renamed)
        is_sure = case.pictures_alike and not case.training.nothing_learnt and not case.training.little_learnt
        scattered = None if not is_sure else self._scattered(case)
        return scattered or (None if renamed is None else _in_one_split(case, renamed))

    def _scattered(self, case: Case) -> Verdict | None:
        """What the evaluated split alone tells."""
        result, confusion, scores = case.result, case.confusion, case.scores
        boxes, rows = result.boxes, result.detections
        # those that one class alone has are confused with it
        covered = confusion.boxes & (boxes.cover_category != dominant_class(boxes.cover_category[confusion.boxes]))
        others = rows.other_category
        on_other = confusion.detections & (others != dominant_class(others[confusion.detections]))
        own = boxes.iou[~result.missed]
        auc = result.auc(on_other, scores.floor)
        n_high = int((on_other & (rows.score >= scores.median)).sum())
        is_out = (
            auc is not None
            and not auc.is_bad
            and auc.value <= LIKE_TRUE_AUC
            and _is_tight(rows.other_iou[on_other], own)
            and n_high >= ABOVE_CLUTTER * scores.usual_false(scores.median)
        )
        is_into = covered.sum() >= WRONG_OF_ALL * len(boxes) and _is_tight(boxes.cover_iou[covered], own)
        into = _n_scattered(boxes.cover_category[covered], case) if is_into else 0
        out = _n_scattered(others[on_other], case) if is_out else 0
        n_into, n_out, n_true = int(covered.sum()) if into else 0, int(on_other.sum()) if out else 0, result.n_true
        share = max(n_into / max(case.boxes.n_seen, 1), n_out / max(n_out + n_true, 1))
        if share < WRONG_SHARE or max(n_into, n_out) < WRONG_BOXES:
            return None
        # what is drawn as the class and is none does not count; what is the class and drawn as another does
        gain = regained(result, Mend(without=covered if n_into else None, labelled=on_other if n_out else None))
        if not is_worth(result, gain):
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
            confidence=confidence(share, WRONG_SHARE, 0.6),
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
            remedy=_REMEDY,
            config=clean("relabel"),
            boxes=covered if n_into else None,
            detections=on_other if n_out else None,
        )


def _in_one_split(case: Case, renamed: Renamed) -> Verdict:
    """The detections of both splits tell that names are wrong in one."""
    side, own, usual = renamed.side, renamed.own, renamed.usual
    is_train, partner = side.split == TRAIN, case.split.label(renamed.category)
    mend = Mend(without=own.rows) if renamed.is_covered else Mend(labelled=own.rows)
    shares = f"{own.n} of {own.of} ({percent(own.n / own.of)})"
    others = f"{usual.n} of {usual.of} on the {renamed.other.pictures}"
    told = f"sure detections of {case.label} sit on boxes of {partner} on the {side.pictures}"
    if renamed.of_partner:
        told = f"sure detections of {partner} sit on boxes of {case.label} on the {side.pictures}"
    elif renamed.is_covered:
        told = f"boxes of {case.label} on the {side.pictures} are covered by sure detections of {partner}"
    return Verdict(
        confidence=confidence(own.n / own.of, CONTRADICTED, 0.6),
        d_ap=None if is_train else regained(case.result, mend),
        numbers={
            "split": side.split,
            "contradicted": own.n,
            "of": own.of,
            "contradicted_elsewhere": usual.n,
            "of_elsewhere": usual.of,
            "other_category_id": renamed.category,
            "other_category_name": case.split.names.get(renamed.category),
        },
        sentence=f"The {side.words} mix {case.label} and {partner} up: {shares} {told}, and {others}. What looks alike"
        " is mixed up in both splits; so the names are likely wrong.",
        remedy=_TRAIN_REMEDY if is_train else _REMEDY,
        config=None if is_train else clean("relabel"),
        boxes=own.rows if renamed.is_covered and not is_train else None,
        detections=own.rows if not renamed.is_covered and not is_train else None,
    )


def _is_tight(iou: Floats, own: Floats) -> bool:
    """Whether detections sit on boxes as true ones do (of the class, ``own``), not as on a neighbour's."""
    usual = min(TRUE_COVER_IOU, float(np.median(own))) if len(own) >= MIN_HITS else TRUE_COVER_IOU
    return len(iou) > 0 and float(np.median(iou)) >= usual - AS_TIGHT


def _n_scattered(others: Ints, case: Case) -> int:
    """How many working classes these are, if they are several; else 0."""
    classes, counts = np.unique(others, return_counts=True)
    works = np.array([case.split.works(int(k)) for k in classes], np.bool_)
    if works.sum() < SCATTER_CLASSES or counts[works].sum() < SCATTER_WORKING * counts.sum():
        return 0
    return int(works.sum())
