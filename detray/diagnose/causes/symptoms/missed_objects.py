from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.mend import Mend, regained
from detray.diagnose.observation import rows as o

MISSED_SHARE = Criterion(0.2, f"share of the boxes that nothing touches: {SUITE}")


class MissedObjects(Cause):
    """Nothing is found where the objects are.

    Tells: boxes that no confident detection of any class meets, although the class is detected
    elsewhere, a fifth more of them than the classes that work miss.
    Source: error type Miss of TIDE (Bolya et al., ECCV 2020).
    Example: objects half hidden behind others.
    Remedy: see small_objects, few_examples, train_eval_shift and undertrained; train longer, weigh
    the class more.
    """

    name = "missed_objects"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        lost = case.boxes.lost
        n, of = case.boxes.n_lost, len(lost)
        if not n or not len(case.result.detections):
            return None
        # of boxes that other classes cover, or that are hit loosely, nobody can say whether they would be found
        share = n / (of - int((case.confusion.boxes | case.boxes.loose).sum()))
        if share < MISSED_SHARE + case.boxes.usually_missed:
            return None
        weak = int((lost & (case.result.boxes.outcome != o.UNTOUCHED)).sum())
        return Verdict(
            confidence=confidence(share, MISSED_SHARE),
            d_ap=regained(case.result, Mend(found=lost)),
            numbers={"lost": n, "n_ground_truth": of, "score": case.scores.floor, "touched_by_weak": weak},
            sentence=f"{n} of {of} boxes of {case.label} ({percent(n / of)}) are met by no confident detection (score"
            f" {case.scores.floor:.2f} or more){f', {weak} of them by a weaker one' if weak else ''}.",
            remedy="Weigh the class more and train longer; look at the sizes and the number of its training boxes.",
            config=tune(case.name, focal_alpha=[0.25, 0.5], oversample=[1, 2, 4, 8]),
            boxes=lost,
        )
