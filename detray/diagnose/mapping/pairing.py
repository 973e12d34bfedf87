"""Which image a detection's image id means, where it does not mean the id that it names.

Files number images in other ways: by position in a list (from 0 or 1), by the digits of the file
name, shifted by one. Each is a `Pairing`; the one under which far more boxes are hit is the true one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.boxes import pairwise_iou
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.mapping.box_encoding import RECALL_RAISE
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.image_set import ImageSet, sort_detections
from detray.diagnose.observation.overlap import overlaps
from detray.diagnose.observation.rows import HIT_IOU
from detray.evaluate.kernel import Detections, GroundTruth
from detray.flow.sample import spread

UNKNOWN_IMAGES = Criterion(0.5, "share of detections of unknown images, and of images without detections: a majority")
MIXED_UP_RECALL = Criterion(0.6, f"boxes of another image that an image's detections hit: {SUITE}")
MIXED_UP_LEAD = Criterion(0.3, f"by which the best other image must fit better than the second best: {SUITE}")

SAMPLE_IMAGES = 64
"""Images with boxes on which pairings are compared."""
SEARCHED_IMAGES = 12
"""Images of detections that are compared with every image when no simple pairing fits."""
TOP_DETECTIONS = 12
"""Detections an image, by score, that such a comparison uses."""
COMPARED_BOXES = 300_000_000
"""Pairs of a detection and a box, of any images, that a comparison of all with all takes: some ten seconds.
A tenth of it where nothing else says that images are mixed up."""
CANDIDATES = 8
"""Images that are kept for each image of detections in such a comparison."""


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

    def apply(self, image_set: ImageSet) -> ImageSet:
        """The images with the detections moved to the images that they mean; those of no image are left out."""
        image = self.rename(image_set.dt.image)
        return replace(image_set, dt=sort_detections(take(replace(image_set.dt, image=image), image >= 0)))

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


def sample_images(gt: GroundTruth, n: int = SAMPLE_IMAGES) -> Ints:
    """``n`` images that hold boxes; the sample of some samples is the sample of all."""
    images = np.unique(gt.image[~gt.crowd])
    return images[np.argsort(spread(images), kind="stable")[:n]]


def leading(gt: GroundTruth, dt: Detections) -> Detections:
    """Of each image the best-scoring detections, twice as many as it has boxes: enough of them hit anything."""
    images, n_boxes = np.unique(gt.image[~gt.crowd], return_counts=True)
    rows = np.flatnonzero(np.isin(dt.image, images))
    rows = rows[np.lexsort((dt.rank[rows], -dt.score[rows], dt.image[rows]))]
    place = np.searchsorted(images, dt.image[rows])
    turn = np.arange(len(rows)) - np.searchsorted(place, place)
    return take(dt, np.sort(rows[turn < 2 * n_boxes[place]]))


def hit_boxes(gt: GroundTruth, dt: Detections) -> Flags:
    """Which boxes, crowds left out, one of their image's `leading` detections hits, of whatever class."""
    _, box, _ = overlaps(gt, leading(gt, dt), HIT_IOU)
    hit = np.zeros(len(gt), np.bool_)
    hit[box] = True
    return hit & ~gt.crowd


def recall_of(gt: GroundTruth, dt: Detections) -> float:
    """The share of the boxes, crowds left out, that `hit_boxes` says."""
    n = int((~gt.crowd).sum())
    return float(hit_boxes(gt, dt).sum()) / n if n else 0.0


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
        stems = np.array([int(digits[-1][-18:]) if digits else -1 for digits in numbers])
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
    if not len(named.id) or not len(gt) or now > 1 - RECALL_RAISE:
        return None
    unknown = float(named.n[~np.isin(named.id, listing.id)].sum() / named.n.sum())
    empty = float(1 - np.isin(images, named.id).mean())
    best, meant = 0.0, None
    for pairing in candidates(listing, named):
        dt = fetch(pairing.sources_of(images))
        recall = recall_of(gt, replace(dt, image=pairing.rename(dt.image)))
        if recall > best:
            best, meant = recall, pairing
    fault = PairingFault("ids that the ground truth lacks", now, None, unknown, empty)
    if meant is not None and best - now > RECALL_RAISE and (best - now) * len(gt) >= MIN_HITS:
        return replace(fault, words=meant.words, recall_under=best), meant
    is_mixed_up = _mixed_up(named, fetch, boxes)
    lies = _as_they_lie(named, fetch, boxes, COMPARED_BOXES if is_mixed_up else COMPARED_BOXES // 10)
    if lies is not None:
        dt = fetch(lies.sources_of(images))
        recall = recall_of(gt, replace(dt, image=lies.rename(dt.image)))
        if recall - now > RECALL_RAISE and (recall - now) * len(gt) >= MIN_HITS:
            return replace(fault, words=lies.words, recall_under=recall), lies
    if unknown >= UNKNOWN_IMAGES and empty >= UNKNOWN_IMAGES:
        return fault, None
    return (replace(fault, words="other images than they should"), None) if is_mixed_up else None


def _as_they_lie(
    named: Named, fetch: Callable[[Ints], Detections], boxes: Callable[[], Iterator[GroundTruth]], most: int
) -> Pairing | None:
    """Each image of detections with the image whose boxes they fit best, the best fits first, each image once.

    None where that would take more than ``most`` comparisons of boxes, or nothing fits. A box that a
    detection of its own class hits counts twice: class ids may be wrong as well.
    """
    leaders = _best_of_each(fetch(named.id))
    parts = [take(part, ~part.crowd) for part in boxes()]
    if len(leaders) * sum(len(part) for part in parts) > most:
        return None
    sources, start = np.unique(leaders.image, return_index=True)
    ends = np.append(start[1:], len(leaders))
    targets: list[int] = []
    pairs: list[tuple[float, int, int]] = []
    for part in (part for part in parts if len(part)):
        images, first = np.unique(part.image, return_index=True)
        n = np.diff(np.append(first, len(part)))
        for number, (low, high) in enumerate(zip(start, ends, strict=True)):
            fit = np.add.reduceat(_fit(take(leaders, np.arange(low, high)), part), first)
            fit = fit**2 / n  # of crowded images anything hits some boxes
            best = np.argsort(-fit, kind="stable")[:CANDIDATES]
            pairs += [(-float(fit[place]), number, len(targets) + int(place)) for place in best if fit[place]]
        targets += images.tolist()
    own, taken = np.full(len(sources), -1), set()
    for _, number, place in sorted(pairs):
        if own[number] < 0 and place not in taken:
            own[number] = targets[place]
            taken.add(place)
    return Pairing("the images whose boxes they fit best", sources[own >= 0], own[own >= 0]) if taken else None


def _fit(dt: Detections, gt: GroundTruth) -> Floats:
    """Of each box the best IoU of at least .5 with any detection, twice that with one of its class; ``[n]``."""
    best = np.zeros(len(gt))
    step = max(1, (1 << 21) // len(gt))
    for low in range(0, len(dt), step):
        rows = slice(low, low + step)
        iou = pairwise_iou(dt.box[rows], gt.box)
        iou = np.where(iou >= HIT_IOU, iou, 0.0) * np.where(dt.category[rows, None] == gt.category, 2.0, 1.0)
        best = np.maximum(best, iou.max(axis=0))
    return best


def _best_of_each(dt: Detections) -> Detections:
    """The `TOP_DETECTIONS` best-scoring detections of each image, by image."""
    rows = np.lexsort((dt.rank, -dt.score, dt.image))
    place = np.searchsorted(dt.image[rows], dt.image[rows])
    return take(dt, rows[np.arange(len(rows)) - place < TOP_DETECTIONS])


def _mixed_up(named: Named, fetch: Callable[[Ints], Detections], boxes: Callable[[], Iterator[GroundTruth]]) -> bool:
    """Whether the detections of most images fit another image far better than the one they name."""
    order = np.lexsort((spread(named.id), -np.minimum(named.n, TOP_DETECTIONS)))
    chosen = named.id[order[:SEARCHED_IMAGES]]
    dt = fetch(chosen)
    own, others = np.zeros(len(chosen)), np.zeros((len(chosen), 2))  # the best two other images
    for part in boxes():
        real = take(part, ~part.crowd)
        images, place, n = np.unique(real.image, return_inverse=True, return_counts=True)
        for number, image in enumerate(chosen):
            rows = np.flatnonzero(dt.image == image)
            rows = rows[np.argsort(-dt.score[rows], kind="stable")[:TOP_DETECTIONS]]
            hit = np.zeros(len(real), np.bool_)
            for start in range(0, len(real), 1 << 14):
                some = slice(start, start + (1 << 14))
                hit[some] = (pairwise_iou(dt.box[rows], real.box[some]) >= HIT_IOU).any(axis=0)
            hits = np.bincount(place, hit, minlength=len(images))
            # of crowded images the best detections can hit no more boxes than they are
            share = np.minimum(hits / np.minimum(n, max(len(rows), 1)), 1.0)
            own[number] = max(own[number], share[images == image].max(initial=0.0))
            share[(hits < MIN_HITS) | (images == image)] = 0
            others[number] = np.sort(np.concatenate([others[number], share]))[-2:]
    best, second = others[:, 1], others[:, 0]
    # by chance several images fit about as well; the right one stands out
    fits = (best >= MIXED_UP_RECALL) & (best - own > RECALL_RAISE) & (best - second > MIXED_UP_LEAD)
    return len(chosen) > 0 and bool(fits.mean() >= 0.5)
