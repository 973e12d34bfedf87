"""What makes training pictures look as those that are evaluated do."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from detray.arrays import Pixels
from detray.audit.picture_measures import PROPERTIES
from detray.audit.pictures import properties
from detray.demo.draw import draw_dataset
from detray.detectors.augmentation.settings import Brightness, Contrast
from detray.diagnose.evidence.covering import are_negatives, covering
from detray.diagnose.evidence.pictures import PictureDrift


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Pixels]:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, train=12, val=2, test=0)
    return [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted((folder / "images/train").iterdir())]


def drifts(pictures: list[Pixels], change: Callable[[Pixels], Pixels]) -> list[PictureDrift]:
    """The properties that differ by a twentieth, as `drifts_of` would have them."""
    there, here = (
        np.median([properties(one) for one in found], axis=0) for found in (pictures, [change(one) for one in pictures])
    )
    rows = [PictureDrift(*row) for row in zip(PROPERTIES, [1.0] * 3, here.tolist(), there.tolist(), strict=True)]
    return [one for one in rows if abs(one.here / one.there - 1) > 0.05]


def darker(picture: Pixels) -> Pixels:
    return (picture * 0.25).astype(np.uint8)


def flatter(picture: Pixels) -> Pixels:
    return (picture.mean() + 0.4 * (picture - picture.mean())).astype(np.uint8)


def test_darker_pictures_are_covered_by_brightness_alone(pictures: list[Pixels]) -> None:
    found = covering(drifts(pictures, darker))
    assert found is not None
    assert found.brightness is not None
    assert 0.75 <= found.brightness.amount <= 0.95
    assert (found.contrast, found.blur) == (Contrast(p=0.8), None)


def test_flatter_pictures_by_contrast_alone(pictures: list[Pixels]) -> None:
    found = covering(drifts(pictures, flatter))
    assert found is not None
    assert found.contrast is not None
    assert 0.6 <= found.contrast.amount <= 0.9
    assert (found.brightness, found.blur) == (Brightness(p=0.8), None)


@pytest.mark.parametrize("sigma", [2.0, 5.0])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_blurred_pictures_by_about_that_blur(pictures: list[Pixels], sigma: float, scale: float) -> None:
    found = covering(drifts(pictures, lambda picture: cv2.GaussianBlur(picture, (0, 0), sigma)), scale)
    assert found is not None
    assert found.blur is not None
    assert 0.8 <= found.blur.sigma / (sigma * scale) <= 3


def test_negatives_are_told_and_nothing_covers_them(pictures: list[Pixels]) -> None:
    dark = [picture // 2 for picture in pictures]  # of grey ones the brightness tells nothing
    negatives = drifts(dark, lambda picture: 255 - picture)
    assert are_negatives(negatives)
    assert covering(negatives) is None
    assert not are_negatives(drifts(pictures, darker))


def test_what_is_sharper_or_alike_asks_for_nothing(pictures: list[Pixels]) -> None:
    assert covering([]) is None
    assert covering([PictureDrift("sharpness", 1.0, 90.0, 10.0)]) is None
