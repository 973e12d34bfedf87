"""From a picture file to what a network takes."""

import numpy as np
from numpy.typing import NDArray

from detray.pictures import read_picture


def read_input(path: str, height: int, width: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The picture at ``path`` resized to ``height`` x ``width`` (its aspect is not kept), and its width
    and height as displayed, in pixels.

    Raises:
        PictureError: there is no whole picture.
    """
    import cv2

    picture = read_picture(path)
    shrinks = picture.shape[0] >= height and picture.shape[1] >= width
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8), (picture.shape[1], picture.shape[0])
