"""Which image a detection's image id means, where it does not mean the id that it names.

Files number images in other ways: by position in a list (from 0 or 1), by the digits of the file
name, shifted by one. Each is a `Pairing`; the one under which far more boxes are hit is the true one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from detray.boxes import pairwise_iou
from detray.diagnose import thresholds as t
from detray.diagnose.overlap import overlaps
from detray.diagnose.scene import Scene, select_boxes, select_detections
from detray.evaluate.kernel import Detections, Ints

SAMPLE_IMAGES = 64
"""Images with boxes on which pairings are compared."""
SEARCHED_IMAGES = 12
"""Images of detections that are compared with every image when no simple pairing fits."""
TOP_DETECTIONS = 40
"""Detections an image, by score, that such a comparison uses."""


@dataclass(frozen=True)
class Pairing:
    """How detections name images: ``words`` says it; ``source[i]`` of the files is ``target[i]``.

    Without a mapping (empty arrays) the images are only known to be mixed up.
    """

    words: str
    source: Ints
    target: Ints

    def rename(self, image: Ints) -> Ints:
        """The true image of each detection; -1 where it is none."""
        if not len(self.source):
            return image
        place = np.minimum(np.searchsorted(self.source, image), len(self.source) - 1)
        return np.where(self.source[place] == image, self.target[place], -1)


@dataclass(frozen=True)
class PairingFault:
    """Detections whose image ids are wrong: recall (any class) as given and under the pairing."""

    pairing: Pairing
    recall: float
    recall_under: float | None
    """None where the true pairing is not known."""
    unknown_share: float
    """Share of the detections whose image id is not among the images."""
    empty_share: float
    """Share of the images with boxes that no detection names."""


def spread(image: Ints) -> Ints:
    """A number for each image id that orders ids as if at random, the same for any cut."""
    mixed = image.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(8)).astype(np.int64)


def sample_images(scene: Scene, n: int = SAMPLE_IMAGES) -> Ints:
    """``n`` images that hold boxes, the same whatever else is there."""
    images = np.unique(scene.gt.image[~scene.gt.crowd])
    return images[np.argsort(spread(images), kind="stable")[:n]]


def recall_of(scene: Scene, images: Ints, dt: Detections | None = None) -> float:
    """The share of the boxes in ``images`` that a detection of any class hits."""
    dt = scene.dt if dt is None else dt
    gt = select_boxes(scene.gt, np.isin(scene.gt.image, images) & ~scene.gt.crowd)
    if not len(gt):
        return 0.0
    near = select_detections(dt, np.isin(dt.image, images))
    _, box, _ = overlaps(gt, near, t.HIT_IOU)
    return len(np.unique(box)) / len(gt)


def candidates(scene: Scene, file_names: list[str | None], order: Ints) -> Iterator[Pairing]:
    """Pairings that files are known to use.

    ``file_names`` of ``scene.images`` and ``order``, their positions in the source's own list.
    """
    ids = scene.images.id
    named = np.unique(scene.dt.image)
    if not len(ids) or not len(named):
        return
    by_list = ids[np.argsort(order, kind="stable")]
    lists = [("list of images", by_list), ("sorted image ids", ids)]
    if all(file_names):
        lists.append(("sorted file names", ids[np.argsort(np.array(file_names), kind="stable")]))
    for words, listed in lists:
        for first in (0, 1):
            yield _pairing(f"positions in the {words}, from {first}", np.arange(first, first + len(ids)), listed)
    numbers = [re.findall(r"\d+", name or "") for name in file_names]
    if all(numbers):
        stems = np.array([int(found[-1][-18:]) for found in numbers])
        if len(np.unique(stems)) == len(stems):
            yield _pairing("the number in the file name", stems, ids)
    for step in (1, -1):
        yield _pairing(f"the id of the image {'before' if step < 0 else 'after'} it", np.roll(ids, -step), ids)
        yield _pairing(f"the image id {'plus' if step > 0 else 'minus'} 1", ids + step, ids)
    for shift in {int(named[0] - ids[0]), int(named[-1] - ids[-1])} - {0, 1, -1}:
        yield _pairing(f"the image id plus {shift}" if shift > 0 else f"the image id minus {-shift}", ids + shift, ids)
    if len(named) == len(ids):
        yield _pairing("other ids in the same order", named, ids)


def _pairing(words: str, source: Ints, target: Ints) -> Pairing:
    order = np.argsort(source, kind="stable")
    return Pairing(words, source[order], target[order])


def find_pairing(scene: Scene, file_names: list[str | None], order: Ints) -> PairingFault | None:
    """Whether the detections' image ids mean other images; the arguments as in `candidates`."""
    if not len(scene.dt) or not len(scene.gt):
        return None
    images = sample_images(scene)
    now = recall_of(scene, images)
    known = np.isin(scene.dt.image, scene.images.id)
    empty = float(1 - np.isin(np.unique(scene.gt.image), scene.dt.image).mean())
    fault = PairingFault(Pairing("", images[:0], images[:0]), now, None, float(1 - known.mean()), empty)
    if now > 1 - t.RECALL_RAISE:
        return None
    n = int((np.isin(scene.gt.image, images) & ~scene.gt.crowd).sum())
    best = max(
        ((recall_of(scene, images, replace(scene.dt, image=p.rename(scene.dt.image))), p) for p in
         candidates(scene, file_names, order)),
        key=lambda entry: entry[0],
        default=(0.0, fault.pairing),
    )
    if best[0] - now > t.RECALL_RAISE and (best[0] - now) * n >= t.MIN_HITS:
        return replace(fault, pairing=best[1], recall_under=best[0])
    if fault.unknown_share >= t.UNKNOWN_IMAGES and empty >= t.UNKNOWN_IMAGES:
        return replace(fault, pairing=replace(fault.pairing, words="ids that the ground truth lacks"))
    if now < t.NIL_RECALL and _mixed_up(scene):
        return replace(fault, pairing=replace(fault.pairing, words="other images than they should"))
    return None


def _mixed_up(scene: Scene) -> bool:
    """Whether the detections of most images fit another image far better than the one they name."""
    gt, dt = scene.gt, scene.dt
    named, count = np.unique(dt.image, return_counts=True)
    chosen = named[np.argsort(-np.minimum(count, TOP_DETECTIONS) * (1 << 20) - spread(named) % (1 << 20))]
    fits = 0
    chosen = chosen[:SEARCHED_IMAGES]
    real = select_boxes(gt, ~gt.crowd)
    images, place, n = np.unique(real.image, return_inverse=True, return_counts=True)
    for image in chosen:
        rows = np.flatnonzero(dt.image == image)
        rows = rows[np.argsort(-dt.score[rows], kind="stable")[:TOP_DETECTIONS]]
        hit = np.zeros(len(real), np.bool_)
        for start in range(0, len(real), 1 << 14):
            part = slice(start, start + (1 << 14))
            hit[part] = (pairwise_iou(dt.box[rows], real.box[part]) >= t.HIT_IOU).any(axis=0)
        share = np.bincount(place, hit) / n
        share[n < t.MIN_HITS] = 0
        fits += bool(share.max(initial=0) >= t.MIXED_UP_RECALL and images[share.argmax()] != image)
    return len(chosen) > 0 and fits >= len(chosen) / 2
