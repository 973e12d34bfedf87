import numpy as np

from detray.arrays import Flags, Ints
from detray.diagnose import cause, tuning
from detray.diagnose import thresholds as t
from detray.diagnose.case import Case
from detray.diagnose.cause import Verdict
from detray.diagnose.evidence.bare_images import BareImages, outscores
from detray.diagnose.evidence.result import Auc

_WORST = 10
"""Images that the evidence names."""
_REMEDY = "Review the suspected boxes in label_errors (kind missing) and let clean add the confirmed ones."


class MissingLabels:
    """Objects of the class stand in the pictures without a box.

    Tells: detections on background that score like the true ones (AUC from .4 to .7, or to .6
    above their median), one for each such place, many for the number of true ones, and far more than
    the classes that work have at such scores. Or images without a box of the class hold far more
    confident detections than the others hold beside their boxes, as many and with such scores as objects
    have there: the class was skipped in whole images. A model that errs in images without the object
    does so in other numbers or with other scores; where it does not, only a look at the pictures tells.
    Source: confident false positives as missing annotations: ObjectLab (Tkachenko et al., 2023).
    Example: annotators drew the cars near the camera and left the parked ones out.
    Remedy: review the suspected boxes (label_errors, kind missing) and let clean add them.
    """

    name = "missing_labels"
    group = cause.GROUND_TRUTH
    inputs = ()
    explains = ("background_confusion",)

    def judge(self, case: Case) -> Verdict | None:
        places, auc = case.background
        if int(case.result.true.sum()) < t.MIN_HITS or case.result.recall < t.NIL_RECALL or auc is None or auc.is_bad:
            return None
        high = places & (case.result.detections.score >= case.true_median)
        upper = case.result.auc(places, case.true_median)
        bare = BareImages.of(case)
        is_there = 2 * len(bare.scores) >= int(high.sum()) and bare.errors >= t.MORE_THERE
        if outscores(upper) or (is_there and bare.is_unlike):
            return None  # the model takes something else for the class
        # in a noisy model the false ones fade out below; left-out objects score as the true ones above it
        is_like_true = auc.value <= t.LIKE_TRUE_AUC or (upper is not None and upper.value <= t.LIKE_TRUE_UPPER_AUC)
        verdict = _left_out(case, places, high, auc) if is_like_true else None
        return verdict or (_skipped(case, places, bare) if bare.are_skipped else None)


def _left_out(case: Case, places: Flags, high: Flags, auc: Auc) -> Verdict | None:
    """Boxes left out wherever: as many of ``places`` are ``high`` as objects would be."""
    view = case.result
    n_true, n_high, n = int(view.true.sum()), int(high.sum()), int(places.sum())
    share = 2 * n_high / n_true  # half of the true ones score above their median
    if share < t.UNLABELLED_SHARE or n_high < max(t.MIN_HITS, t.ABOVE_CLUTTER * case.usual_false(case.true_median)):
        return None
    images = _most_first(view.detections.image[places])
    return Verdict(
        confidence=round(cause.confidence(share, t.UNLABELLED_SHARE) * n_high / (n_high + t.MIN_HITS), 3),
        d_ap=case.gain(view.ap_with(labelled=places)),
        numbers={
            "unlabelled": n,
            "true": n_true,
            "per_true": share,
            "auc": auc.value,
            "score_floor": view.confident,
            "images": len(images),
            "worst_images": images[:_WORST].tolist(),
        },
        sentence=f"{n} detections of {case.label} in {cause.number(len(images), 'image', 'images')} stand where no"
        f" box is drawn and score like the {n_true} true ones (AUC {auc.value:.2f}): objects are likely left out of the"
        " annotations.",
        remedy=_REMEDY,
        config=tuning.clean("add"),
        detections=places,
    )


def _skipped(case: Case, places: Flags, bare: BareImages) -> Verdict | None:
    """The class was not drawn in the images that ``bare`` says."""
    view = case.result
    images = bare.skipped
    there = places & np.isin(view.detections.image, images)
    gain = case.gain(view.ap_with(labelled=there))
    if bare.auc is None or gain is None or gain < t.LEAST_GAIN:
        return None
    n_high = int((view.detections.score[there] >= case.true_median).sum())
    per_image, n_beside = n_high / len(images), int(bare.beside[bare.drawn].sum())
    return Verdict(
        confidence=round(n_high / (n_high + t.MIN_HITS), 3),
        d_ap=gain,
        numbers={
            "unlabelled": int(there.sum()),
            "true": int(view.true.sum()),
            "auc": bare.auc.value,
            "images": len(images),
            "worst_images": images[:_WORST].tolist(),
            "above_median_per_image": per_image,
            "above_median_per_image_with_boxes": bare.usual,
            "above_median_beside_boxes": n_beside,
            "standard_errors": bare.errors,
        },
        sentence=f"{cause.number(len(images), 'image holds', 'images hold')} no box of {case.label} but"
        f" {int(there.sum())} confident detections: {per_image:.1f} in an image score above the median of the true"
        f" ones, as in images with boxes ({bare.usual:.1f}), and as high as these (AUC {bare.auc.value:.2f}); the class"
        " was likely skipped there.",
        remedy=f"Look at these images, then at {n_beside} such detections beside boxes. {_REMEDY}"
        if n_beside
        else f"Look at these images. {_REMEDY}",
        config=tuning.clean("add"),
        detections=there,
    )


def _most_first(images: Ints) -> Ints:
    """The distinct images, the most frequent first."""
    values, counts = np.unique(images, return_counts=True)
    return values[np.lexsort((values, -counts))]
