"""Images without a box of a class: whether what is detected there is as much, and as sure, as where boxes are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.diagnose.criterion import SUITE, Criterion
from detray.diagnose.evidence.background import LIKE_TRUE_UPPER_AUC, BackgroundEvidence
from detray.diagnose.evidence.chance import BAD_AUC, CHANCE_ERRORS, Auc
from detray.diagnose.observation.counts import MIN_HITS
from detray.diagnose.observation.rows import BoxRows

SKIPPED_DRAWN = Criterion(5, "images with boxes from which it can be told how many a class has in one")
SKIPPED_NUMBER = Criterion(0.3, f"chance, beyond .5, that an image with boxes holds more than one without: {SUITE}")
SKIPPED_APART = Criterion(0.2, f"Kolmogorov-Smirnov distance of scores that are told apart: {SUITE}")
OTHER_NUMBER = Criterion(0.2, f"the same of SKIPPED_NUMBER, where it is beyond chance: {SUITE}")

_BLOCKED = 2.0
"""Areas of a box within which the centre of another of its size overlaps it by IoU .1: with u and v the shifts in
widths and heights, (1 - |u|)(1 - |v|) >= 2/11."""
_BY_CHANCE = 1.36
"""Kolmogorov and Smirnov's distance at the level of .05, for the root of (n + m) / (n m)."""
_SURE_ERRORS = 2
"""The same level in standard errors."""
_FULL = 5.0
"""Mean number of boxes over a place from which an image counts as full: less than 1% is left."""
_ROUNDS = 50
"""Steps of expectation and maximisation; a share in one dimension settles within some ten."""


@dataclass(frozen=True)
class BareImages:
    """Confident detections of a class, in images without a box of it and in the others; scores above the
    median of the true ones count, since clutter mixes in below it.

    Beside its boxes an image shows how much background the model takes for the class, in the room that the
    boxes leave. Images without a box hold far more (`errors`) if the annotator skipped objects there, or if the
    model errs there alone. What it errs at has no reason to come with the scores of objects (`auc`, `is_apart`)
    and in their numbers (`numbers`).
    """

    images: Ints
    """Images with a box or a detection of the class, by id."""
    drawn: Flags
    """Which of them have a box."""
    beside: Ints
    """Detections of each where no box stands."""
    every: Ints
    """The same and the true ones."""
    room: Floats
    """The share of each image where a box more of the class would be on background."""
    n_silent: int
    """Images with neither box nor detection of the class."""
    scores: Floats
    """Of the detections in images without a box."""
    true_scores: Floats

    @classmethod
    def of(cls, background: BackgroundEvidence, n_known: int) -> "BareImages":
        """From a class's detections on background; ``n_known`` images hold any detection."""
        boxes, rows, true = background.result.boxes, background.result.detections, background.result.true
        images = np.union1d(boxes.image, rows.image)
        high = background.high

        def by_image(chosen: Flags) -> Ints:
            return np.bincount(np.searchsorted(images, rows.image[chosen]), minlength=len(images))

        high_true = true & (rows.score >= background.scores.median)
        return cls(
            images=images,
            drawn=np.isin(images, boxes.image),
            beside=by_image(high),
            every=by_image(high | high_true),
            room=_room(boxes, images),
            n_silent=max(n_known - len(images), 0),
            scores=rows.score[high & ~np.isin(rows.image, boxes.image)],
            true_scores=rows.score[high_true],
        )

    @cached_property
    def errors(self) -> float:
        """Standard errors by which images without a box hold more than the room in the others explains, of
        Poisson counts spread as much wider as these are; 0 where there are too few of either."""
        if int(self.drawn.sum()) < SKIPPED_DRAWN or int((~self.drawn).sum()) < MIN_HITS or not self.beside.sum():
            return 0.0
        n = np.append(self.beside, np.zeros(self.n_silent, np.int64))
        room = np.append(self.room, np.ones(self.n_silent))
        bare = np.append(~self.drawn, np.ones(self.n_silent, np.bool_))
        usual = n.sum() / room.sum() * room
        dispersion = max(float(((n - usual) ** 2).sum() / n.sum()), 1.0)  # of a variance in proportion to the mean
        share = float(room[bare].sum() / room.sum())
        return float((n[bare] - usual[bare]).sum() / np.sqrt(n.sum() * share * (1 - share) * dispersion))

    @cached_property
    def skipped(self) -> Ints:
        """The images without a box that likelier belong to those with boxes, the one with most detections first: a
        mixture of two Poisson rates, of background alone and of all such detections in images with boxes."""
        bare = np.flatnonzero(~self.drawn)
        if not len(bare) or len(bare) == len(self.images):
            return self.images[:0]
        background = (self.beside[self.drawn].sum() + 0.5) / self.room[self.drawn].sum()
        if self.usual <= background:
            return self.images[:0]
        is_second = _of_second(np.append(self.beside[bare], np.zeros(self.n_silent)), background, self.usual)
        chosen = bare[is_second[: len(bare)] & (self.beside[bare] > 0)]
        return self.images[chosen[np.lexsort((self.images[chosen], -self.beside[chosen]))]]

    @property
    def usual(self) -> float:
        """Mean number of such detections, true ones and others, in images with boxes."""
        return float(self.every[self.drawn].mean())

    @cached_property
    def auc(self) -> Auc | None:
        """The chance that a true detection scores above one in an image without a box."""
        return Auc.of(self.true_scores, self.scores)

    @cached_property
    def is_apart(self) -> bool:
        """Whether the scores are distributed otherwise than those of the true ones, far and beyond chance
        (Kolmogorov and Smirnov)."""
        n, m = len(self.scores), len(self.true_scores)
        if not n or not m:
            return False
        at = np.concatenate([self.scores, self.true_scores])
        bare, true = (
            np.searchsorted(np.sort(scores), at, side="right") / len(scores)
            for scores in (self.scores, self.true_scores)
        )
        distance = float(np.abs(bare - true).max())
        return distance > max(SKIPPED_APART, _BY_CHANCE * np.sqrt((n + m) / (n * m)))

    @cached_property
    def numbers(self) -> Auc | None:
        """The chance that an image with boxes holds more than one without that holds any; None: none does."""
        bare = self.beside[~self.drawn]
        bare = bare[bare > 0]
        if not len(bare):
            return None
        drawn = self.every[self.drawn]
        return Auc.of(drawn[drawn > 0].astype(np.float64), bare.astype(np.float64))

    @property
    def is_unlike(self) -> bool:
        """Whether scores or numbers are other than those of objects."""
        if self.auc is None or self.numbers is None:
            return False
        by_chance = max(_SURE_ERRORS * self.numbers.error, OTHER_NUMBER)
        is_other_number = abs(self.numbers.value - 0.5) > min(by_chance, SKIPPED_NUMBER)
        return outscores(self.auc) or self.is_apart or is_other_number

    @property
    def are_skipped(self) -> bool:
        """Whether the annotator left whole images out."""
        is_as_sure = self.auc is not None and BAD_AUC <= self.auc.value <= LIKE_TRUE_UPPER_AUC
        is_more = self.errors >= CHANCE_ERRORS
        return is_more and is_as_sure and not self.is_unlike and len(self.skipped) >= MIN_HITS


def outscores(auc: Auc | None) -> bool:
    """Whether the detections score above the true ones, beyond chance."""
    return auc is not None and auc.value + _SURE_ERRORS * auc.error < BAD_AUC


def _room(boxes: BoxRows, images: Ints) -> Floats:
    """The share of each of ``images`` that boxes placed at random leave free for another."""
    with np.errstate(over="ignore"):  # boxes near the largest float
        far = (boxes.box[:, :2] + boxes.box[:, 2:]).max(axis=0, initial=1.0)
    size = np.where(boxes.image_size > 0, boxes.image_size, far)
    area = np.clip(boxes.box[:, 2:] / size, 0, 1).prod(axis=1)
    # a box lies inside the picture, so its centre has less room than the picture
    side = np.sqrt(np.median(area)) if len(area) else 0.0
    taken = _BLOCKED * area / max(1 - side, side) ** 2
    return np.exp(-np.minimum(np.bincount(np.searchsorted(images, boxes.image), taken, len(images)), _FULL))


def _of_second(n: Ints, first: float, second: float) -> Flags:
    """Which counts are likelier Poisson with the rate ``second`` than with ``first``, in the mixture of both
    that fits best."""
    odds = np.exp(np.clip(n * np.log(second / first) - (second - first), -700, 700))
    share = 0.5
    for _ in range(_ROUNDS):
        share = float((share * odds / (share * odds + 1 - share)).mean())
    return share * odds > 1 - share
