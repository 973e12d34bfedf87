"""Augmentation of training pictures with Albumentations, seeded for each picture of each epoch."""

import warnings
from collections.abc import Callable, Sequence
from random import Random
from threading import Lock, local
from typing import Any, NamedTuple

import numpy as np

from detray.arrays import Floats32, Ints32, Pixels
from detray.detectors.augmentation.settings import AugmentationSettings, Policy, loses_boxes
from detray.detectors.augmentation.transforms import albumentations, transforms
from detray.errors import DetrayError

MIN_VISIBILITY = 0.2
"""A box of which less than this share stays in the picture is dropped."""

_building = Lock()
"""Held while warnings are errors, which they are for all threads."""


class Scene(NamedTuple):
    """A picture ``[h, w, 3]`` with its boxes (corners ``[n, 4]``, px) and their labels ``[n]``."""

    pixels: Pixels
    boxes: Floats32
    labels: Ints32


class Augmentation:
    """A mixture of changes, by name or by its settings, of one picture at a time; from any thread."""

    def __init__(self, chosen: Policy | AugmentationSettings) -> None:
        self._chosen = chosen
        self._own = local()
        self._composed(32, 32)  # what is wrong is said now

    def __call__(
        self, image: Pixels, boxes: Floats32, labels: Ints32, seed: Sequence[int]
    ) -> tuple[Pixels, Floats32, Ints32]:
        """A changed copy of an image ``[h, w, 3]`` with its boxes (corners ``[n, 4]``, px) and labels ``[n]``.

        Boxes that leave the picture are dropped: compare the lengths. Equal ``seed``, equal result.
        """
        # the mixtures that have a name are kept as they always were
        is_shared = isinstance(self._chosen, AugmentationSettings)
        return run(self._composed(*image.shape[:2]), Scene(image, boxes, labels), seed, is_shared=is_shared)

    def _composed(self, height: int, width: int) -> Any:
        """The thread's own composition for a size: the seed is a state of it."""
        if not hasattr(self._own, "composed"):
            self._own.composed = {}
        found: dict[tuple[int, int], Any] = self._own.composed
        if (height, width) not in found:
            found[height, width] = compose(
                lambda library: transforms(library, self._chosen, height, width),
                str(self._chosen),
                checks_boxes=loses_boxes(self._chosen),
            )
        return found[height, width]


def compose(make: Callable[[Any], list[Any]], name: str, *, checks_boxes: bool = True) -> Any:
    """The library's composition of the transforms that ``make(library)`` gives.

    ``checks_boxes``: after each of them, not only at the end: for those that move boxes out of the picture.

    Raises:
        DetrayError: it takes no such argument; ``name`` says whose.
    """
    library = albumentations()
    with _building, warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown argument is only warned of
        try:
            return library.Compose(
                make(library),
                bbox_params=library.BboxParams(
                    format="pascal_voc",
                    label_fields=["labels"],
                    clip=True,
                    min_visibility=MIN_VISIBILITY,
                    check_each_transform=checks_boxes,
                ),
            )
        except UserWarning as warning:
            raise DetrayError(f"augmentation {name}: {warning}") from None


def run(composed: Any, scene: Scene, seed: Sequence[int], *, is_shared: bool) -> Scene:
    """What a composition makes of a scene; boxes without area are dropped.

    The transforms draw from one stream of chance, or else, not ``is_shared``, each from its own with the same
    seed: then what has the same probability always comes together.
    """
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if is_shared:
        composed.set_random_state(np.random.default_rng(number), Random(number))  # noqa: S311 - no secret
    else:
        composed.set_random_seed(number)
    result = composed(image=scene.pixels, bboxes=scene.boxes, labels=scene.labels)
    changed = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    solid = (changed[:, 2:] > changed[:, :2]).all(axis=1)
    return Scene(result["image"], changed[solid], np.asarray(result["labels"], np.int32)[solid])
