from detray.diagnose.case import Case
from detray.diagnose.cause import OUTPUT, Cause, Verdict, confidence, percent
from detray.diagnose.evidence.caps import CAPPED_MISSED_SHARE
from detray.diagnose.mend import MIN_GAIN, Mend, regained


class MaxDetections(Cause):
    """The cap on detections an image cuts the class.

    Tells: its missed boxes lie in images whose number of detections (of all classes, or of this
    one) is exactly the highest that any image has, and in other images it is found; or images hold
    more of its boxes than the evaluation takes detections.
    Source: COCO takes 100 detections an image and class; exporters cap at 100 an image or lower.
    Example: aerial pictures with 300 cars and 100 detections.
    Remedy: raise max_detections, or evaluate tiles.
    """

    name = "max_detections"
    group = OUTPUT
    explains = ("missed_objects",)

    def judge(self, case: Case) -> Verdict | None:
        result = case.result
        cut = case.caps.beyond
        if cut.any():
            gain = regained(result, Mend(uncapped=True))
            if gain is not None and gain >= MIN_GAIN:
                n, cap = int(cut.sum()), case.split.inputs.max_detections
                return Verdict(
                    confidence=1.0,
                    d_ap=gain,
                    numbers={"cap": cap, "beyond_cap": n},
                    sentence=f"{n} detections of {case.label} are beyond the {cap} that the evaluation takes an image"
                    f" and class: with them its AP is {gain:.2f} higher.",
                    remedy="Evaluate with a higher evaluate.max_detections, or in tiles; say so beside the AP, which is"
                    " not comparable with one under COCO's cap.",
                )
        saturation = case.caps.saturation
        if saturation is None or not case.caps.is_capped:
            return None
        cap, recall_rest = saturation.cap, saturation.recall_elsewhere
        lost = case.boxes.lost & saturation.full
        n, missed = int(lost.sum()), int(result.missed.sum())
        return Verdict(
            confidence=confidence(n / missed, CAPPED_MISSED_SHARE),
            d_ap=regained(result, Mend(found_last=case.boxes.as_usually_found(lost))),
            is_ceiling=True,
            numbers={
                "cap": cap,
                "lost_in_full_images": n,
                "missed": missed,
                "recall_full": saturation.recall,
                "recall_other": recall_rest,
            },
            sentence=f"{n} of {missed} missed boxes of {case.label} lie in images that have exactly {cap} detections,"
            f" the most that any image has"
            + (
                f" (recall {percent(saturation.recall)} there, {percent(recall_rest)} elsewhere)"
                if recall_rest is not None
                else ""
            )
            + ": the list is cut at that number (AP regained is at most what finding as many of them as other classes"
            " do would give).",
            boxes=lost,
            remedy=f"Raise the cap of {cap} detections an image (predict.max_detections) above what images hold.",
        )
