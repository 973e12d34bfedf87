"""Augmentation of training pictures with Albumentations, seeded for each picture of each epoch."""

import os
import warnings
from collections.abc import Sequence
from threading import Lock
from typing import Any, Literal

import numpy as np

from detray.arrays import Floats32, Ints32, Pixels
from detray.errors import DetrayError

Policy = Literal["none", "default", "strong"]

VERSION = "2.0.8"
"""The last release under the MIT licence; later ones under this import name are AGPL."""

MIN_VISIBILITY = 0.2
"""A box of which less than this share stays in the picture is dropped."""

_building = Lock()
"""Held while warnings are errors, which they are for all threads."""


def loses_boxes(policy: Policy) -> bool:
    """Whether a policy moves boxes out of the picture; one that mirrors and colours it cannot."""
    return policy == "strong"


class Augmentation:
    """One policy: mirrored pictures and colours that vary, and for ``strong`` also scale and place."""

    def __init__(self, policy: Policy) -> None:
        library = _albumentations()
        with _building, warnings.catch_warnings():
            warnings.simplefilter("error")  # an unknown argument is only warned of
            try:
                self._compose = library.Compose(
                    _transforms(library, policy),
                    bbox_params=library.BboxParams(
                        format="pascal_voc", label_fields=["labels"], clip=True, min_visibility=MIN_VISIBILITY
                    ),
                )
            except UserWarning as warning:
                raise DetrayError(f"augmentation {policy}: {warning}") from None

    def __call__(
        self, image: Pixels, boxes: Floats32, labels: Ints32, seed: Sequence[int]
    ) -> tuple[Pixels, Floats32, Ints32]:
        """A changed copy of an image ``[h, w, 3]`` with its boxes (corners ``[n, 4]``, px) and labels ``[n]``.

        Boxes that leave the picture are dropped: compare the lengths. Equal ``seed``, equal result.
        """
        self._compose.set_random_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        result = self._compose(image=image, bboxes=boxes, labels=labels)
        changed = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        solid = (changed[:, 2:] > changed[:, :2]).all(axis=1)
        return result["image"], changed[solid], np.asarray(result["labels"], np.int32)[solid]


def _transforms(library: Any, policy: Policy) -> list[Any]:
    if policy == "default":
        return [
            library.HorizontalFlip(p=0.5),
            library.ColorJitter(
                brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.02, 0.02), p=0.8
            ),
        ]
    return [
        library.HorizontalFlip(p=0.5),
        library.VerticalFlip(p=0.5),
        library.Affine(scale=(0.75, 1.33), translate_percent=(-0.1, 0.1), fill=114, p=0.7),
        library.ColorJitter(
            brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=(-0.05, 0.05), p=0.9
        ),
    ]


def _albumentations() -> Any:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network at import
    import albumentations

    if albumentations.__version__ != VERSION:
        raise DetrayError(
            f"albumentations {albumentations.__version__} is installed but detray runs with {VERSION}, the last one"
            f" under the MIT licence; pip install albumentations=={VERSION}, or set train.augmentation to none"
        )
    return albumentations
