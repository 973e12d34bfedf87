from detray.diagnose.case import Case
from detray.diagnose.cause import MAPPING, Cause, Verdict, confidence, percent
from detray.diagnose.mapping.box_encoding import RECALL_RAISE


class BoxFormat(Cause):
    """The four numbers of the boxes are in another format than x, y, width, height in pixels.

    Tells: read as corners, as centres, with y first, as shares of the image, or in pixels of a
    resized or letterboxed image, over .4 more of the boxes are hit.
    Source: COCO wants x, y, width, height; TensorFlow gives ymin, xmin, ymax, xmax as shares, YOLO
    centres as shares, PyTorch corners.
    Example: boxes of the detections written as xmin, ymin, xmax, ymax.
    Remedy: convert the boxes of the side that is named.
    """

    name = "box_format"
    group = MAPPING

    def judge(self, case: Case) -> Verdict | None:
        fault = case.split.faults.class_readings.get(case.category) or case.split.faults.reading
        if fault is None or not len(case.given.boxes):
            return None
        whole = case.category not in case.split.faults.class_readings
        whose = "all boxes" if whole else f"the boxes of {case.label}"
        return Verdict(
            confidence=confidence(fault.recall_under - fault.recall, RECALL_RAISE),
            d_ap=case.mapping_gain,
            numbers={
                "recall": fault.recall,
                "recall_converted": fault.recall_under,
                "read_as": fault.reading.words,
                "side": fault.reading.side,
                "scope": "all" if whole else "class",
            },
            sentence=f"Read as {fault.reading.words}, {whose} in the {fault.reading.side} fit: "
            f"{percent(fault.recall_under)} of the boxes are hit, against {percent(fault.recall)} as they stand.",
            remedy=f"Convert the boxes in the {fault.reading.side} from {fault.reading.words} to x, y, width, height"
            " in pixels of the image.",
        )
