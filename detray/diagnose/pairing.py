"""Which image a detection's image id means, where it does not mean the id that it names.

Files number images in other ways: by position in a list (from 0 or 1), by the digits of the file
name, shifted by one. Each is a `Pairing`; the one under which far more boxes are hit is the true one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from detray.boxes import pairwise_iou
from detray.diagnose import thresholds as t
from detray.diagnose.columns import take
from detray.diagnose.overlap import overlaps
from detray.diagnose.scene import Scene, sort_detections
from detray.evaluate.kernel import Detections, GroundTruth, Ints

SAMPLE_IMAGES = 64
"""Images with boxes on which pairings are compared."""
SEARCHED_IMAGES = 12
"""Images of detections that are compared with every image when no simple pairing fits."""
TOP_DETECTIONS = 12
"""Detections an image, by score, that such a comparison uses."""


@dataclass(frozen=True)
class Pairing:
    """A detection of image ``source[i]`` (rising) belongs to image ``target[i]``; ``words`` says how."""

    words: str
    source: Ints
    target: Ints

    def rename(self, image: Ints) -> Ints:
        """The true image of each detection; -1 where it is none."""
        if not len(self.source):
            return np.full(len(image), -1)
        place = np.minimum(np.searchsorted(self.source, image), len(self.source) - 1)
        return np.where(self.source[place] == image, self.target[place], -1)

    def apply(self, scene: Scene) -> Scene:
        """The scene with the detections moved to the images that they mean; those of no image are left out."""
        image = self.rename(scene.dt.image)
        return replace(scene, dt=sort_detections(take(replace(scene.dt, image=image), image >= 0)))

    def sources_of(self, images: Ints) -> Ints:
        """The ids by which detections name these images."""
        return self.source[np.isin(self.target, images)]


@dataclass(frozen=True)
class PairingFault:
    """Detections whose image ids are wrong: recall (any class) as given and under the pairing."""

    words: str
    recall: float
    recall_under: float | None
    """None where the true pairing is not known."""
    unknown_share: float
    """Share of the detections whose image id is not among the images."""
    empty_share: float
    """Share of the images with boxes that no detection names."""


@dataclass(frozen=True)
class Listing:
    """Images by rising id, with their file names and positions in the source's own list."""

    id: Ints
    file_name: list[str | None]
    position: Ints


@dataclass(frozen=True)
class Named:
    """The image ids that detections name, rising, and how many detections name each."""

    id: Ints
    n: Ints


def spread(image: Ints) -> Ints:
    """A number for each image id that orders ids as if at random, the same for any cut."""
    mixed = image.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(8)).astype(np.int64)


def sample_images(gt: GroundTruth, n: int = SAMPLE_IMAGES) -> Ints:
    """``n`` images that hold boxes; the sample of some samples is the sample of all."""
    images = np.unique(gt.image[~gt.crowd])
    return images[np.argsort(spread(images), kind="stable")[:n]]


def recall_of(gt: GroundTruth, dt: Detections) -> float:
    """The share of the boxes, crowds left out, that a detection of any class hits."""
    real = take(gt, ~gt.crowd)
    if not len(real):
        return 0.0
    _, box, _ = overlaps(real, dt, t.HIT_IOU)
    return len(np.unique(box)) / len(real)


def candidates(listing: Listing, named: Named) -> Iterator[Pairing]:
    """Pairings that files are known to use."""
    ids = listing.id
    if not len(ids) or not len(named.id):
        return
    lists = [("list of images", ids[np.argsort(listing.position, kind="stable")]), ("sorted image ids", ids)]
    if all(listing.file_name):
        by_name = np.argsort(np.array(listing.file_name), kind="stable")
        lists.append(("sorted file names", ids[by_name]))
        numbers = [re.findall(r"\d+", name or "") for name in listing.file_name]
        stems = np.array([int(found[-1][-18:]) if found else -1 for found in numbers])
        if len(np.unique(stems)) == len(stems):
            yield _pairing("the number in the file name", stems, ids)
    for words, listed in lists:
        for first in (0, 1):
            yield _pairing(f"positions in the {words}, from {first}", np.arange(first, first + len(ids)), listed)
    for step in (1, -1):
        yield _pairing(f"the id of the image {'before' if step < 0 else 'after'} it", np.roll(ids, -step), ids)
    for shift in {1, -1, int(named.id[0] - ids[0]), int(named.id[-1] - ids[-1])} - {0}:
        words = f"the image id {'plus' if shift > 0 else 'minus'} {abs(shift)}"
        yield _pairing(words, ids + shift, ids)
    if len(named.id) == len(ids):
        yield _pairing("other ids in the same order", named.id, ids)


def _pairing(words: str, source: Ints, target: Ints) -> Pairing:
    order = np.argsort(source, kind="stable")
    return Pairing(words, source[order], target[order])


def find_pairing(
    gt: GroundTruth,
    listing: Listing,
    named: Named,
    fetch: Callable[[Ints], Detections],
    boxes: Callable[[], Iterator[GroundTruth]],
) -> tuple[PairingFault, Pairing | None] | None:
    """Whether the detections' image ids mean other images, and which where that can be told.

    Args:
        gt: the boxes of some images, as `sample_images` chooses them.
        listing: all images.
        named: the images that detections name.
        fetch: gives the detections that name some images.
        boxes: gives all boxes, in parts that each hold whole images.
    """
    images = np.unique(gt.image)
    now = recall_of(gt, fetch(images))
    if not len(named.id) or not len(gt) or now > 1 - t.RECALL_RAISE:
        return None
    unknown = float(named.n[~np.isin(named.id, listing.id)].sum() / named.n.sum())
    empty = float(1 - np.isin(images, named.id).mean())
    best, found = 0.0, None
    for pairing in candidates(listing, named):
        dt = fetch(pairing.sources_of(images))
        recall = recall_of(gt, replace(dt, image=pairing.rename(dt.image)))
        if recall > best:
            best, found = recall, pairing
    fault = PairingFault("ids that the ground truth lacks", now, None, unknown, empty)
    if found is not None and best - now > t.RECALL_RAISE and (best - now) * len(gt) >= t.MIN_HITS:
        return replace(fault, words=found.words, recall_under=best), found
    if unknown >= t.UNKNOWN_IMAGES and empty >= t.UNKNOWN_IMAGES:
        return fault, None
    if _mixed_up(named, fetch, boxes):
        return replace(fault, words="other images than they should"), None
    return None


def _mixed_up(named: Named, fetch: Callable[[Ints], Detections], boxes: Callable[[], Iterator[GroundTruth]]) -> bool:
    """Whether the detections of most images fit another image far better than the one they name."""
    order = np.lexsort((spread(named.id), -np.minimum(named.n, TOP_DETECTIONS)))
    chosen = named.id[order[:SEARCHED_IMAGES]]
    found = fetch(chosen)
    own, others = np.zeros(len(chosen)), np.zeros((len(chosen), 2))  # the best two other images
    for part in boxes():
        real = take(part, ~part.crowd)
        images, place, n = np.unique(real.image, return_inverse=True, return_counts=True)
        for number, image in enumerate(chosen):
            rows = np.flatnonzero(found.image == image)
            rows = rows[np.argsort(-found.score[rows], kind="stable")[:TOP_DETECTIONS]]
            hit = np.zeros(len(real), np.bool_)
            for start in range(0, len(real), 1 << 14):
                some = slice(start, start + (1 << 14))
                hit[some] = (pairwise_iou(found.box[rows], real.box[some]) >= t.HIT_IOU).any(axis=0)
            hits = np.bincount(place, hit, minlength=len(images))
            # of crowded images the best detections can hit no more boxes than they are
            share = np.minimum(hits / np.minimum(n, max(len(rows), 1)), 1.0)
            own[number] = max(own[number], share[images == image].max(initial=0.0))
            share[(hits < t.MIN_HITS) | (images == image)] = 0
            others[number] = np.sort(np.concatenate([others[number], share]))[-2:]
    best, second = others[:, 1], others[:, 0]
    # by chance several images fit about as well; the right one stands out
    fits = (best >= t.MIXED_UP_RECALL) & (best - own > t.RECALL_RAISE) & (best - second > t.MIXED_UP_LEAD)
    return len(chosen) > 0 and bool(fits.mean() >= 0.5)
