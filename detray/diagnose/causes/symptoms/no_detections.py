from detray.diagnose.case import Case
from detray.diagnose.cause import SYMPTOM, Cause, Verdict, number, tune


class NoDetections(Cause):
    """The class never appears among the detections.

    Tells: no detection carries its id.
    Source: the usual reasons: a head with too few outputs, a class weight of 0, a focal loss that
    never raises a rare class above its prior (Lin et al., ICCV 2017).
    Example: a model for 80 classes, of which 79 come out.
    Remedy: check the number of classes of the head and the class weights, raise focal alpha.
    """

    name = "no_detections"
    group = SYMPTOM

    def judge(self, case: Case) -> Verdict | None:
        n = len(case.result.boxes)
        # where images or ids are mixed up the class may well be there
        if not n or len(case.result.detections) or len(case.given.detections) or case.split.faults.pairing is not None:
            return None
        return Verdict(
            confidence=1.0,
            d_ap=None,
            numbers={"n_detections": 0, "n_ground_truth": n},
            sentence=f"No detection is labelled {case.label}, which has {number(n, 'box', 'boxes')}.",
            remedy="Check the number of classes of the model's head and its class weights; then tune the focal loss"
            " and oversample the class.",
            config=tune(case.name, focal_alpha=[0.25, 0.4], focal_gamma=[1.0, 1.5, 2.0], oversample=[1, 4, 8]),
        )
