from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict, percent
from detray.diagnose.evidence import rows as o


class MissedObjects:
    """Nothing is found where the objects are.

    Tells: boxes that no confident detection of any class meets, although the class is detected
    elsewhere, a fifth more of them than the classes that work miss.
    Source: error type Miss of TIDE (Bolya et al., ECCV 2020).
    Example: objects half hidden behind others.
    Remedy: see small_objects, few_examples, train_eval_shift and undertrained; train longer, weigh
    the class more.
    """

    name = "missed_objects"
    group = cause.SYMPTOM
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        lost = case.lost
        n, of = int(lost.sum()), len(lost)
        if not n or not len(case.result.detections):
            return None
        # of boxes that other classes cover, or that are hit loosely, nobody can say whether they would be found
        share = n / (of - int((case.confused | case.loose).sum()))
        if share < t.MISSED_SHARE + case.usually_missed:
            return None
        weak = int((lost & (case.result.boxes.outcome != o.UNTOUCHED)).sum())
        return Verdict(
            confidence=cause.confidence(share, t.MISSED_SHARE),
            d_ap=case.gain(case.result.ap_with(found=lost)),
            numbers={"lost": n, "n_ground_truth": of, "score": case.floor, "touched_by_weak": weak},
            sentence=f"{n} of {of} boxes of {case.label} ({percent(n / of)}) are met by no confident detection (score"
            f" {case.floor:.2f} or more){f', {weak} of them by a weaker one' if weak else ''}.",
            remedy="Weigh the class more and train longer; look at the sizes and the number of its training boxes.",
            config=tuning.tune(case.name, focal_alpha=[0.25, 0.5], oversample=[1, 2, 4, 8]),
            boxes=lost,
        )
