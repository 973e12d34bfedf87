import numpy as np

from detray.arrays import Ints
from detray.diagnose.case import Case
from detray.diagnose.cause import GROUND_TRUTH, Cause, Verdict, clean, confidence, number, percent
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.background import ABOVE_CLUTTER, LIKE_TRUE_AUC, LIKE_TRUE_UPPER_AUC
from detray.diagnose.evidence.bare_images import BareImages, outscores
from detray.diagnose.evidence.chance import CHANCE_ERRORS, Auc
from detray.diagnose.evidence.lacking import LACKING_SHARE, Lacking
from detray.diagnose.evidence.sides import TRAIN
from detray.diagnose.evidence.unlabelled import believed, unlabelled
from detray.diagnose.mend import LEAST_GAIN, Mend, regained
from detray.diagnose.observation.counts import MIN_HITS, NIL_RECALL

UNLABELLED_SHARE = Criterion(0.2, f"confident detections where no box stands, for each true one: {SUITE}")
WORTH_A_LOOK = Criterion(0.25, "chance of the surest suspect: below it a look at the pictures is not worth its while")
MORE_THERE = Criterion(1, f"standard errors beyond chance from which detections stand where no box is: {SUITE}")

_WORST = 10
"""Images that the evidence names."""
_TRAIN_REMEDY = (
    "Look at some training pictures for objects without a box. Diagnose the training split too (predict.splits), review"
    " the boxes that label_errors suspects there (kind missing), let clean add the confirmed ones, and train again."
)
_REMEDY = "Review the suspected boxes in label_errors (kind missing) and let clean add the confirmed ones."


class MissingLabels(Cause):
    """Objects of the class stand in the pictures without a box.

    Tells: detections on background that score like the true ones (AUC from .4 to .7, or to .6
    above their median), one for each such place, many for the number of true ones, and far more than
    the classes that work have at such scores. Or images without a box of the class hold far more
    confident detections than the others hold beside their boxes, as many and with such scores as objects
    have there: the class was skipped in whole images. A model that errs in images without the object
    does so in other numbers or with other scores; where it does not, only a look at the pictures tells. On pictures of
    another kind than in training, where the split has fewer boxes of the class an image too. Or, where the
    model was run on training pictures: in one split far more of the sure detections stand where no box is than in the
    other, and for as many of them it has far fewer boxes; so labels are missing there, be it in training. A model that
    hardly knows the class tells it by numbers: it detects as much in training, beside a quarter of the boxes or less.
    Source: confident false positives as missing annotations: ObjectLab (Tkachenko et al., 2023).
    Example: annotators drew the cars near the camera and left the parked ones out.
    Remedy: review the suspected boxes (label_errors, kind missing) and let clean add them.
    """

    name = "missing_labels"
    group = GROUND_TRUTH
    explains = ("background_confusion",)

    def judge(self, case: Case) -> Verdict | None:
        lacking = case.lacking
        if lacking is not None and lacking.side.split == TRAIN:
            return _in_one_split(case, lacking)
        is_told = not case.training.nothing_learnt and (case.pictures_alike or _is_sparse(case))
        within = _within(case) if is_told else None
        return within or (None if lacking is None else _in_one_split(case, lacking))


def _is_sparse(case: Case) -> bool:
    """Whether the split has fewer boxes of the class an image than training has, beyond chance, or that is not known.

    On pictures of another kind a model is as sure of what is none; its word alone is worth nothing there. Labels that
    are missing here leave fewer boxes.
    """
    seen, there = case.split.inputs.trained, case.trained
    if seen is None or there is None or not seen.n_images:
        return True
    expected = there.n_boxes * seen.n_evaluated / seen.n_images
    return bool(expected - case.result.n_boxes >= CHANCE_ERRORS * np.sqrt(expected))


def _within(case: Case) -> Verdict | None:
    """What the evaluated split alone tells."""
    result, background, auc = case.result, case.background, case.background.auc
    if result.n_true < MIN_HITS or result.recall < NIL_RECALL or auc is None or auc.is_bad:
        return None
    bare = BareImages.of(background, case.split.n_images_detected)
    is_there = 2 * len(bare.scores) >= int(background.high.sum()) and bare.errors >= MORE_THERE
    if outscores(background.high_auc) or (is_there and bare.is_unlike):
        return None  # the model takes something else for the class
    # in a noisy model the false ones fade out below; left-out objects score as the true ones above it
    upper = background.high_auc
    is_like_true = auc.value <= LIKE_TRUE_AUC or (upper is not None and upper.value <= LIKE_TRUE_UPPER_AUC)
    verdict = _left_out(case, auc) if is_like_true else None
    return verdict or (_skipped(case, bare) if bare.are_skipped else None)


def _left_out(case: Case, auc: Auc) -> Verdict | None:
    """Boxes left out wherever: as many detections on background score high as objects would."""
    result, places = case.result, case.background.places
    n_true, n_high, n = result.n_true, int(case.background.high.sum()), int(places.sum())
    share = 2 * n_high / n_true  # half of the true ones score above their median
    usual = case.scores.usual_false(case.scores.median)
    if share < UNLABELLED_SHARE or n_high < max(MIN_HITS, ABOVE_CLUTTER * usual):
        return None
    _, chances = unlabelled(result.detections)  # label_errors lists them for what the model is worth
    surest, expected = float(chances.max()), float(chances.sum())
    if surest * believed(result.detections, result.n_boxes) < WORTH_A_LOOK or expected < max(
        MIN_HITS, UNLABELLED_SHARE * n_true
    ):
        return None
    images = _most_first(result.detections.image[places])
    return Verdict(
        confidence=round(min(confidence(share, UNLABELLED_SHARE) * n_high / (n_high + MIN_HITS), surest), 3),
        d_ap=regained(result, Mend(labelled=places)),
        numbers={
            "unlabelled": n,
            "true": n_true,
            "per_true": share,
            "expected": expected,
            "surest": surest,
            "auc": auc.value,
            "score_floor": case.scores.low,
            "images": len(images),
            "worst_images": images[:_WORST].tolist(),
        },
        sentence=f"{n} detections of {case.label} in {number(len(images), 'image', 'images')} stand where no box is"
        f" drawn, {n_high} of them as sure as the upper half of the {n_true} true ones: about {expected:.0f} are"
        " objects left out of the annotations.",
        remedy=_REMEDY,
        config=clean("add"),
        detections=places,
    )


def _skipped(case: Case, bare: BareImages) -> Verdict | None:
    """The class was not drawn in the images that ``bare`` says."""
    result, images = case.result, bare.skipped
    there = case.background.places & np.isin(result.detections.image, images)
    gain = regained(result, Mend(labelled=there))
    if bare.auc is None or gain is None or gain < LEAST_GAIN:
        return None
    n_high = int((result.detections.score[there] >= case.scores.median).sum())
    per_image, n_beside = n_high / len(images), int(bare.beside[bare.drawn].sum())
    return Verdict(
        confidence=round(n_high / (n_high + MIN_HITS), 3),
        d_ap=gain,
        numbers={
            "unlabelled": int(there.sum()),
            "true": result.n_true,
            "auc": bare.auc.value,
            "images": len(images),
            "worst_images": images[:_WORST].tolist(),
            "above_median_per_image": per_image,
            "above_median_per_image_with_boxes": bare.usual,
            "above_median_beside_boxes": n_beside,
            "standard_errors": bare.errors,
        },
        sentence=f"{number(len(images), 'image holds', 'images hold')} no box of {case.label} but"
        f" {int(there.sum())} confident detections: {per_image:.1f} in an image score above the median of the true"
        f" ones, as in images with boxes ({bare.usual:.1f}), and as high as these (AUC {bare.auc.value:.2f}); the class"
        " was likely skipped there.",
        remedy=f"Look at these images, then at {n_beside} such detections beside boxes. {_REMEDY}"
        if n_beside
        else f"Look at these images. {_REMEDY}",
        config=clean("add"),
        detections=there,
    )


def _in_one_split(case: Case, lacking: Lacking) -> Verdict:
    """The detections of one split tell that it lacks boxes that the other has."""
    side, other, n = lacking.side, lacking.other, lacking.n_bare
    is_train = side.split == TRAIN
    n_missing = round(lacking.expected) - side.result.n_boxes
    return Verdict(
        confidence=confidence(lacking.share, LACKING_SHARE),
        d_ap=None if is_train else regained(case.result, Mend(labelled=lacking.bare)),
        numbers={
            "split": side.split,
            "unlabelled": n,
            "sure": lacking.n_sure,
            "unlabelled_elsewhere": lacking.other_bare,
            "sure_elsewhere": lacking.other_sure,
            "score": lacking.floor,
            "boxes": side.result.n_boxes,
            "boxes_expected": lacking.expected,
            "boxes_per_image": side.per_image,
            "boxes_per_image_elsewhere": other.per_image,
        },
        sentence=f"The {side.words} lack boxes of {case.label}: {_told(lacking)} It has {side.per_image:.2f} boxes an"
        f" image ({other.per_image:.2f} on the {other.pictures}); for what the model finds about {n_missing} of"
        f" {lacking.expected:.0f} are missing.",
        remedy=_TRAIN_REMEDY if is_train else _REMEDY,
        config=None if is_train else clean("add"),
        detections=None if is_train else lacking.bare,
    )


def _told(lacking: Lacking) -> str:
    """What the detections tell, in a sentence."""
    side, other, n = lacking.side, lacking.other, lacking.n_bare
    if lacking.by_number:
        return (
            f"the model detects it {lacking.n_sure} times with a score of {lacking.floor:.2f} or more on"
            f" {side.n_images} {side.pictures}, {lacking.other_sure} times on {other.n_images} {other.pictures}, and"
            " all other classes together have as many boxes an image in both."
        )
    return (
        f"of {lacking.n_sure} detections that score {lacking.floor:.2f} or more on the {side.pictures}, {n}"
        f" ({percent(n / lacking.n_sure)}) stand where no box is drawn, and of {lacking.other_sure} on the"
        f" {other.pictures} {lacking.other_bare} ({percent(lacking.other_bare / lacking.other_sure)})."
    )


def _most_first(images: Ints) -> Ints:
    """The distinct images, the most frequent first."""
    values, counts = np.unique(images, return_counts=True)
    return values[np.lexsort((values, -counts))]
