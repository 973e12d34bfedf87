from detray.diagnose import cause
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent
from detray.diagnose.evidence.rows import BACKGROUND


class ScoreThreshold:
    """Detections below a high minimum score were thrown away before the evaluation.

    Tells: the lowest score of the class lies far above that of the other classes, or is high where hardly any of
    its detections are on background or all classes are cut; boxes are missed that nothing touches, and more true
    detections are absent below that score than by chance, or the scores pile up at it.
    Source: AP needs the whole curve: COCO results are written without a threshold.
    Example: results exported with the threshold of the demo, .5 or .7.
    Remedy: export with a threshold of .01 or lower.
    """

    name = "score_threshold"
    group = cause.OUTPUT
    inputs = ()
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        view = case.result
        kept = view.detections.kept
        # false detections that another cause explains say nothing about the cut
        n_true, n_false = int(view.true.sum()), int(view.outcomes(BACKGROUND).sum())
        lost = case.lost
        if n_true < t.MIN_HITS or lost.mean() < t.CUT_MISSED_SHARE:
            return None
        cut = float(view.detections.score[kept].min())
        precision = n_true / (n_true + n_false)
        is_own = case.is_own_cut(cut)
        is_plain = cut >= t.HIGH_CUT and (precision >= t.CUT_PRECISION or case.split.cut is not None)
        if not (is_own or is_plain) or not case.is_cut(cut):
            return None
        by_size = case.size_auc
        if case.is_capped or (by_size is not None and by_size.value - by_size.error >= t.BY_SIZE_ALONE):
            return None
        n = int(lost.sum())
        return Verdict(
            confidence=cause.confidence(cut, t.HIGH_CUT, 0.6),
            d_ap=case.gain(view.ap_with(found_last=case.as_found(lost))),
            numbers={"lowest_score": cut, "precision": precision, "lost": n, "n_ground_truth": len(lost)},
            sentence=f"No detection of {case.label} scores below {cut:.2f}, {percent(1 - precision)} of them are on"
            f" background, and {n} of {len(lost)} boxes have none: the rest was cut away (AP regained is at most what"
            " finding as many of them as other classes do would give).",
            boxes=lost,
            remedy="Write detections down to a score of .01 (predict.score_threshold), and choose the working point"
            " afterwards.",
        )
