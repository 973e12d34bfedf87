from detray.diagnose.case import Case
from detray.diagnose.cause import TRAINING_DATA, Cause, Verdict, confidence, tune
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.inputs import Input

SHIFTED = Criterion(0.3, f"Kolmogorov-Smirnov distance above that of the other classes: {SUITE}")

SHIFT_RULES = ("split-drift", "image-property-drift")


class TrainEvalShift(Cause):
    """The class looks different in training than in the evaluated split.

    Tells: the audit's split-drift or image-property-drift for the class, or sizes (as a share of
    the image) or aspects of its boxes whose distributions lie apart, far more than those of the
    other classes.
    Source: Kolmogorov-Smirnov distance; covariate shift (Shimodaira, 2000).
    Example: trained on close-ups, evaluated on street views.
    Remedy: rebalance the splits; augmentation that scales and crops.
    """

    name = "train_eval_shift"
    group = TRAINING_DATA
    inputs = (Input.TRAINING_ANNOTATIONS, Input.AUDIT)
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        findings = case.split.inputs.findings or {}
        rules = [rule for rule in SHIFT_RULES if findings.get((case.category, rule))]
        drifts = case.training.drifts
        worst = max(drifts, key=lambda name: drifts[name]) if drifts else None
        apart = worst is not None and drifts[worst] - case.training.usual_drifts.get(worst, 0.0) >= SHIFTED
        if not rules and not apart:
            return None
        parts = [f"the audit reports {' and '.join(rules)}"] if rules else []
        if worst is not None and apart:
            parts.append(
                f"the {worst} of its boxes differ from those in training (Kolmogorov-Smirnov distance"
                f" {drifts[worst]:.2f}, other classes {case.training.usual_drifts.get(worst, 0.0):.2f})"
            )
        return Verdict(
            confidence=confidence(drifts[worst], SHIFTED) if worst is not None and apart else 0.6,
            d_ap=None,
            numbers={"rules": rules, **{f"distance_{name}": value for name, value in drifts.items()}},
            sentence=f"{case.label} is different in training: {'; '.join(parts)}.",
            remedy="Draw the splits again so that both see the class alike, or add augmentation that covers the"
            " difference.",
            config=tune(case.name, augmentation=["default", "strong"]),
        )
