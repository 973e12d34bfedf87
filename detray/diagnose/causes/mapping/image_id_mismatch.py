from detray.diagnose.case import Case
from detray.diagnose.cause import MAPPING, Cause, Verdict, confidence, percent
from detray.diagnose.mapping.box_encoding import RECALL_RAISE
from detray.diagnose.mapping.pairing import UNKNOWN_IMAGES


class ImageIdMismatch(Cause):
    """The detections' image ids mean other images than the ground truth's.

    Tells: most detections name images that the ground truth lacks while its images have none, or
    far more boxes (of any class) are hit by the images' best detections when image ids are read as
    positions, as numbers in the file names, or shifted, or when each image's detections are taken to
    mean the image whose boxes they fit best.
    Source: COCO results name images by id alone; tools that number images themselves break this.
    Example: ids 0, 1, 2, ... in the results for images 139, 285, 632, ...
    Remedy: write the ground truth's ids into the results, by file name.
    """

    name = "image_id_mismatch"
    group = MAPPING

    def judge(self, case: Case) -> Verdict | None:
        fault = case.split.faults.pairing
        if fault is None or not len(case.given.boxes):
            return None
        known = fault.recall_under is not None
        reading = (
            f"read as {fault.words}, {percent(fault.recall_under)} are hit"
            if fault.recall_under is not None
            else f"they name {fault.words}"
        )
        return Verdict(
            confidence=confidence(fault.recall_under - fault.recall, RECALL_RAISE)
            if fault.recall_under is not None
            else confidence(max(fault.unknown_share, 1 - fault.recall), UNKNOWN_IMAGES),
            d_ap=case.mapping_gain if known else None,
            numbers={
                "recall_any_class": fault.recall,
                "recall_any_class_repaired": fault.recall_under,
                "pairing": fault.words,
                "unknown_image_share": fault.unknown_share,
                "empty_image_share": fault.empty_share,
            },
            sentence=f"The detections' image ids do not name the right images: {percent(fault.recall)} of the boxes are"
            f" hit by their image's best detections as the ids stand, {percent(fault.unknown_share)} of the detections"
            f" name unknown images; {reading}.",
            remedy="Write the ground truth's image ids into the detections, looked up by file name.",
        )
