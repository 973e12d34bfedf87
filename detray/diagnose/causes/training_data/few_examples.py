from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict


class FewExamples:
    """There are too few boxes of the class to learn from, or to measure with.

    Tells: few boxes in training, where that is given, or in the evaluated split. It never hides another
    cause.
    Source: LVIS (Gupta et al., CVPR 2019): rare classes have at most 10 images.
    Example: one box of `umbrella` in a hundred images.
    Remedy: collect more, oversample the images that hold it, paste copies.
    """

    name = "few_examples"
    group = cause.TRAINING_DATA
    inputs = ()
    explains = ()

    def judge(self, case: Case) -> Verdict | None:
        n = len(case.given.boxes)
        if not n:
            return None
        few_here = n < t.FEW_BOXES
        few_train = case.n_train is not None and 0 < case.n_train < t.FEW_TRAINING_BOXES
        if not few_train and not few_here:
            return None
        known = case.n_train is not None
        where = f"{case.n_train} in training and {n} in the evaluated split" if known else f"{n} in the evaluated split"
        value = -case.n_train / t.FEW_TRAINING_BOXES if few_train and case.n_train is not None else -n / t.FEW_BOXES
        return Verdict(
            confidence=cause.confidence(value, -1.0, 0.0),
            d_ap=None,
            numbers={"n_ground_truth": n, "n_train": case.n_train},
            sentence=f"{case.label} has few boxes: {where}; its AP is uncertain, whatever else is wrong.",
            remedy="Collect more pictures of the class; until then oversample those that hold it.",
            config=tuning.tune(case.name, oversample=[1, 4, 8, 16]),
        )
