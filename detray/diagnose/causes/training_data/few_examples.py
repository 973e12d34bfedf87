from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import Criterion
from detray.diagnose.observation.counts import FEW_BOXES

FEW_TRAINING_BOXES = Criterion(20, "boxes in training: twice the 10 images of what LVIS calls rare (CVPR 2019)")


class FewExamples(Cause):
    """There are too few boxes of the class to learn from, or to measure with.

    Tells: few boxes in training, where that is given, or in the evaluated split. It never hides another
    cause.
    Source: LVIS (Gupta et al., CVPR 2019): rare classes have at most 10 images.
    Example: one box of `umbrella` in a hundred images.
    Remedy: collect more, oversample the images that hold it, paste copies.
    """

    name = "few_examples"
    group = TRAINING_DATA

    def judge(self, case: Case) -> Verdict | None:
        n = len(case.given.boxes)
        if not n:
            return None
        n_train = case.training.n_boxes
        few_train = n_train is not None and 0 < n_train < FEW_TRAINING_BOXES
        if not few_train and n >= FEW_BOXES:
            return None
        where = f"{n} in the evaluated split"
        if n_train is not None:
            where = f"{n_train} in training and {where}"
        value = n_train / FEW_TRAINING_BOXES if few_train and n_train is not None else n / FEW_BOXES
        return Verdict(
            confidence=confidence(-value, -1.0, 0.0),
            d_ap=None,
            numbers={"n_ground_truth": n, "n_train": n_train},
            sentence=f"{case.label} has few boxes: {where}; its AP is uncertain, whatever else is wrong.",
            remedy="Collect more pictures of the class; until then oversample those that hold it.",
            config=tune(case.name, oversample=[1, 4, 8, 16]),
        )
