"""What the steps of an epoch learn from: pictures changed, boxes matched to anchors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats32, Ints, Ints32, Pixels
from detray.detectors.augmentation.augment import Augmentation, Scene
from detray.detectors.augmentation.copy_paste import Cutting, cut, labels_of, paste
from detray.detectors.augmentation.mosaic import OTHERS, mosaic
from detray.detectors.augmentation.settings import AugmentationSettings, Policy
from detray.detectors.data import CROWD, TrainingData
from detray.detectors.retinanet.anchors import match
from detray.masks import read_mask

Seed = tuple[int, ...]

Job = list[tuple[int, Seed]]
"""The images of a step, each with the seed of its augmentation."""


@dataclass(frozen=True)
class Batch:
    """What one step learns from: uint8 ``[b, h, w, 3]``, int32 ``[b, a]`` and float32 ``[b, a, 4]``."""

    images: Pixels
    classes: Ints32
    boxes: Floats32
    boxes_lost: int


def jobs(order: Ints, showing: Ints, seed: tuple[int, int]) -> Iterator[Job]:
    """The steps of an epoch, from `schedules.epoch_order` and the training's seed and epoch."""
    for images, times in zip(order.tolist(), showing.tolist(), strict=True):
        yield [(image, (*seed, image, time)) for image, time in zip(images, times, strict=True)]


class Batches:
    """Makes batches of some data, the classes' names in the order of labels; from any thread."""

    def __init__(
        self, data: TrainingData, names: list[str], anchors: Floats32, chosen: Policy | AugmentationSettings
    ) -> None:
        self._data, self._anchors = data, anchors
        self._augment = None if chosen == "none" else Augmentation(chosen)
        several = chosen if isinstance(chosen, AugmentationSettings) else AugmentationSettings()
        self._mosaic, self._pasting = several.mosaic, several.copy_paste
        pasted = labels_of(names, several.copy_paste.classes) if several.copy_paste else np.zeros(0, np.int32)
        self._cuttable = np.isin(data.labels, pasted)
        self._donors = np.unique(np.searchsorted(data.offsets, np.flatnonzero(self._cuttable), side="right") - 1)

    def __call__(self, job: Job) -> Batch:
        """The batch of a job."""
        scenes, classes, boxes = [], [], []
        lost = 0
        for image, seed in job:
            scene, gone = self.scene(image, seed)
            matched, encoded = match(self._anchors, scene.boxes, scene.labels, CROWD)
            scenes.append(scene.pixels)
            classes.append(matched)
            boxes.append(encoded)
            lost += gone
        return Batch(np.stack(scenes), np.stack(classes), np.stack(boxes), lost)

    def scene(self, image: int, seed: Seed) -> tuple[Scene, int]:
        """An image, changed, and how many boxes were lost to that."""
        random = np.random.default_rng([*seed, 1])
        scene = self._pasted(image, random)
        before = len(scene.labels)
        if self._mosaic and random.random() < self._mosaic.p:
            others = [self._pasted(int(other), random) for other in random.integers(len(self._data), size=OTHERS)]
            before += sum(len(other.labels) for other in others)
            scene = mosaic([scene, *others], self._mosaic.cell, random)
        if self._augment is not None:
            scene = Scene(*self._augment(*scene, seed))
        return scene, before - len(scene.labels)

    def _pasted(self, image: int, random: np.random.Generator) -> Scene:
        """An image with objects of another one set into it, if its turn comes."""
        scene = Scene(self._data.images[image], *self._data.objects(image))
        if self._pasting is None or not len(self._donors) or random.random() >= self._pasting.p:
            return scene
        donor = int(random.choice(self._donors))
        first, end = self._data.offsets[donor : donor + 2].tolist()
        objects = first + np.flatnonzero(self._cuttable[first:end])
        count = int(random.integers(1, self._pasting.objects + 1))
        chosen = random.permutation(objects)[:count].tolist()
        found = [self._cut(donor, row) for row in chosen]
        return paste(scene, [cutting for cutting in found if cutting is not None], random)

    def _cut(self, image: int, row: int) -> Cutting | None:
        data = self._data
        return cut(data.images[image], data.boxes[row], int(data.labels[row]), self._outline(image, row))

    def _outline(self, image: int, row: int) -> Flags | None:
        """The mask of an object within its box, in pixels of the picture as displayed."""
        text = self._data.outlines[row] if len(self._data.outlines) else None
        width, height = self._data.sizes[image].tolist()
        mask = read_mask(text, height, width)
        if mask is None or mask["size"] != [height, width]:
            return None
        from pycocotools.mask import decode

        x, y = width / self._data.images.shape[2], height / self._data.images.shape[1]
        left, top = np.floor(data_box := self._data.boxes[row])[:2] * (x, y)
        right, bottom = np.ceil(data_box)[2:] * (x, y)
        whole: Flags = decode(mask).astype(bool)
        return whole[round(top) : round(bottom), round(left) : round(right)]
