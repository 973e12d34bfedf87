"""Box formats that files are written in by mistake, and the search for the one that fits.

A tool that expects x, y, width, height gets corners, centres, y before x, shares of the image, or
pixels of the model's input (stretched to it, or letterboxed). Each is a `Reading`; the one under
which far more boxes are hit is the true one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Floats
from detray.boxes import paired_iou
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.observation.counts import MIN_HITS, NIL_RECALL
from detray.diagnose.observation.rows import HIT_IOU

RECALL_RAISE = Criterion(0.4, "recall that another reading of the data must add; noise adds under .1 in the suite")
AS_GOOD = Criterion(0.97, f"a usual input size is taken if it hits this share of what the best size hits: {SUITE}")
RAISE_FROM_NIL = Criterion(
    0.25, f"recall that another reading must add where there is none; noise adds under .15: {SUITE}"
)

ORDERS = {
    "x, y, width, height": "xywh",
    "xmin, ymin, xmax, ymax": "xyxy",
    "x centre, y centre, width, height": "cxcywh",
    "y, x, height, width": "yxhw",
    "ymin, xmin, ymax, xmax": "yxyx",
    "x, y, width - x, height - y (corners subtracted from sizes)": "twice",
    "x - width/2, y - height/2 (corners taken for centres)": "uncentred",
}
"""Words for the order of the four numbers, and its short name."""

SCALES = ("pixels", "normalised", "factor", "stretched", "letterboxed", "padded", "short side")
"""Units: image pixels; shares of the image; pixels times a factor; the image stretched to a square
of a side; scaled to fit it and centred; scaled to fit it, at its top left; scaled to a short side."""


@dataclass(frozen=True)
class BoxEncoding:
    """How four numbers are to be read: their order, their unit, and on which side of the comparison."""

    order: str = "xywh"
    scale: str = "pixels"
    size: float = 1.0
    """The factor, or the side in pixels, of the scales that have one."""
    side: str = "detections"

    @property
    def words(self) -> str:
        """The format as a person says it."""
        order = next(words for words, short in ORDERS.items() if short == self.order)
        unit = {
            "pixels": "in pixels",
            "normalised": "as shares of the image",
            "factor": f"in pixels times {self.size:.4g}",
            "stretched": f"in pixels of the image stretched to {self.size:.0f} x {self.size:.0f}",
            "letterboxed": f"in pixels of the image letterboxed to {self.size:.0f} x {self.size:.0f}",
            "padded": f"in pixels of the image scaled to fit {self.size:.0f} x {self.size:.0f}",
            "short side": f"in pixels of the image scaled to a short side of {self.size:.0f}",
        }[self.scale]
        return f"{order} {unit}"

    def read(self, box: Floats, image_size: Floats) -> Floats:
        """``box`` ``[n, 4]`` as x, y, width, height in pixels of images of ``image_size`` ``[n, 2]``."""
        x, y, w, h = _ordered(box, self.order)
        scale, pad = _scaling(self.scale, self.size, image_size)
        return np.stack(
            [(x - pad[:, 0]) / scale[:, 0], (y - pad[:, 1]) / scale[:, 1], w / scale[:, 0], h / scale[:, 1]], axis=1
        )


def _ordered(box: Floats, order: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Columns x, y, width, height of boxes whose numbers stand in ``order``."""
    a, b, c, d = box.T
    if order == "xyxy":
        return a, b, c - a, d - b
    if order == "cxcywh":
        return a - c / 2, b - d / 2, c, d
    if order == "yxhw":
        return b, a, d, c
    if order == "yxyx":
        return b, a, d - b, c - a
    if order == "twice":
        return a, b, c + a, d + b
    if order == "uncentred":
        return a + c / 2, b + d / 2, c, d
    return a, b, c, d


def _scaling(scale: str, size: float | Floats, image_size: Floats) -> tuple[Floats, Floats]:
    """Factor and offset, ``[..., n, 2]``, from image pixels to the file's numbers."""
    size = np.asarray(size, np.float64)[..., None, None]
    if scale == "normalised":
        factor = 1 / image_size
    elif scale == "factor":
        factor = np.broadcast_to(size, (*size.shape[:-2], *image_size.shape))
    elif scale == "stretched":
        factor = size / image_size
    elif scale in ("letterboxed", "padded"):
        factor = np.broadcast_to(size / image_size.max(axis=1, keepdims=True), (*size.shape[:-2], *image_size.shape))
    elif scale == "short side":
        factor = np.broadcast_to(size / image_size.min(axis=1, keepdims=True), (*size.shape[:-2], *image_size.shape))
    else:
        factor = np.ones(image_size.shape)
    pad = (size - image_size * factor) / 2 if scale == "letterboxed" else np.zeros_like(factor)
    return factor, pad


def readings() -> Iterator[BoxEncoding]:
    """All readings without a size to search for."""
    for side in ("detections", "ground truth"):
        for order in ORDERS.values():
            for scale in ("pixels", "normalised"):
                if (order, scale) != ("xywh", "pixels"):
                    yield BoxEncoding(order, scale, side=side)


@dataclass(frozen=True)
class EncodingFault:
    """Boxes in another format: the share of the boxes hit as they stand, and under the reading."""

    reading: BoxEncoding
    recall: float
    recall_under: float


SEARCHED_PAIRS = 800
"""Pairs on which sizes are searched for; what is found is tried on all."""
_SPREAD = 0.6
"""How far, in log, the typical sizes of detections and boxes may differ beside the scale."""
_MODEL_SIDES = np.array(
    (
        *(224, 256, 300, 320, 384, 416, 448, 480, 512, 544, 576, 600, 608, 640, 672, 704, 736, 768, 800, 832, 896),
        *(960, 1000, 1024, 1088, 1152, 1216, 1280, 1333, 1344, 1408, 1536, 1600, 1920, 2048),
    ),
    np.float64,
)
"""Sides of the usual model inputs."""
_FACTORS = np.array([1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2, 3, 4, 8])


@dataclass(frozen=True)
class CandidatePairs:
    """Boxes and detections of the same images that may belong together.

    ``gt`` and ``dt`` ``[k, 4]``, ``size`` ``[k, 2]`` of their image, ``box`` ``[k]`` numbers the box
    from 0 to ``n_boxes`` - 1.
    """

    gt: Floats
    dt: Floats
    size: Floats
    box: np.ndarray
    n_boxes: int

    @cached_property
    def n_detections(self) -> int:
        """Detections that are compared, at least 1."""
        return max(len(np.unique(self.dt, axis=0)), 1)

    def some(self, n: int) -> "CandidatePairs":
        """About the first ``n`` pairs, with all pairs of each box that is among them."""
        order = np.argsort(self.box, kind="stable")
        boxes = int(self.box[order[: n + 1]][-1]) if len(order) > n else self.n_boxes
        rows = np.flatnonzero(self.box < max(boxes, 1))
        return CandidatePairs(self.gt[rows], self.dt[rows], self.size[rows], self.box[rows], max(boxes, 1))

    def recall(self, reading: BoxEncoding | None = None) -> float:
        """The share of the boxes that a detection hits (IoU .5) under ``reading``."""
        gt, dt = self.gt, self.dt
        if reading is not None and reading.side == "ground truth":
            gt = reading.read(gt, self.size)
        elif reading is not None:
            dt = reading.read(dt, self.size)
        with np.errstate(over="ignore", invalid="ignore"):
            hit = paired_iou(dt, gt) >= HIT_IOU
        return len(np.unique(self.box[hit])) / max(self.n_boxes, 1)

    def recalls(self, order: str, scale: str, sizes: Floats) -> Floats:
        """The same for many sizes at once, on the side of the detections: shape ``[len(sizes)]``."""
        x, y, w, h = _ordered(self.dt, order)
        factor, pad = _scaling(scale, sizes, self.size)
        left, top = (x - pad[..., 0]) / factor[..., 0], (y - pad[..., 1]) / factor[..., 1]
        wide, high = w / factor[..., 0], h / factor[..., 1]
        gx, gy, gw, gh = self.gt.T
        over = np.minimum(left + wide, gx + gw) - np.maximum(left, gx)
        tall = np.minimum(top + high, gy + gh) - np.maximum(top, gy)
        inter = np.where((over > 0) & (tall > 0), over * tall, 0)
        hit = inter >= HIT_IOU * (wide * high + gw * gh - inter)
        hit &= inter > 0
        index, pair = np.nonzero(hit)
        hit_boxes = np.unique(index * self.n_boxes + self.box[pair])
        return np.bincount(hit_boxes // max(self.n_boxes, 1), minlength=len(sizes)) / max(self.n_boxes, 1)


def find_encoding(pairs: CandidatePairs, *, with_sizes: bool = True) -> EncodingFault | None:
    """The reading under which far more boxes are hit than as they stand.

    None where none raises recall by more than `thresholds.RECALL_RAISE` and by at least
    `thresholds.MIN_HITS` boxes, or, where hardly any box is hit, by `thresholds.RAISE_FROM_NIL` and
    twice as many: much of what was detected may be cut away.
    """
    now = pairs.recall()
    if now > 1 - RECALL_RAISE or not len(pairs.gt):
        return None
    sized = bool(np.isfinite(pairs.size).all())
    tried = [(pairs.recall(r), r) for r in readings() if sized or r.scale == "pixels"]
    # corners in the ground truth, and corners subtracted twice in the detections, fit each other alike,
    # but a wrong reading drives boxes out of the image
    fitting = [(recall, r) for recall, r in tried if _raises(recall, now, pairs)]
    best, reading = max(fitting, key=lambda entry: entry[0] + _plausibility(pairs, entry[1]), default=(0.0, None))
    if reading is None and not with_sizes:
        return None
    if reading is None:
        reading = _search(pairs, sized)
        best = pairs.recall(reading)
    if not _raises(best, now, pairs):
        return None
    return EncodingFault(reading, now, best)


def _raises(new: float, old: float, pairs: CandidatePairs) -> bool:
    gained = (new - old) * pairs.n_boxes + 1e-9
    # few detections can hit few boxes: the share of those that they could hit counts, of twice as many
    if pairs.n_detections < pairs.n_boxes / 2 and gained >= 2 * MIN_HITS:
        new, old = new * pairs.n_boxes / pairs.n_detections, old * pairs.n_boxes / pairs.n_detections
    from_nil = old <= NIL_RECALL / 2 and new - old > RAISE_FROM_NIL and gained >= 2 * MIN_HITS
    return from_nil or (new - old > RECALL_RAISE and gained >= MIN_HITS)


def _search(pairs: CandidatePairs, sized: bool) -> BoxEncoding:
    """The best reading among the scales that have a size, which is searched for.

    Typical widths and heights give it roughly; the grid is as fine as the boxes are small.
    """
    best, reading = 0.0, BoxEncoding()
    tried = pairs.some(SEARCHED_PAIRS)
    gx, gy, gw, gh = pairs.gt.T
    reach = np.median(np.minimum(gw, gh) / np.maximum(gx + gw, gy + gh).clip(1))
    step = float(np.clip(reach / 4, 0.002, 0.02))
    for order in ("xywh", "xyxy", "yxyx"):
        _, _, w, h = _ordered(pairs.dt, order)
        good = (w > 0) & (h > 0) & (gw > 0) & (gh > 0)
        if not good.any():
            continue
        for scale in SCALES[2:] if sized else ("factor",):
            unit, _ = _scaling(scale, 1.0, pairs.size[good])
            sizes = np.sqrt((w * h)[good]) / np.sqrt(unit[..., 0] * unit[..., 1])
            centre = float(np.median(np.log(sizes)) - np.median(np.log((gw * gh)[good])) / 2)
            grid = np.exp(centre + np.arange(-_SPREAD, _SPREAD, step))
            usual = _MODEL_SIDES if scale != "factor" else _FACTORS
            usual = usual[np.abs(np.log(usual) - centre) < _SPREAD]
            values = np.concatenate([usual, grid])
            recalls = tried.recalls(order, scale, values)
            if recalls.max() <= best:
                continue
            best = float(recalls.max())
            among_usual = recalls[: len(usual)]
            if among_usual.max(initial=0.0) >= AS_GOOD * best:
                size = float(usual[among_usual.argmax()])
            else:
                size = float(np.median(values[recalls >= best]))
            reading = BoxEncoding(order, scale, size)
    return reading


def _plausibility(pairs: CandidatePairs, reading: BoxEncoding) -> float:
    """The shares of the boxes of either side that are real boxes within their image, once read so, summed."""
    gt, dt = pairs.gt, pairs.dt
    if reading.side == "ground truth":
        gt = reading.read(gt, pairs.size)
    else:
        dt = reading.read(dt, pairs.size)
    return _inside(gt, pairs.size) + _inside(dt, pairs.size)


def _inside(box: Floats, size: Floats) -> float:
    end = box[:, :2] + box[:, 2:]
    good = (box[:, 2:] > 0).all(axis=1) & (box[:, :2] >= -1).all(axis=1)
    # an image of unknown size bounds nothing
    good &= ~(end > size * 1.02 + 1).any(axis=1)
    return float(good.mean()) if len(box) else 1.0
