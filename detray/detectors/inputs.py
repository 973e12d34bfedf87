"""From a picture file to what a detector takes."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Pixels
from detray.detectors.detector import Prepare, Prepared
from detray.detectors.io import Layout, Resize
from detray.detectors.settings import DetectorSettings
from detray.pictures import PictureError, read_picture


@dataclass(frozen=True)
class Stretch:
    """Resizes pictures to ``height`` x ``width`` px; their aspect is not kept."""

    height: int
    width: int

    def __call__(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as uint8 ``[height, width, 3]``."""
        height, width = picture.shape[:2]
        return Prepared(_resized(picture, self.width, self.height), width, height)


def _resized(picture: Pixels, width: int, height: int) -> Pixels:
    import cv2

    shrinks = picture.shape[0] >= height and picture.shape[1] >= width
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


@dataclass(frozen=True)
class Place:
    """Where a picture lies in an input: a point x, y of it at ``scale`` times that plus ``offset``, px."""

    scale: tuple[float, float]
    offset: tuple[float, float]


def place(width: int, height: int, input_width: int, input_height: int, resize: Resize) -> Place:
    """Where a picture of ``width`` x ``height`` px lies in an input, by how it is resized.

    A letterboxed picture lies in the middle, in whole pixels, as Ultralytics' LetterBox has it; of one that is
    cropped the middle is seen.
    """
    wide, high = input_width / width, input_height / height
    if resize == "letterbox":
        full_wide, full_high = _inside(width, height, input_width, input_height)
        left, top = (input_width - full_wide) // 2, (input_height - full_high) // 2
        return Place((full_wide / width, full_high / height), (left, top))
    if resize == "crop":
        left, top, seen_wide, seen_high = _middle(width, height, input_width, input_height)
        wide, high = input_width / seen_wide, input_height / seen_high
        return Place((wide, high), (-left * wide, -top * high))
    return Place((1, 1), (0, 0)) if resize == "none" else Place((wide, high), (0, 0))


def _inside(width: int, height: int, input_width: int, input_height: int) -> tuple[int, int]:
    scale = min(input_width / width, input_height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _middle(width: int, height: int, input_width: int, input_height: int) -> tuple[int, int, int, int]:
    """Of a picture the middle that has the aspect of the input: left, top, width, height, px."""
    scale = max(input_width / width, input_height / height)
    wide, high = max(1, round(input_width / scale)), max(1, round(input_height / scale))
    return (width - wide) // 2, (height - high) // 2, wide, high


@dataclass(frozen=True)
class Letterbox:
    """Resizes pictures to fit into ``height`` x ``width`` px, their aspect kept; around them is ``fill``."""

    height: int
    width: int
    fill: int = 114

    def __call__(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as uint8 ``[height, width, 3]``."""
        height, width = picture.shape[:2]
        wide, high = _inside(width, height, self.width, self.height)
        left, top = place(width, height, self.width, self.height, "letterbox").offset
        full = np.full((self.height, self.width, 3), self.fill, np.uint8)
        full[int(top) : int(top) + high, int(left) : int(left) + wide] = _resized(picture, wide, high)
        return Prepared(full, width, height)


@dataclass(frozen=True)
class Crop:
    """Resizes pictures to fill ``height`` x ``width`` px, their aspect kept; what is over is cut off."""

    height: int
    width: int

    def __call__(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as uint8 ``[height, width, 3]``."""
        height, width = picture.shape[:2]
        left, top, wide, high = _middle(width, height, self.width, self.height)
        return Prepared(_resized(picture[top : top + high, left : left + wide], self.width, self.height), width, height)


@dataclass(frozen=True)
class AsIs:
    """Leaves pictures as they are: the model resizes them."""

    def __call__(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as it is."""
        return Prepared(picture, picture.shape[1], picture.shape[0])


def preparation(layout: Layout, fill: int = 114) -> Prepare:
    """How pictures become what a model of ``layout`` takes; ``fill`` is around those that are letterboxed."""
    if layout.resize == "none" or layout.height is None or layout.width is None:
        return AsIs()
    if layout.resize == "letterbox":
        return Letterbox(layout.height, layout.width, fill)
    return (Crop if layout.resize == "crop" else Stretch)(layout.height, layout.width)


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
