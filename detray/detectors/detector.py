"""What every detector is to the rest: pictures in, detections out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """Detections of some images, image by image, best first.

    ``image``: ``[n]``, position of the image among those given; ``category_id``: ``[n]``; ``boxes``:
    float64 ``[n, 4]``, x, y, width, height in fractions of the picture's size; ``scores``: float64
    ``[n]``; ``rank``: int32 ``[n]``, from 1 in each image.
    """

    image: NDArray[np.int64]
    category_id: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    rank: NDArray[np.int32]

    def columns(self, image_ids: NDArray[np.int64], sizes: NDArray[np.float64]) -> dict[str, NDArray]:
        """As columns of the table predictions, boxes in pixels.

        Args:
            image_ids: ``[b]`` of the images given.
            sizes: ``[b, 2]``, their width and height as displayed, px.
        """
        pixels = self.boxes * np.tile(sizes[self.image], 2)
        sides = {side: pixels[:, number] for number, side in enumerate(("x", "y", "width", "height"))}
        return {
            "image_id": image_ids[self.image],
            "category_id": self.category_id,
            **sides,
            "score": self.scores,
            "rank": self.rank,
        }


class Detector(Protocol):
    """A trained detector, loaded where it is used: it does not pickle."""

    @property
    def classes(self) -> Mapping[int, str]:
        """category_id to name."""
        ...

    @property
    def input_height(self) -> int:
        """Pixels that pictures are resized to."""
        ...

    @property
    def input_width(self) -> int:
        """Pixels that pictures are resized to."""
        ...

    def detect(self, images: NDArray[np.uint8]) -> Detections:
        """The detections of RGB images ``[b, input_height, input_width, 3]``, for any b.

        What an image gets does not depend on the others.
        """
        ...
