"""What the causes judge: one weak class with its boxes, its detections, and the classes around it."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.diagnose import thresholds as t
from detray.diagnose.columns import take
from detray.diagnose.evidence import rows as o
from detray.diagnose.evidence.counts import Counts
from detray.diagnose.evidence.reference import Others, score_depth
from detray.diagnose.evidence.result import Auc, ClassResult
from detray.diagnose.evidence.rows import first_of_each_place
from detray.diagnose.evidence.split import Split
from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision


@dataclass(frozen=True)
class Case:
    """One weak class, with all that is known about it."""

    category: int
    n_crowd: int
    given: ClassResult
    """As the files say."""
    result: ClassResult
    """With the mapping faults of `Split.repairs` repaired; the same as ``given`` without any."""
    split: Split

    @property
    def name(self) -> str:
        return self.split.names.get(self.category, str(self.category))

    @property
    def label(self) -> str:
        return self.split.label(self.category)

    @cached_property
    def reference(self) -> Others:
        """How the other classes that work score."""
        return self.split.reference.seen_by(self.category)

    @property
    def is_repaired(self) -> bool:
        return self.result is not self.given

    @cached_property
    def mapping_gain(self) -> float | None:
        """AP regained by the repair of all mapping faults together."""
        if self.given.ap is None or self.result.ap is None:
            return None
        return max(self.result.ap - self.given.ap, 0.0)

    def gain(self, mended: float | None) -> float | None:
        """AP regained over the view that the causes after the mapping look at."""
        return None if mended is None or self.result.ap is None else max(mended - self.result.ap, 0.0)

    def is_worth(self, gain: float | None) -> bool:
        """Whether a mend that regains so much AP is worth a place among the causes."""
        return gain is not None and gain >= min(t.LEAST_GAIN, t.LEAST_SHARE * (self.result.ap or 0.0)) and gain > 0

    # training

    @cached_property
    def training_category(self) -> int | None:
        """The class's id in the training annotations: by name, else by id; None where it is not there."""
        training = self.split.inputs.training
        if training is None:
            return None
        named = [k for k, name in sorted(training.names.items()) if name == self.name]
        if named:
            return named[0]
        return self.category if self.category in training.shapes.boxes and self.category not in training.names else None

    @cached_property
    def n_train(self) -> int | None:
        """Boxes of the class in the training annotations; None where these are not given."""
        training = self.split.inputs.training
        if training is None:
            return None
        return 0 if self.training_category is None else training.shapes.boxes.get(self.training_category, 0)

    @cached_property
    def drifts(self) -> dict[str, float]:
        """How far the sizes and aspects of the boxes lie from those in training; empty where unknown."""
        return self.split.drifts.get(self.category, {})

    @cached_property
    def usual_drift(self) -> dict[str, float]:
        """The same in the median of the other classes."""
        others = [found for k, found in self.split.drifts.items() if k != self.category]
        return {name: float(np.median([found[name] for found in others])) for name in self.drifts if others}

    @cached_property
    def share_of_boxes(self) -> tuple[int, float, str]:
        """The class's boxes, those of the median of the other classes, and where: in training if given."""
        training = self.split.inputs.training
        if training is not None:
            others = [n for k, n in training.shapes.boxes.items() if k != self.training_category]
            return self.n_train or 0, float(np.median(others)) if others else 0.0, "training"
        others = [n for k, n in self.split.repaired.boxes.items() if k != self.category]
        return len(self.result.boxes), float(np.median(others)) if others else 0.0, "the evaluated split"

    @cached_property
    def sizes(self) -> Floats:
        """Root of each box's area in pixels, after the model's resize where that is known."""
        boxes = self.result.boxes
        side = np.sqrt(boxes.box[:, 2:].clip(0)).prod(axis=1)  # an area may be beyond the largest float
        to = self.split.inputs.input_size
        if to is None:
            return side
        return np.where(
            np.isfinite(boxes.image_size).all(axis=1), side * np.sqrt(np.prod(to) / boxes.image_size.prod(axis=1)), side
        )

    # what became of the missed boxes

    @cached_property
    def confused(self) -> Flags:
        """Boxes covered by a detection of another class that scores as true ones of that class, or of
        this one unless it scores low as a whole, do."""
        boxes = self.result.boxes
        like_own = (boxes.cover_score >= self.floor) & (self.is_depressed is not True)
        like_other = self.split.confident(boxes.cover_category, boxes.cover_score)
        covered = boxes.outcome == o.COVERED
        return covered & (like_own | like_other | (boxes.cover_category == self._confused_with))

    @cached_property
    def _confused_with(self) -> int | None:
        """The class whose detections, of whatever score, cover far more of the missed boxes than its
        share of all detections would by chance; None: there is none, or the class is never detected."""
        covers = self.result.boxes.cover_category[self.result.boxes.outcome == o.COVERED]
        if not len(covers) or not len(self.result.detections):
            return None
        other = dominant_class(covers)
        if other is None:
            return None
        most = int((covers == other).sum())
        detections = self.split.repaired.detections
        share = detections.get(other, 0) / max(sum(n for k, n in detections.items() if k != self.category), 1)
        chance = len(covers) * share
        is_beyond = most - chance > t.CHANCE_ERRORS * np.sqrt(max(chance * (1 - share), 1))
        return other if most >= t.MIN_HITS and is_beyond else None

    @cached_property
    def floor(self) -> float:
        """From this score on a detection of the class is confident."""
        if int(self.result.true.sum()) < t.MIN_HITS:
            return self.reference.quantile(t.CONFIDENT_QUANTILE) or 0.0
        other = self.reference.quantile(t.CONFIDENT_QUANTILE)
        return self.result.confident if other is None else min(self.result.confident, other)

    @cached_property
    def loose(self) -> Flags:
        """Missed boxes, not confused, that a confident detection of the class overlaps by .1."""
        boxes = self.result.boxes
        near = (boxes.detection != o.NONE) & (np.nan_to_num(boxes.score, nan=-1.0) >= self.floor)
        return self.result.missed & ~self.confused & near

    @cached_property
    def lost(self) -> Flags:
        """Missed boxes that no confident detection explains."""
        return self.result.missed & ~self.confused & ~self.loose

    @property
    def met(self) -> Flags:
        """Boxes that the class's own detections meet, be it loosely; of those that another class covers
        nobody knows whether its own would have."""
        return ~self.lost & ~self.confused

    @property
    def n_met(self) -> int:
        """How many these are, or more: errors at two or three boxes are not most of what there is to see."""
        return max(int(self.met.sum()), self._enough)

    @property
    def n_seen(self) -> int:
        """The same with the boxes that a confident detection of another class covers; all of a class that
        is never detected."""
        return max(int((~self.lost).sum()), self._enough) if len(self.result.detections) else self.result.n_boxes

    @property
    def _enough(self) -> int:
        """Ten boxes, or half of all where they are few."""
        return min((self.result.n_boxes + 1) // 2, int(t.FEW_BOXES))

    @cached_property
    def usually_missed(self) -> float:
        """The share of their boxes that the other classes that work miss, in the median; 0 if there is none."""
        missed = self.reference.missed
        return float(np.median(missed)) if len(missed) else 0.0

    def as_found(self, rows: Flags) -> Flags:
        """As many of the boxes ``rows``, evenly among them, as the other classes that work find."""
        place = np.flatnonzero(rows)
        n = round(len(place) * (1 - self.usually_missed))
        chosen = np.zeros(len(rows), np.bool_)
        chosen[place[np.arange(n) * len(place) // max(n, 1)]] = True
        return chosen

    @cached_property
    def size_auc(self) -> Auc | None:
        """The chance that a box that is met is larger than a lost one; None without either."""
        return Auc.of(self.sizes[self.met], self.sizes[self.lost])

    # what the detections sit on

    @cached_property
    def confident_detections(self) -> Flags:
        found = self.result.detections
        return found.kept & (found.outcome != o.IGNORED) & (found.score >= self.floor)

    @cached_property
    def on_others(self) -> Flags:
        """Confident detections on boxes of other classes."""
        return self.confident_detections & (self.result.detections.outcome == o.ON_OTHER)

    @cached_property
    def _beside(self) -> Flags:
        """Loose detections whose box another detection has, and that no missed box explains: copies of
        it, or another object nearby."""
        found = self.result.detections
        return found.kept & (found.outcome == o.LOOSE) & found.box_hit & ~found.near_missed

    @cached_property
    def repeated(self) -> Flags:
        """Detections of objects that another detection has."""
        return self.result.outcomes(o.DUPLICATE) | (self._beside & (self.result.detections.iou >= t.COPY_IOU))

    @cached_property
    def true_median(self) -> float:
        """Median score of the true detections; infinite without any."""
        scores = self.result.detections.score[self.result.true]
        return float(np.median(scores)) if len(scores) else np.inf

    @cached_property
    def background(self) -> tuple[Flags, Auc | None]:
        """Confident detections where no box stands, one a place, and the chance (AUC) that a true one
        scores higher."""
        found = self.result.detections
        empty = self.result.outcomes(o.BACKGROUND) | (self._beside & (found.iou < t.COPY_IOU))
        rows = np.flatnonzero(empty & (found.score >= self.floor))
        places = np.zeros(len(found), np.bool_)
        places[rows[first_of_each_place(take(found, rows))]] = True
        return places, self.result.auc(places, self.floor)

    @cached_property
    def false_auc(self) -> Auc | None:
        """The chance that a true detection scores above a confident false one that repeats none; None
        without either."""
        return self.result.auc(self.result.false & ~self.repeated, self.floor)

    @cached_property
    def outranking(self) -> Flags:
        """False detections, repeating none, that score above the median of the true ones."""
        return self.result.false & ~self.repeated & (self.result.detections.score >= self.true_median)

    def usual_false(self, score: float) -> float:
        """How many false detections from ``score`` on a class that works would have."""
        return self.reference.usual_false(score, int(self.result.true.sum()))

    @cached_property
    def is_depressed(self) -> bool | None:
        """Whether the class's true detections score far below those of the classes that work; None: unknown."""
        return self.scores_low(t.DEPRESSED_CHANCE)

    def scores_low(self, chance: float) -> bool | None:
        """The same, where it happens by chance with this probability at most."""
        n = int(self.result.true.sum())
        position = self.reference.position(self.true_median) if n else None
        if position is None:
            return None
        position = max(position, 1 / (self.reference.true.total + 1))
        if chance_of_median(position, n) > chance:
            return False
        # the classes differ among themselves
        usual = self.reference.quantile(0.5) or 0.0
        if position < t.FAR_BELOW_POSITION and self.true_median < t.FAR_BELOW * usual:
            return True
        return bool(position < min(t.DEPRESSED_POSITION, self.reference.lowest_usual_position))

    @cached_property
    def has_one_kind_of_false(self) -> bool:
        """Whether most false detections that outscore true ones are of one kind, so that this kind and
        not the ranking is what is wrong: the true ones score as usual, or the kind is no background."""
        kinds = np.bincount(self.result.detections.outcome[self.outranking], minlength=o.BACKGROUND + 1)
        if not kinds.sum() or kinds.max() < t.ONE_KIND * kinds.sum():
            return False
        if self.is_depressed is not None:
            return not self.is_depressed
        # no other class tells how true detections score here
        return bool(self.true_median >= t.FAR_BELOW * np.median(self.result.detections.score[self.outranking]))

    @cached_property
    def untight_share(self) -> float | None:
        """Share of the true detections that fail at IoU .75; None without any."""
        words = self.result.detections.matched[self.result.true]
        return float((words >> o.TIGHT_LEVEL & 1 == 0).mean()) if len(words) else None

    @property
    def usually_untight(self) -> float:
        """The same of the other classes that work, in the median; 0 if there is none."""
        return float(np.median(self.reference.untight)) if len(self.reference.untight) else 0.0

    # the output settings

    def is_own_cut(self, lowest: float) -> bool:
        """Whether the other classes have far lower scores, true or false."""
        other = self.reference.lowest_score
        return other is not None and lowest > other + t.OWN_CUT

    def is_cut(self, lowest: float) -> bool:
        """Whether true detections that this model would have below ``lowest`` are absent.

        From the classes that work: so many true detections of theirs do not all score above it by
        chance; or, where all classes are cut there, the class's own pile up at the cut.
        """
        scores = self.result.detections.score[self.result.true]
        # what was cut below is skewed: its lowest score is as near to the median as the high ones are
        high = float(np.quantile(scores, 1 - t.CONFIDENT_QUANTILE)) if len(scores) else 0.0
        is_skewed = score_depth(lowest, self.true_median) <= score_depth(self.true_median, high)
        if self.split.cut is not None and lowest <= self.split.cut + t.SAME_CUT:
            # what all lose to the cut they lose about alike
            is_alike = float(self.lost.mean()) <= t.CUT_ALIKE * self.split.missed + t.CUT_MISSED_SHARE
            return is_alike or (is_skewed and self.is_depressed is True)
        reference = self.reference
        below = reference.position(lowest)
        if below is None or reference.lowest_score is None:
            return is_skewed
        n_true = int(self.result.true.sum())
        depth = self.reference.usual_depth(n_true)
        is_deep = depth is not None and score_depth(lowest, self.true_median) > t.CUT_DEPTH * depth
        if is_deep and below < t.CUT_POSITION:
            return False  # a class that scores high as a whole is not cut
        # a class whose false ones score high has them elsewhere
        is_usual = int(self.result.false.sum()) <= self.usual_false(lowest)
        n_false = self.reference.least_false(n_true, below=lowest) if is_usual else 0.0
        if (1 - below) ** n_true * np.exp(-n_false) < t.CUT_CHANCE:
            return True
        is_shared = abs(lowest - reference.lowest_score) <= t.SAME_CUT
        return self.is_depressed is True and (is_shared or self._ends_early(lowest))

    def _ends_early(self, lowest: float) -> bool:
        """Whether the true scores end far nearer to their median, for how far they go above it, than those
        of the classes that work: scores that are low as a whole keep their shape."""
        scores = self.result.detections.score[self.result.true]
        usual = self.reference.usual_tail(len(scores))
        high = float(np.quantile(scores, 1 - t.CONFIDENT_QUANTILE))
        if usual is None or len(scores) < t.FEW_BOXES or high <= self.true_median:
            return False
        return (self.true_median - lowest) / (high - self.true_median) < t.CUT_TAIL * usual

    @property
    def beyond_cap(self) -> Flags:
        """Detections beyond the 100 that count an image and class, in images that hold more boxes of it."""
        boxes, found = self.result.boxes, self.result.detections
        images, n = np.unique(boxes.image, return_counts=True)
        return ~found.kept & np.isin(found.image, images[n > t.COCO_CAP])

    @cached_property
    def uncapped_ap(self) -> float | None:
        """AP with all detections of an image."""
        boxes, found = self.result.boxes, self.result.detections
        gt = GroundTruth(boxes.image, boxes.category, boxes.box, boxes.area, np.zeros(len(boxes), np.bool_))
        dt = Detections(found.image, found.category, found.box, found.score, found.rank)
        return float(class_average_precision(gt, dt, max(len(found), 1)).mean()) if len(boxes) else None

    @cached_property
    def is_capped(self) -> bool:
        """Whether most missed boxes are lost in images that a cap on their detections cuts."""
        if self.saturation is None:
            return False
        lost = int((self.lost & self.saturation[1]).sum())
        return lost >= t.MIN_HITS and lost >= t.CAPPED_MISSED_SHARE * int(self.result.missed.sum())

    @cached_property
    def saturation(self) -> tuple[int, Flags, float, float | None] | None:
        """A cap on the detections of an image: the cap, the boxes in images that reach it, recall in
        these and in other images (None if there are none); None if there is no sign of one."""
        boxes, found = self.result.boxes, self.result.detections
        images, counts = np.unique(found.image, return_counts=True)
        place = np.searchsorted(images, boxes.image).clip(0, max(len(images) - 1, 0))
        own = np.where(images[place] == boxes.image, counts[place], 0) if len(images) else np.zeros(len(boxes), int)
        per_count = {int(k): int(n) for k, n in zip(*np.unique(counts, return_counts=True), strict=True)}
        for histogram, number in ((self.split.repaired.image_detections, boxes.image_detections), (per_count, own)):
            cap = _saturated(histogram)
            if cap is None:
                continue
            full = number == cap
            if not full.any():
                continue
            recall = 1 - float(self.result.missed[full].mean())
            rest = 1 - float(self.result.missed[~full].mean()) if not full.all() else None
            is_better_elsewhere = rest is not None and rest >= recall + t.CAP_RECALL_GAP
            is_full_of_boxes = boxes.image_boxes[full].mean() > cap and (rest is None or (~full).mean() < t.FEW_REST)
            if is_better_elsewhere or is_full_of_boxes:
                return cap, full, recall, rest
        return None


def chance_of_median(position: float, n: int) -> float:
    """The chance that the median of ``n`` values drawn from others lies below this share of them."""
    if n > _EXACT:
        return 0.5 * math.erfc((0.5 - position) * math.sqrt(2 * n))
    return sum(math.comb(n, k) * position**k * (1 - position) ** (n - k) for k in range((n + 1) // 2, n + 1))


_EXACT = 60
"""Values up to which the binomial distribution is summed; beyond, the normal one says somewhat more."""


def dominant_class(classes: Ints) -> int | None:
    """The class that is most of ``classes``, or far more than any other; None: they are scattered."""
    values, counts = np.unique(classes, return_counts=True)
    if not len(values):
        return None
    second, most = np.sort(np.append(counts, 0))[-2:]
    is_dominant = most >= t.CONFUSION_DOMINANCE * len(classes) or most >= t.DOMINANCE_RATIO * second
    return int(values[counts.argmax()]) if is_dominant else None


def _saturated(histogram: Counts) -> int | None:
    """The highest number of detections of any image, if many images have exactly that many."""
    if not histogram:
        return None
    cap = max(histogram)
    n, below = histogram[cap], histogram.get(cap - 1, 0)
    return cap if n >= max(3, t.CAPPED_IMAGES * sum(histogram.values())) and n >= 2 * below else None
