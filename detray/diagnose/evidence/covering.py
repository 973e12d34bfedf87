"""The augmentation under which training pictures come to look as those that are evaluated do."""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from detray.detectors.augmentation.settings import WRITTEN_OUT, AugmentationSettings, Blur, Brightness, Contrast
from detray.diagnose.criterion import REASONED, Criterion
from detray.diagnose.evidence.pictures import PictureDrift

APART = Criterion(1.25, f"times as bright, flat or sharp from which an augmentation is to cover it: {REASONED}")
MARGIN = Criterion(1.2, f"by which it goes beyond the difference of the medians: {REASONED}")
BLUR_MARGIN = Criterion(1.5, f"the same of the blur, which is drawn evenly from none on: {REASONED}")
MOST = 0.95
"""Of the factors of brightness and contrast; at 1 a picture is black, or grey."""
NEGATIVE = Criterion(8.0, "of 255 by which brightness here and in training, of the same contrast, add up to white")

_OFTEN = 0.8
_BLUR_POWER = 1.5
"""The deviation of the Laplacian of edges falls with this power of a Gaussian's sigma."""
_LEAST_BLUR, _MOST_BLUR = 1.0, 12.0
"""Sigma, px of the input."""


def covering(drifts: Sequence[PictureDrift], scale: float = 1.0) -> AugmentationSettings | None:
    """The default changes, and those of brightness, contrast and sharpness as far as the pictures differ in them; None
    where none of these helps.

    What is darker as a whole is flatter and less sharp by as much, and what is flatter less sharp, so each is taken
    beside what the one before does already. Nothing makes pictures sharper, or of negatives positives.

    Args:
        drifts: the properties that differ.
        scale: px of the input a px of the pictures.
    """
    if are_negatives(drifts):
        return None
    times = {one.measure: _times(one) for one in drifts}
    brightness = times.get("brightness", 1.0)
    contrast = times.get("contrast", 1.0) / min(brightness, 1.0)
    sharpness = times.get("sharpness", 1.0) ** 0.5 / min(times.get("contrast", 1.0), 1.0)  # it is a variance
    found = WRITTEN_OUT["default"]
    if _is_apart(brightness):
        found = replace(found, brightness=Brightness(p=_OFTEN, amount=_amount(brightness)))
    if _is_apart(contrast):
        found = replace(found, contrast=Contrast(p=_OFTEN, amount=_amount(contrast)))
    if sharpness < 1 / APART:
        sigma = scale * BLUR_MARGIN * sharpness ** (-1 / _BLUR_POWER)
        found = replace(found, blur=Blur(p=_OFTEN, sigma=round(float(np.clip(sigma, _LEAST_BLUR, _MOST_BLUR)), 1)))
    return None if found == WRITTEN_OUT["default"] else found


def are_negatives(drifts: Sequence[PictureDrift]) -> bool:
    """Whether the brightness is what that of negatives of the training pictures is, and the contrast the same."""
    found = {one.measure: one for one in drifts}
    one = found.get("brightness")
    if one is None or "contrast" in found:
        return False
    return _is_apart(_times(one)) and abs(one.here + one.there - 255) <= NEGATIVE


def _times(drift: PictureDrift) -> float:
    """How many times as much the property is here."""
    return max(drift.here, 1e-3) / max(drift.there, 1e-3)


def _is_apart(times: float) -> bool:
    return not 1 / APART <= times <= APART


def _amount(times: float) -> float:
    return round(min(MARGIN * abs(times - 1), MOST), 2)
