"""What makes training pictures look as those that are evaluated do."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from detray.arrays import Pixels
from detray.audit.picture_measures import PROPERTIES
from detray.audit.pictures import properties
from detray.demo.draw import draw_dataset
from detray.detectors.augmentation.settings import AugmentationSettings, Brightness, Contrast, Flip, Hue, Saturation
from detray.diagnose.evidence.covering import are_negatives, covering
from detray.diagnose.evidence.pictures import PictureDrift

COLOURS = {"brightness": Brightness, "contrast": Contrast, "saturation": Saturation, "hue": Hue}


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


@pytest.mark.parametrize(
    ("change", "by", "least", "most"), [(darker, "brightness", 0.75, 0.95), (flatter, "contrast", 0.6, 0.9)]
)
def test_darker_and_flatter_pictures_are_covered_by_that_alone(
    pictures: list[Pixels], change: Callable[[Pixels], Pixels], by: str, least: float, most: float
) -> None:
    found = covering(drifts(pictures, change))
    assert found is not None
    usual = AugmentationSettings(flip=Flip(), **{name: kind(p=0.8) for name, kind in COLOURS.items()})
    assert replace(found, **{by: getattr(usual, by)}) == usual
    assert least <= getattr(found, by).amount <= most


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
