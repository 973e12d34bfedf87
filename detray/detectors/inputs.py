"""From a picture file to what a detector takes."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Pixels
from detray.detectors.detector import Prepare, Prepared
from detray.detectors.settings import DetectorSettings
from detray.pictures import PictureError, read_picture


@dataclass(frozen=True)
class Stretch:
    """Resizes pictures to ``height`` x ``width`` px; their aspect is not kept."""

    height: int
    width: int

    def __call__(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as uint8 ``[height, width, 3]``."""
        import cv2

        height, width = picture.shape[:2]
        shrinks = height >= self.height and width >= self.width
        resized = cv2.resize(
            picture, (self.width, self.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return Prepared(np.asarray(resized, np.uint8), width, height)


def stretch_to(settings: DetectorSettings) -> Stretch:
    """To the configured input size."""
    return Stretch(settings.input_height, settings.input_width)


def read_input(path: str | None, prepare: Prepare) -> Prepared | PictureError:
    """The picture at ``path``, prepared; or why there is no whole one. None: its name leads nowhere."""
    if path is None:
        return PictureError(
            "outside_root",
            "it has no file name, or one that leads out of dataset.root; name where it leads to in dataset.also",
        )
    try:
        return prepare(read_picture(path))
    except PictureError as error:
        return error
