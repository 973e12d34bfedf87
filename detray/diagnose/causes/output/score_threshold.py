from detray.diagnose.case import Case
from detray.diagnose.cause import OUTPUT, Cause, Verdict, confidence, percent
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.cuts import CUT_MISSED_SHARE
from detray.diagnose.evidence.split import HIGH_CUT
from detray.diagnose.evidence.training import LEARNT_AP50
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.rows import BACKGROUND

CUT_PRECISION = Criterion(0.8, f"precision of what a cut leaves: {SUITE}")
BY_SIZE_ALONE = Criterion(0.9, f"AUC of size from which it decides and not the score: {SUITE}")

MOST_LOST = Criterion(0.8, f"share of the boxes of a class of which hardly a detection is left: {SUITE}")

_REMEDY = "Write detections down to a score of .01 (predict.score_threshold), and choose the working point afterwards."


class ScoreThreshold(Cause):
    """Detections below a high minimum score were thrown away before the evaluation.

    Tells: the lowest score of the class lies far above that of the other classes, or is high where hardly any of
    its detections are on background or all classes are cut; boxes are missed that nothing touches, and more true
    detections are absent below that score than by chance, or the scores pile up at it. Of a class of which hardly any
    detection is left: all classes are cut, and it is not found on training pictures either. Or the detector at hand was
    told to leave low scores out; what that costs is measured, by another run on a sample of the pictures.
    Source: AP needs the whole curve: COCO results are written without a threshold.
    Example: results exported with the threshold of the demo, .5 or .7.
    Remedy: export with a threshold of .01 or lower.
    """

    name = "score_threshold"
    group = OUTPUT
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        return _of_scores(case) or _of_setting(case)


def _of_scores(case: Case) -> Verdict | None:
    """What the scores of the detections tell."""
    result, cuts, lost = case.result, case.cuts, case.boxes.lost
    # false detections that another cause explains say nothing about the cut
    n_true, n_false = result.n_true, int(result.outcomes(BACKGROUND).sum())
    if n_true < MIN_HITS:
        return _of_all(case)
    if lost.mean() < CUT_MISSED_SHARE:
        return None
    precision = n_true / (n_true + n_false)
    is_plain = cuts.lowest >= HIGH_CUT and (precision >= CUT_PRECISION or case.split.cut is not None)
    if not (cuts.is_own or is_plain) or not cuts.is_cut:
        return None
    by_size = case.boxes.size_auc
    if (
        case.caps.is_cut_by_evaluation
        or case.caps.is_capped
        or (by_size is not None and max(by_size.value, 1 - by_size.value) - by_size.error >= BY_SIZE_ALONE)
    ):
        return None
    n, cut = case.boxes.n_lost, cuts.lowest
    return Verdict(
        confidence=confidence(cut, HIGH_CUT, 0.6),
        d_ap=regained(result, Mend(found_last=case.boxes.as_usually_found(lost))),
        is_ceiling=True,
        numbers={"lowest_score": cut, "precision": precision, "lost": n, "n_ground_truth": len(lost)},
        sentence=f"No detection of {case.label} scores below {cut:.2f}, {percent(1 - precision)} of them are on"
        f" background, and {n} of {len(lost)} boxes have none: the rest was cut away (AP regained is at most what"
        " finding as many of them as other classes do would give).",
        boxes=lost,
        remedy=_REMEDY,
    )


def _of_setting(case: Case) -> Verdict | None:
    """A setting of the detector at hand; what it costs is measured, by another run without it."""
    threshold = case.split.inputs.thresholds.get(case.category, 0.0)
    if threshold < HIGH_CUT or not len(case.result.boxes):
        return None
    return Verdict(
        confidence=confidence(threshold, HIGH_CUT, 0.6),
        d_ap=None,
        numbers={"threshold": threshold, "n_detections": len(case.result.detections)},
        sentence=f"predict.score_threshold leaves out what scores {threshold:g} or less of {case.label}, and AP counts"
        " detections of every score.",
        remedy=_REMEDY,
    )


def _of_all(case: Case) -> Verdict | None:
    """A cut of all classes that leaves next to nothing of this one, wherever the model looks."""
    cut, trained, lost = case.split.cut, case.training.aps, case.boxes.lost
    if cut is None or trained is None or trained[1] >= LEARNT_AP50 or lost.mean() < MOST_LOST:
        return None
    if case.caps.is_cut_by_evaluation or case.caps.is_capped:
        return None
    n = case.boxes.n_lost
    return Verdict(
        confidence=confidence(cut, HIGH_CUT, 0.6),
        d_ap=regained(case.result, Mend(found_last=case.boxes.as_usually_found(lost))),
        is_ceiling=True,
        numbers={"lowest_score": cut, "lost": n, "n_ground_truth": len(lost), "training_ap50": trained[1]},
        sentence=f"No detection of any class scores below {cut:.2f}, and {n} of {len(lost)} boxes of {case.label} have"
        f" none; its AP50 is {trained[1]:.2f} on {case.training.words} too: what it scores was cut away (AP regained is"
        " at most what finding as many of them as other classes do would give).",
        boxes=lost,
        remedy=_REMEDY,
    )
