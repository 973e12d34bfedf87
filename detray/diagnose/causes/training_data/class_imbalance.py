from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, percent, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.observation.counts import FEW_BOXES

RARE_SHARE = Criterion(0.2, f"boxes for each box of the median class: {SUITE}")
RARE_CHANCE = Criterion(
    0.06, "chance of such low scores where a class is known to be rare: few of its detections are true"
)


class ClassImbalance(Cause):
    """The class is rare among the training boxes, and the model gives it low scores.

    Tells: its share of the boxes (in training, where given) is far below that of the median class,
    and its true detections score far below those of the classes that work; its false ones do so
    too, where training is not given. Not where a class as rare, or rarer, is found well: then it is not rarity.
    Source: class-balanced loss (Cui et al., CVPR 2019), equalization loss (Tan et al., CVPR 2020).
    Example: 40 `scooter` among 20,000 boxes, scored .1 where cars get .8.
    Remedy: class weights, oversampling, focal alpha.
    """

    name = "class_imbalance"
    group = TRAINING_DATA
    explains = ("few_examples", "missed_objects", "no_detections", "bad_ranking")

    def judge(self, case: Case) -> Verdict | None:
        n, typical, where = case.training.share_of_boxes
        if not n or n >= RARE_SHARE * typical or not case.scores.are_low(RARE_CHANCE):
            return None
        if case.training.n_boxes is not None and case.training.n_boxes < FEW_BOXES:
            return None  # weights do not make up for so few examples
        if case.training.rarer_found_well:
            return None
        auc = case.detections.false_auc
        if case.training.n_boxes is None and auc is not None and auc.is_bad:
            return None
        return Verdict(
            confidence=confidence(-n / typical, -RARE_SHARE, 0.0),
            d_ap=None,
            numbers={"boxes": n, "median_class": typical, "where": where, "median_true_score": case.scores.median},
            sentence=f"{case.label} has {n} boxes in {where}, {percent(n / typical)} of the median class, and its true"
            f" detections score {case.scores.median:.2f} in the middle, lower than those of the classes that work.",
            remedy="Weigh the class by its effective number of boxes, or oversample the pictures that hold it.",
            config=tune(
                case.name,
                class_weights=["none", "effective_number", "inverse_frequency"],
                oversample=[1, 4, 8],
                focal_alpha=[0.25, 0.4],
            ),
        )
