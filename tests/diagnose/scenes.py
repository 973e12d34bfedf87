"""Scenes with simulated detectors of different quality, in which one cause or two are planted.

A `World` is ground truth and detections as plain arrays. Geometries make its boxes, `detect` its
detections, and each function of `PLANTS` breaks one class in one way.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import schema
from detray.boxes import pairwise_iou

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RUN = "scene"


@dataclass
class World:
    """Arrays of one split: images, boxes (``gt``) and detections (``dt``); boxes are x, y, width, height."""

    image: Ints
    size: Floats
    names: dict[int, str]
    gt_image: Ints
    gt_class: Ints
    gt_box: Floats
    gt_crowd: NDArray[np.bool_]
    dt_image: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    dt_class: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    dt_box: Floats = field(default_factory=lambda: np.empty((0, 4)))
    dt_score: Floats = field(default_factory=lambda: np.empty(0))
    train: "World | None" = None
    """The training split, with the model's detections on it."""
    base: "World | None" = None
    """The same images with the detections of the model it was fine-tuned from."""
    findings: dict[tuple[int, str], int] = field(default_factory=dict)
    strength: float = 1.0
    """Of what is planted: less where several causes share a class."""
    lowest: float = 0.0
    """Score below which the detector writes nothing."""
    n_left: int = 0
    """Detections that are left of the class in which something is planted, before files are mixed up."""

    def lowered(self, score: Floats, factor: float) -> Floats:
        """Scores that are ``factor`` of what they were above the lowest that is written."""
        return self.lowest + (score - self.lowest) * factor

    def keep_gt(self, keep: NDArray[np.bool_]) -> None:
        for name in ("gt_image", "gt_class", "gt_box", "gt_crowd"):
            setattr(self, name, getattr(self, name)[keep])

    def keep_dt(self, keep: NDArray[np.bool_]) -> None:
        for name in ("dt_image", "dt_class", "dt_box", "dt_score"):
            setattr(self, name, getattr(self, name)[keep])

    def add_dt(self, image: Ints, category: Ints | int, box: Floats, score: Floats) -> None:
        self.dt_image = np.concatenate([self.dt_image, image])
        self.dt_class = np.concatenate([self.dt_class, np.broadcast_to(category, len(image))])
        self.dt_box = np.concatenate([self.dt_box, box])
        self.dt_score = np.concatenate([self.dt_score, score])

    def size_of(self, image: Ints) -> Floats:
        return self.size[np.searchsorted(self.image, image)]

    def copy(self) -> "World":
        arrays = {k: v.copy() for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **arrays, names=dict(self.names))

    def without_detections(self) -> "World":
        return replace(
            self.copy(),
            dt_image=np.empty(0, np.int64),
            dt_class=np.empty(0, np.int64),
            dt_box=np.empty((0, 4)),
            dt_score=np.empty(0),
        )


# geometries


def uniform(rng: np.random.Generator, n_images: int, n_classes: int, per_image: float = 7.0) -> World:
    """Boxes of log-normal size anywhere, or in groups; class frequencies fall off."""
    image = np.arange(1, n_images + 1) * int(rng.integers(1, 4)) + int(rng.integers(0, 50))
    size = np.array([[640, 480], [480, 640], [1280, 720], [500, 375]])[rng.integers(0, 4, n_images)].astype(float)
    if rng.random() < 0.4:
        size[:] = size[0]
    weight = np.arange(1, n_classes + 1) ** -rng.uniform(0, 1.2)
    n = rng.poisson(per_image, n_images)
    gt_image = np.repeat(image, n)
    gt_class = rng.choice(np.arange(1, n_classes + 1), len(gt_image), p=weight / weight.sum())
    own = np.repeat(size, n, axis=0)
    typical = np.exp(rng.normal(np.log(rng.choice([0.05, 0.15, 0.15, 0.3])), 0.4, n_classes + 1))[gt_class]
    side = np.clip(typical * np.exp(rng.normal(0, rng.uniform(0.1, 0.7), len(gt_image))), 0.015, 0.8) * own.min(axis=1)
    aspect = np.exp(rng.normal(0, 0.3, len(gt_image)))
    wh = np.stack([side * np.sqrt(aspect), side / np.sqrt(aspect)], axis=1)
    wh = np.minimum(wh, own * 0.95)
    place = rng.random((len(gt_image), 2))
    if rng.random() < 0.3:  # objects stand together
        middle = np.repeat(rng.random((n_images, 2)), n, axis=0)
        place = np.clip(middle + rng.normal(0, 0.15, place.shape), 0, 1)
    xy = place * (own - wh)
    names = {k: f"class{k}" for k in range(1, n_classes + 1)}
    return World(image, size, names, gt_image, gt_class, np.round(np.hstack([xy, wh]), 2), np.zeros(len(xy), bool))


def shapes(rng: np.random.Generator, n_images: int, n_classes: int) -> World:
    """Small pictures with a few large shapes each, and one rare class, as the built-in data set has."""
    world = uniform(rng, n_images, n_classes, 4.0)
    scale = np.array([128.0, 96.0]) / world.size
    rows = np.searchsorted(world.image, world.gt_image)
    world.gt_box = np.round(world.gt_box * np.tile(scale[rows], 2), 2)
    world.size[:] = (128, 96)
    rare = (world.gt_class == n_classes) & (rng.random(len(world.gt_class)) < 0.6)
    world.keep_gt(~rare)
    return world


def from_coco(rng: np.random.Generator, file: Path, n_images: int, n_classes: int) -> World:
    """Images of a real COCO file drawn again and again, mirrored at random; its most frequent classes."""
    data = json.loads(file.read_text())
    sizes = {entry["id"]: (entry["width"], entry["height"]) for entry in data["images"]}
    ids, counts = np.unique([a["category_id"] for a in data["annotations"]], return_counts=True)
    frequent = set(ids[np.argsort(-counts)][:n_classes].tolist())
    by_image: dict[int, list[tuple[int, list[float], bool]]] = {}
    for a in data["annotations"]:
        if a["category_id"] in frequent:
            by_image.setdefault(a["image_id"], []).append((a["category_id"], a["bbox"], bool(a.get("iscrowd"))))
    chosen = rng.choice(sorted(by_image), n_images)
    rows, size = [], []
    for number, source in enumerate(chosen):
        mirror = rng.random() < 0.5
        wide, high = sizes[int(source)]
        size.append((wide, high))
        for category, (x, y, w, h), crowd in by_image[int(source)]:
            rows.append((1000 + number, category, wide - x - w if mirror else x, y, w, h, crowd))
    table = np.array(rows, float)
    names = {c["id"]: c["name"] for c in data["categories"] if c["id"] in frequent}
    return World(
        np.arange(n_images) + 1000,
        np.array(size, float),
        names,
        table[:, 0].astype(int),
        table[:, 1].astype(int),
        table[:, 2:6],
        table[:, 6].astype(bool),
    )


def split_classes(rng: np.random.Generator, world: World, n_classes: int) -> World:
    """The same boxes with ``n_classes`` classes drawn at random, for files with few classes."""
    world.gt_class = rng.integers(1, n_classes + 1, len(world.gt_class))
    world.names = {k: f"kind{k}" for k in range(1, n_classes + 1)}
    return world


# detectors


@dataclass(frozen=True)
class Quality:
    """A simulated detector: recall, box noise (share of the sides), scores of true and false detections."""

    recall: float = 0.9
    noise: float = 0.05
    true_mean: float = 1.5
    """Mean of the logit of true detections' scores."""
    spread: float = 1.0
    clutter: float = 1.0
    """False detections on background, an image."""
    clutter_mean: float = -2.0
    repeats: float = 0.05
    """Duplicates a true detection, of lower score."""
    second_labels: float = 0.1
    """Low-scoring detections of another class on the same object."""
    partial: float = 0.0
    """Low-scoring loose detections an object."""
    by_size: float = 0.0
    """By how much the logits of recall and score rise where the size of an object doubles."""
    by_class: float = 0.0
    """Spread over the classes of the logit of recall and score."""
    power: float = 1.0
    """Scores are raised to it: uncalibrated detectors."""
    lowest: float = 0.0
    """Detections below this score are not written."""
    nms: float | None = None
    """IoU from which the lower of two detections of a class is suppressed; None: it is not."""
    decimals: int | None = None
    """Of the written scores; None: all."""


def random_quality(rng: np.random.Generator) -> Quality:
    """A detector that works, of any kind."""
    return Quality(
        recall=rng.uniform(0.75, 0.98),
        noise=rng.uniform(0.015, 0.085),
        true_mean=rng.uniform(0.3, 4.0),
        spread=rng.uniform(0.5, 1.5),
        clutter=rng.choice([0.0, 0.5, 2.0, 10.0, 30.0]),
        clutter_mean=rng.uniform(-5.0, -2.0),
        repeats=rng.choice([0.0, 0.05, 0.2]),
        second_labels=rng.choice([0.0, 0.1, 0.5]),
        partial=rng.choice([0.0, 0.1, 0.5]),
        by_size=rng.choice([0.0, 0.0, 0.5]),
        by_class=rng.choice([0.0, 0.2, 0.5]),
        power=rng.choice([0.15, 0.3, 1.0, 1.0, 3.0]),
        lowest=rng.choice([0.0, 0.0, 0.01, 0.05, 0.05, 0.3]),
        nms=rng.choice([None, 0.5, 0.7]),
        decimals=rng.choice([None, None, None, 3, 2]),
    )


def jitter(rng: np.random.Generator, box: Floats, noise: float) -> Floats:
    """Boxes moved and resized by normal noise, a share of their sides."""
    shift = rng.normal(0, noise, (len(box), 2)) * box[:, 2:]
    scale = np.exp(rng.normal(0, noise * 1.2, (len(box), 2)))
    wh = box[:, 2:] * scale
    return np.hstack([box[:, :2] + box[:, 2:] / 2 + shift - wh / 2, wh])


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def random_boxes(rng: np.random.Generator, world: World, image: Ints, category: int | None = None) -> Floats:
    """Boxes with the sizes of the world's (or of a class's) own, anywhere in the images."""
    pool = world.gt_box if category is None else world.gt_box[world.gt_class == category]
    wh = pool[rng.integers(0, len(pool), len(image)), 2:]
    room = np.maximum(world.size_of(image) - wh, 1)
    return np.hstack([rng.random((len(image), 2)) * room, wh])


def background_boxes(rng: np.random.Generator, world: World, image: Ints, category: int | None = None) -> Floats:
    """Like `random_boxes`, drawn again where they overlap a box of the world by .1."""
    box = random_boxes(rng, world, image, category)
    for _ in range(10):
        bad = np.zeros(len(image), bool)
        for one in np.unique(image):
            rows = np.flatnonzero(image == one)
            others = world.gt_box[world.gt_image == one]
            if len(others):
                bad[rows] = pairwise_iou(box[rows], others).max(axis=1) >= 0.1
        if not bad.any():
            break
        box[bad] = random_boxes(rng, world, image[bad], category)
    return box


def suppressed(world: World, iou: float) -> NDArray[np.bool_]:
    """Detections that a higher-scoring one of their image and class overlaps by more than ``iou``."""
    gone = np.zeros(len(world.dt_image), bool)
    key = world.dt_image * 1000 + world.dt_class
    order = np.lexsort((-world.dt_score, key))
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if len(rows) < 2:
            continue
        over = pairwise_iou(world.dt_box[rows], world.dt_box[rows]) > iou
        for place in range(len(rows)):
            if not gone[rows[place]]:
                gone[rows[place + 1 :]] |= over[place, place + 1 :]
    return gone


def detect(rng: np.random.Generator, world: World, quality: Quality) -> World:
    """The world with a detector's detections."""
    q = quality
    classes = np.array(sorted(world.names))
    real = np.flatnonzero(~world.gt_crowd)
    area = np.maximum(world.gt_box[real, 2:].prod(axis=1), 1)
    ease = np.log2(area / np.median(area)) / 2 * q.by_size if len(area) else np.zeros(0)
    ease = ease + rng.normal(0, q.by_class, len(classes))[np.searchsorted(classes, world.gt_class[real])]
    found = rng.random(len(real)) < sigmoid(np.log(q.recall / (1 - q.recall)) + ease)
    seen, ease = real[found], ease[found]
    logit = rng.normal(q.true_mean, q.spread, len(seen)) + ease
    world.add_dt(world.gt_image[seen], world.gt_class[seen], jitter(rng, world.gt_box[seen], q.noise), sigmoid(logit))
    again = rng.random(len(seen)) < q.repeats
    world.add_dt(
        world.gt_image[seen[again]],
        world.gt_class[seen[again]],
        jitter(rng, world.gt_box[seen[again]], q.noise * 2),
        sigmoid(logit[again] - rng.uniform(0.5, 3, again.sum())),
    )
    part = rng.random(len(seen)) < q.partial
    world.add_dt(
        world.gt_image[seen[part]],
        world.gt_class[seen[part]],
        jitter(rng, world.gt_box[seen[part]], 0.35),
        sigmoid(rng.normal(q.clutter_mean, 1.0, part.sum())),
    )
    second = rng.random(len(seen)) < q.second_labels
    world.add_dt(
        world.gt_image[seen[second]],
        rng.choice(classes, second.sum()),
        jitter(rng, world.gt_box[seen[second]], q.noise * 1.5),
        sigmoid(rng.normal(q.clutter_mean, 0.7, second.sum())),
    )
    image = np.repeat(world.image, rng.poisson(q.clutter, len(world.image)))
    world.add_dt(
        image,
        rng.choice(classes, len(image)),
        random_boxes(rng, world, image),
        sigmoid(rng.normal(q.clutter_mean, 0.7, len(image))),
    )
    world.dt_score = world.dt_score**q.power
    world.lowest = q.lowest
    world.keep_dt(world.dt_score >= q.lowest)
    if q.nms is not None:
        world.keep_dt(~suppressed(world, q.nms))
    world.dt_box = np.round(world.dt_box, 2)
    return world


def write_scores(world: World, quality: Quality) -> None:
    """Scores as the detector writes them, after all that is planted."""
    if quality.decimals is not None:
        world.dt_score = np.round(world.dt_score, quality.decimals)


@dataclass(frozen=True)
class Given:
    """What a scene has beside ground truth and detections."""

    training: bool = False
    training_detections: bool = False
    base_detections: bool = False
    audit: bool = False


def given_for(rng: np.random.Generator, plants: tuple[str, ...]) -> Given:
    """What the plants need, and at random what is safe to have beside them.

    Detections on the training split say overfit of everything that is wrong in one split alone, so
    only plants that are about training have them.
    """
    about_training = {"undertrained", "overfit"} & set(plants)
    return Given(
        training=bool(TRAINING & set(plants) or about_training) or rng.random() < 0.3,
        training_detections=bool(about_training),
        base_detections="forgetting" in plants,
        audit="noisy_boxes" in plants or rng.random() < 0.3,
    )


def tripled(world: World) -> World:
    """Three times as many images, and boxes like those of the world in each third."""
    step = int(world.image.max()) + 1 if len(world.image) else 1
    return replace(
        world,
        image=np.concatenate([world.image + part * step for part in range(3)]),
        size=np.tile(world.size, (3, 1)),
        gt_image=np.concatenate([world.gt_image + part * step for part in range(3)]),
        gt_class=np.tile(world.gt_class, 3),
        gt_box=np.tile(world.gt_box, (3, 1)),
        gt_crowd=np.tile(world.gt_crowd, 3),
    )


def complete(rng: np.random.Generator, world: World, quality: Quality, given: Given) -> None:
    """Give a world its training split (as if drawn alike) and base model, as far as they are given."""
    if given.training:
        train = tripled(world.without_detections())
        train.gt_box = jitter(rng, train.gt_box, 0.05)
        if given.training_detections:
            detect(rng, train, replace(quality, recall=min(quality.recall + 0.03, 0.99)))
        world.train = train
    if given.base_detections:
        world.base = detect(rng, world.without_detections(), quality)


# planted causes: each breaks class c of the world, whose detector is already there


def _share(rng: np.random.Generator, world: World, low: float, high: float) -> float:
    return world.strength * rng.uniform(low, high)


def _boxes_of(world: World, c: int) -> Ints:
    return np.flatnonzero((world.gt_class == c) & ~world.gt_crowd)


def _on_own(world: World, c: int, low: float = 0.5) -> Ints:
    """Row of the box of class c that each detection of c sits on; -1 for none and for other classes."""
    result = np.full(len(world.dt_image), -1)
    rows = np.flatnonzero(world.dt_class == c)
    mine = _boxes_of(world, c)
    for image in np.unique(world.dt_image[rows]):
        here = rows[world.dt_image[rows] == image]
        boxes = mine[world.gt_image[mine] == image]
        if len(boxes):
            iou = pairwise_iou(world.dt_box[here], world.gt_box[boxes])
            best = iou.argmax(axis=1)
            good = iou[np.arange(len(here)), best] >= low
            result[here[good]] = boxes[best[good]]
    return result


def _typical_scores(rng: np.random.Generator, world: World, c: int, n: int) -> Floats:
    """Scores drawn from those of the true detections of c."""
    scores = world.dt_score[_on_own(world, c) >= 0]
    return rng.choice(scores, n) if len(scores) else rng.uniform(0.5, 1, n)


def no_ground_truth(rng: np.random.Generator, world: World, c: int) -> None:
    world.keep_gt(world.gt_class != c)


def crowd_only(rng: np.random.Generator, world: World, c: int) -> None:
    world.gt_crowd |= world.gt_class == c


def label_id_mismatch(rng: np.random.Generator, world: World, c: int) -> None:
    """Detections' ids swapped with another class, shifted by one for all, or sent to an id without boxes."""
    classes = np.array(sorted(world.names))
    kind = rng.choice(["swap", "shift", "away", "permuted"])
    if kind == "swap" and len(classes) > 1:
        other = int(rng.choice(classes[classes != c]))
        old = world.dt_class.copy()
        world.dt_class[old == c], world.dt_class[old == other] = other, c
    elif kind == "shift":
        world.dt_class = world.dt_class + int(rng.choice([-1, 1]))
    elif kind == "permuted" and len(classes) > 2:
        place = np.searchsorted(classes, world.dt_class)
        world.dt_class = np.roll(classes, int(rng.integers(1, len(classes))))[place]
    else:
        world.dt_class = np.where(world.dt_class == c, classes.max() + 7, world.dt_class)


def image_id_mismatch(rng: np.random.Generator, world: World, c: int) -> None:
    """Image ids of the detections shifted, numbered from 0 or 1, or shuffled."""
    # where images are mixed up at random nothing else can be told
    kind = rng.choice(["unknown", "shift", "numbered", "shuffled"][: 4 if world.strength == 1 else 3])
    if kind == "unknown":
        world.dt_image = world.dt_image + 10_000_000
    elif kind == "shift":
        place = np.searchsorted(world.image, world.dt_image)
        world.dt_image = np.roll(world.image, 1)[place]
    elif kind == "numbered":
        first = 1 if world.image[0] == 0 else 0
        world.dt_image = np.searchsorted(world.image, world.dt_image) + first
    else:
        world.dt_image = rng.permutation(world.image)[np.searchsorted(world.image, world.dt_image)]


def _corners(box: Floats, size: Floats) -> Floats:
    return np.hstack([box[:, :2], box[:, :2] + box[:, 2:]])


FORMATS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "xyxy": _corners,
    "centre": lambda b, s: np.hstack([b[:, :2] + b[:, 2:] / 2, b[:, 2:]]),
    "yx": lambda b, s: b[:, [1, 0, 3, 2]],
    "yxyx": lambda b, s: _corners(b, s)[:, [1, 0, 3, 2]],
    "normalised": lambda b, s: b / np.hstack([s, s]),
    "normalised yxyx": lambda b, s: (_corners(b, s) / np.hstack([s, s]))[:, [1, 0, 3, 2]],
    "normalised centre": lambda b, s: np.hstack([b[:, :2] + b[:, 2:] / 2, b[:, 2:]]) / np.hstack([s, s]),
    "resized 640": lambda b, s: b / np.hstack([s, s]) * 640,
    "letterboxed 416": lambda b, s: _letterbox(b, s, 416),
    "twice": lambda b, s: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]),
    "half": lambda b, s: b / 2,
}


RESIZED = {"resized 640", "letterboxed 416", "half"}
"""Formats of whole files: pictures are resized for all classes alike."""


def _letterbox(box: Floats, size: Floats, side: float) -> Floats:
    scale = side / size.max(axis=1, keepdims=True)
    pad = (side - size * scale) / 2
    return np.hstack([box[:, :2] * scale + pad, box[:, 2:] * scale])


def box_format(rng: np.random.Generator, world: World, c: int) -> None:
    """Detections of the class, or all, written in another format."""
    whole = rng.random() < 0.5
    change = FORMATS[str(rng.choice([name for name in FORMATS if whole or name not in RESIZED]))]
    rows = np.ones(len(world.dt_class), bool) if whole else world.dt_class == c
    world.dt_box[rows] = change(world.dt_box[rows], world.size_of(world.dt_image[rows]))


def no_detections(rng: np.random.Generator, world: World, c: int) -> None:
    world.keep_dt(world.dt_class != c)


def class_confusion(rng: np.random.Generator, world: World, c: int) -> None:
    """Most detections of c carry the label of one other class."""
    others = [k for k in world.names if k != c and (world.gt_class == k).sum() >= 5] or [
        k for k in world.names if k != c
    ]
    other = int(rng.choice(others))
    rows = (world.dt_class == c) & (rng.random(len(world.dt_class)) < _share(rng, world, 0.5, 1.0))
    world.dt_class[rows] = other


def receives_class(rng: np.random.Generator, world: World, c: int) -> None:
    """Detections of c on the objects of one other class, beside its own."""
    counts = {k: int((world.gt_class == k).sum()) for k in world.names if k != c}
    other = max(counts, key=lambda k: counts[k])
    rows = _boxes_of(world, other)
    wanted = min(len(rows), int(len(_boxes_of(world, c)) * rng.uniform(1.5, 3)))
    rows = rng.choice(rows, wanted, replace=False)
    top = np.quantile(_typical_scores(rng, world, c, 50), 0.5)
    world.add_dt(world.gt_image[rows], c, jitter(rng, world.gt_box[rows], 0.05), rng.uniform(top, 1, len(rows)))


def localization(rng: np.random.Generator, world: World, c: int) -> None:
    """Boxes of true detections moved and resized until most overlap by .1 to .5."""
    on = _on_own(world, c)
    rows = np.flatnonzero(on >= 0)
    truth = world.gt_box[on[rows]]
    target = rng.uniform(0.15, 0.48, len(rows))
    angle = rng.uniform(0, 2 * np.pi, len(rows))
    low, high = np.zeros(len(rows)), np.full(len(rows), 1.5)
    for _ in range(30):  # bisection on the shift that gives the wanted IoU
        middle = (low + high) / 2
        moved = truth.copy()
        moved[:, 0] += np.cos(angle) * middle * truth[:, 2]
        moved[:, 1] += np.sin(angle) * middle * truth[:, 3]
        wide = np.maximum(truth[:, 2] - np.abs(moved[:, 0] - truth[:, 0]), 0)
        tall = np.maximum(truth[:, 3] - np.abs(moved[:, 1] - truth[:, 1]), 0)
        inter = wide * tall
        iou = inter / (2 * truth[:, 2] * truth[:, 3] - inter)
        low, high = np.where(iou > target, middle, low), np.where(iou > target, high, middle)
    keep = rng.random(len(rows)) < _share(rng, world, 0.7, 1)
    world.dt_box[rows[keep]] = moved[keep]


def duplicates(rng: np.random.Generator, world: World, c: int) -> None:
    """Several detections of about the same score on each object."""
    rows = np.flatnonzero(_on_own(world, c) >= 0)
    for _ in range(int(rng.integers(2, 6))):
        box = jitter(rng, world.dt_box[rows], 0.03)
        score = np.clip(world.dt_score[rows] * rng.uniform(0.97, 1.03, len(rows)), 0, 1)
        world.add_dt(world.dt_image[rows], c, box, score)


def missing_labels(rng: np.random.Generator, world: World, c: int) -> None:
    """Most boxes of c left out of the ground truth."""
    gone = (world.gt_class == c) & (rng.random(len(world.gt_class)) < _share(rng, world, 0.45, 0.8))
    world.keep_gt(~gone)


def few_examples(rng: np.random.Generator, world: World, c: int) -> None:
    """A handful of boxes, found badly."""
    rows = _boxes_of(world, c)
    keep = np.ones(len(world.gt_class), bool)
    keep[world.gt_class == c] = False
    keep[rng.choice(rows, min(len(rows), int(rng.integers(2, 7))), replace=False)] = True
    gone = _on_own(world, c) >= 0
    world.keep_dt(~(gone & (rng.random(len(gone)) < 0.95)))
    world.keep_gt(keep)


def bad_ranking(rng: np.random.Generator, world: World, c: int) -> None:
    """True detections score low, the class's false ones high."""
    true = _on_own(world, c) >= 0
    false = (world.dt_class == c) & ~true
    lack = int(true.sum() * rng.uniform(1.2, 2)) - int(false.sum())
    if lack > 0:
        image = rng.choice(world.image, lack)
        world.add_dt(image, c, random_boxes(rng, world, image, c), np.zeros(lack))
        true = np.concatenate([true, np.zeros(lack, bool)])
        false = (world.dt_class == c) & ~true
    scores = np.sort(_typical_scores(rng, world, c, 400))
    middle = np.median(scores)
    world.dt_score[false] = rng.choice(scores[scores >= middle], false.sum())
    world.dt_score[true] = world.lowered(world.dt_score[true], rng.uniform(0.1, 0.4))


def background_confusion(rng: np.random.Generator, world: World, c: int) -> None:
    """Confident detections on background, above the true ones, which score as usual."""
    n = int(len(_boxes_of(world, c)) * rng.uniform(1.0, 3.0))
    image = rng.choice(world.image, n)
    top = np.quantile(_typical_scores(rng, world, c, 400), 0.75)
    world.add_dt(image, c, background_boxes(rng, world, image, c), rng.uniform(top, 1, n))


def missed_objects(rng: np.random.Generator, world: World, c: int) -> None:
    """Most objects are not found at all."""
    on = _on_own(world, c, 0.1)
    lost = rng.choice(
        _boxes_of(world, c), int(len(_boxes_of(world, c)) * _share(rng, world, 0.55, 0.95)), replace=False
    )
    world.keep_dt(~np.isin(on, lost))


def score_threshold(rng: np.random.Generator, world: World, c: int) -> None:
    """Detections of the class, or all, below a high score thrown away."""
    cut = np.quantile(_typical_scores(rng, world, c, 400), rng.uniform(0.5, 0.85))
    whole = world.strength == 1 and rng.random() < 0.5
    world.keep_dt(~((whole | (world.dt_class == c)) & (world.dt_score < cut)))


def max_detections(rng: np.random.Generator, world: World, c: int) -> None:
    """Only the best few detections of an image kept, and the class scores lower than the others."""
    rows = world.dt_class == c
    world.dt_score[rows] = world.lowered(world.dt_score[rows], 0.6)
    cap = max(int(len(world.gt_image) / len(world.image) * 0.6), 1)
    order = np.lexsort((-world.dt_score, world.dt_image))
    ordered = world.dt_image[order]
    place = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    keep = np.zeros(len(ordered), bool)
    keep[order[place < cap]] = True
    world.keep_dt(keep)


def wrong_labels(rng: np.random.Generator, world: World, c: int) -> None:
    """Boxes of c labelled as others, or of others as c, at random."""
    others = np.array([k for k in world.names if k != c])
    if rng.random() < 0.5:
        rows = rng.permutation(_boxes_of(world, c))
        rows = rows[: int(len(rows) * _share(rng, world, 0.45, 0.75))]
        world.gt_class[rows] = rng.choice(others, len(rows))
    else:
        by_class = [rng.permutation(_boxes_of(world, k)) for k in others]
        wanted = int(len(_boxes_of(world, c)) * rng.uniform(1.2, 2.5) / len(others)) + 1
        world.gt_class[np.concatenate([rows[: min(wanted, len(rows) // 2)] for rows in by_class])] = c


def noisy_boxes(rng: np.random.Generator, world: World, c: int) -> None:
    """Annotated boxes moved and resized, as the audit sees in some of them."""
    rows = _boxes_of(world, c)
    world.gt_box[rows] = jitter(rng, world.gt_box[rows], rng.uniform(0.13, 0.17))
    world.findings[c, "size-outlier"] = int(len(rows) * 0.1) + 3


def absent_in_training(rng: np.random.Generator, world: World, c: int) -> None:
    """No training box; the model never learnt the class."""
    assert world.train is not None
    world.train.keep_gt(world.train.gt_class != c)
    no_detections(rng, world.train, c)
    no_detections(rng, world, c)


def forgetting(rng: np.random.Generator, world: World, c: int) -> None:
    """The base model still finds what this one misses."""
    missed_objects(rng, world, c)


def train_eval_shift(rng: np.random.Generator, world: World, c: int) -> None:
    """Training boxes of the class are far larger, and what is small here is missed."""
    assert world.train is not None
    rows = _boxes_of(world.train, c)
    factor = rng.choice([0.35, 2.5])
    box = world.train.gt_box[rows]
    world.train.gt_box[rows] = np.hstack([box[:, :2] + box[:, 2:] * (1 - factor) / 2, box[:, 2:] * factor])
    missed_objects(rng, world, c)


def small_objects(rng: np.random.Generator, world: World, c: int) -> None:
    """The smaller boxes of the class are not found."""
    rows = _boxes_of(world, c)
    area = world.gt_box[rows, 2:].prod(axis=1)
    lost = rows[area <= np.quantile(area, _share(rng, world, 0.6, 0.8))]
    world.keep_dt(~np.isin(_on_own(world, c, 0.1), lost))


def large_objects(rng: np.random.Generator, world: World, c: int) -> None:
    """The larger boxes of the class are not found."""
    rows = _boxes_of(world, c)
    area = world.gt_box[rows, 2:].prod(axis=1)
    lost = rows[area >= np.quantile(area, 1 - _share(rng, world, 0.6, 0.8))]
    world.keep_dt(~np.isin(_on_own(world, c, 0.1), lost))


def degenerate_ground_truth(rng: np.random.Generator, world: World, c: int) -> None:
    """Boxes of the class are written with a width or height of 0, or from the lower right to the upper left."""
    rows = rng.permutation(_boxes_of(world, c))
    rows = rows[: int(len(rows) * _share(rng, world, 0.45, 0.95))]
    if rng.random() < 0.5:
        world.gt_box[rows, rng.integers(2, 4)] = 0
    else:
        world.gt_box[rows] = np.hstack([world.gt_box[rows, :2] + world.gt_box[rows, 2:], -world.gt_box[rows, 2:]])


def class_imbalance(rng: np.random.Generator, world: World, c: int) -> None:
    """Few training boxes against the other classes, and low scores."""
    assert world.train is not None
    train = world.train
    typical = np.median([len(_boxes_of(train, k)) for k in world.names if k != c])
    rows = _boxes_of(train, c)
    keep = np.ones(len(train.gt_class), bool)
    keep[rows[max(int(typical * 0.06), 12) :]] = False
    train.keep_gt(keep)
    true = _on_own(world, c) >= 0
    world.dt_score[true] = world.lowered(world.dt_score[true], rng.uniform(0.1, 0.3))
    lost = rng.choice(_boxes_of(world, c), int(len(_boxes_of(world, c)) * 0.5), replace=False)
    world.keep_dt(~np.isin(_on_own(world, c, 0.1), lost))


def undertrained(rng: np.random.Generator, world: World, c: int) -> None:
    """Missed on the training split as well."""
    assert world.train is not None
    missed_objects(rng, world, c)
    missed_objects(rng, world.train, c)


def overfit(rng: np.random.Generator, world: World, c: int) -> None:
    """Found on the training split alone."""
    missed_objects(rng, world, c)


PLANTS: dict[str, Callable[[np.random.Generator, World, int], None]] = {
    plant.__name__: plant
    for plant in (
        no_ground_truth,
        crowd_only,
        label_id_mismatch,
        image_id_mismatch,
        box_format,
        no_detections,
        class_confusion,
        receives_class,
        localization,
        duplicates,
        missing_labels,
        few_examples,
        bad_ranking,
        background_confusion,
        missed_objects,
        score_threshold,
        max_detections,
        wrong_labels,
        noisy_boxes,
        absent_in_training,
        forgetting,
        train_eval_shift,
        small_objects,
        large_objects,
        degenerate_ground_truth,
        class_imbalance,
        undertrained,
        overfit,
    )
}
ORDER = (
    ("duplicates", "score_threshold", "max_detections"),
    (
        *("few_examples", "missing_labels", "wrong_labels", "noisy_boxes", "no_ground_truth", "crowd_only"),
        "degenerate_ground_truth",
    ),
    ("image_id_mismatch", "label_id_mismatch", "box_format"),
)
"""What happens after what: a detector has its faults, its output is cut, labels are what they are, and
then files are written."""


def plant_all(rng: np.random.Generator, world: World, names: tuple[str, ...], c: int) -> None:
    """Plant several causes in one class, in the order in which they would arise."""
    world.strength = 1.0 if len(names) == 1 else 0.6
    world.n_left = int((world.dt_class == c).sum())
    for name in sorted(names, key=lambda name: next((k for k, group in enumerate(ORDER, 1) if name in group), 0)):
        PLANTS[name](rng, world, c)
        if name not in ORDER[-1]:
            world.n_left = int((world.dt_class == c).sum())


TRAINING = {"absent_in_training", "train_eval_shift", "class_imbalance"}
"""Plants that need training annotations; overfit and undertrained also need detections on them."""


# as canonical tables


def tables_of(world: World, split: str = "val", model: str = "model") -> dict[str, pa.Table]:
    """images, annotations, categories and predictions."""
    n, m = len(world.gt_image), len(world.dt_image)
    order = np.argsort(world.gt_image, kind="stable")
    rank = np.arange(1, m + 1)
    by_image = np.argsort(world.dt_image, kind="stable")

    def box(rows: Floats) -> dict[str, object]:
        return {side: rows[:, k] for k, side in enumerate(("x", "y", "width", "height"))}

    unlisted = sorted(set(np.unique(world.dt_class).tolist()) - set(world.names))
    listed = [(k, name, "annotations") for k, name in world.names.items()]
    listed += [(k, None, "predictions") for k in unlisted]
    return {
        "images": schema.from_columns(
            "images",
            {
                "split": [split] * len(world.image),
                "image_id": world.image,
                "file_name": [f"img_{k:06d}.jpg" for k in world.image],
                "width": world.size[:, 0].astype(int),
                "height": world.size[:, 1].astype(int),
                "image_row": np.arange(len(world.image)),
            },
            run=RUN,
        ),
        "annotations": schema.from_columns(
            "annotations",
            {
                "split": [split] * n,
                "annotation_id": order + 1,
                "annotation_row": order,
                "image_id": world.gt_image[order],
                "category_id": world.gt_class[order],
                **box(world.gt_box[order]),
                "area": (world.gt_box[:, 2] * world.gt_box[:, 3])[order],
                "is_crowd": world.gt_crowd[order],
                "is_difficult": np.zeros(n, bool),
            },
            run=RUN,
        ),
        "categories": schema.from_columns(
            "categories",
            {
                "split": [split] * len(listed),
                "category_id": [k for k, _, _ in listed],
                "category_name": [name for _, name, _ in listed],
                "source": [source for _, _, source in listed],
            },
            run=RUN,
        ),
        "predictions": schema.from_columns(
            "predictions",
            {
                "model": [model] * m,
                "split": [split] * m,
                "image_id": world.dt_image[by_image],
                "category_id": world.dt_class[by_image],
                **box(world.dt_box[by_image]),
                "score": world.dt_score[by_image],
                "rank": rank[by_image],
            },
            run=RUN,
        ),
    }


def coco_files(world: World, folder: Path, name: str = "scene") -> tuple[Path, Path]:
    """Ground truth and detections as COCO files."""
    gt = {
        "images": [
            {"id": int(k), "file_name": f"img_{k:06d}.jpg", "width": int(w), "height": int(h)}
            for k, (w, h) in zip(world.image, world.size, strict=True)
        ],
        "annotations": [
            {
                "id": n + 1,
                "image_id": int(image),
                "category_id": int(category),
                "bbox": box.tolist(),
                "area": float(box[2] * box[3]),
                "iscrowd": int(crowd),
            }
            for n, (image, category, box, crowd) in enumerate(
                zip(world.gt_image, world.gt_class, world.gt_box, world.gt_crowd, strict=True)
            )
        ],
        "categories": [{"id": k, "name": label} for k, label in world.names.items()],
    }
    dt = [
        {"image_id": int(image), "category_id": int(category), "bbox": box.tolist(), "score": float(score)}
        for image, category, box, score in zip(
            world.dt_image, world.dt_class, world.dt_box, world.dt_score, strict=True
        )
    ]
    paths = folder / f"{name}-gt.json", folder / f"{name}-dt.json"
    for path, value in zip(paths, (gt, dt), strict=True):
        path.write_text(json.dumps(value))
    return paths
