"""Boxes that the detections contradict, ranked by the chance that the label is wrong and not the detector.

Scores are compared within a class, with those of its true detections (see `mixture`), and a chance counts for as
much as the model's word is worth for the class that accuses (see `worth`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import schema
from detray.arrays import Floats, Ints
from detray.diagnose.criterion import Criterion
from detray.diagnose.evidence.class_sizes import Sizes
from detray.diagnose.evidence.histogram import NO_SCORES, Histogram, histograms
from detray.diagnose.evidence.misdrawn import misdrawn
from detray.diagnose.evidence.mixture import chance_of_wrong_labels, logit
from detray.diagnose.evidence.precision import Precision
from detray.diagnose.evidence.reference import CONFIDENT_QUANTILE
from detray.diagnose.evidence.unlabelled import LIKELY, unlabelled
from detray.diagnose.evidence.worth import worth_by_class
from detray.diagnose.observation import rows as o
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import MIN_HITS, ClassCounts, coarse_score
from detray.diagnose.observation.rows import HIT_IOU, TIGHT_IOU, BoxRows, DetectionRows

LISTED = Criterion(0.01, "chance below which a suspected label error is not worth a look")
SPURIOUS_SHARE = Criterion(
    0.03, "boxes that mark nothing; of ten test sets 3.3% of the labels were wrong (Northcutt et al., NeurIPS 2021)"
)

SIDES = ("x", "y", "width", "height")
_SURE = 0.3
"""Detections of other classes whose place is below it stand on boxes for many reasons: their share does not tell
of wrong labels, and the chance fades out below it."""
_SAME_OBJECT = 0.2
"""IoU below which a detection near a missed box is likelier of a neighbour."""
_LEAST_SAID, _LEAST_SPREAD, _ONE_DEVIATION = 1e-3, 0.5, 0.84
_STEP = 0.1
"""The unit in which places and IoU are taken as sureness."""


def _evenly(n: int) -> Floats:
    """``n`` numbers spread evenly over 0 to 1."""
    return (np.arange(n) + 0.5) / n


@dataclass(frozen=True)
class Doubt:
    """The chance that a label is wrong by how far another class stands above it, from the boxes of all classes: too
    few of one class contradict to tell a share of wrong labels from errors of the model. Both ``[n]``, rising."""

    wrong: Floats
    chance: Floats

    @classmethod
    def of(cls, counts: ClassCounts, every: Histogram) -> "Doubt":
        """What agrees with the labels is how far their own class stands above the next, and, were the detector never in
        two minds, evenly spread."""
        doubts = sorted(counts.doubts)  # sums of floats depend on their order
        sides = np.array(doubts, np.int64).reshape(-1, 2).T
        own, other = (
            every.share_up_to(np.nan_to_num([coarse_score(number) for number in side])) for side in sides.tolist()
        )
        n = np.array([counts.doubts[key] for key in doubts], np.int64)
        is_hit, is_covered = sides >= 0
        right = np.repeat(own * (1 - other), n * is_hit)
        wrong = np.sort(np.repeat(other * (1 - own), n * is_covered))
        right = np.concatenate([right, _evenly(len(right))])
        right, wrong = right[right >= _SURE], wrong[wrong >= _SURE]
        if len(right) < MIN_HITS or not len(wrong):
            return cls(np.ones(1), np.zeros(1))
        return cls(wrong, chance_of_wrong_labels(right / _STEP, wrong / _STEP))

    def at(self, wrong: Floats) -> Floats:
        """Of each of ``wrong`` ``[k]``, ``[k]``; it fades out below `_SURE`."""
        found: Floats = np.interp(wrong, self.wrong, self.chance) * np.minimum(wrong / _SURE, 1.0) ** 2
        return found


@dataclass(frozen=True)
class Ranks:
    """The place of scores among the true detections of their class."""

    own: Mapping[int, Histogram]
    """True detections by class, of classes that have enough."""
    every: Histogram
    """Those of all classes."""
    worth: Mapping[int, float]
    """What the model's word is worth, by class."""
    precision: Mapping[int, Precision]
    """Of the classes in ``own``, by score."""
    doubt: Doubt
    """Of boxes that detections of other classes cover."""
    sizes: Sizes

    @classmethod
    def of(cls, counts: ClassCounts) -> "Ranks":
        """From the counts of the whole split."""
        own = histograms(counts.true_scores)
        known = {k: scores for k, scores in own.items() if scores.total >= MIN_HITS}
        false = histograms(counts.false_scores)
        precision = {k: Precision.of(scores, false.get(k, NO_SCORES)) for k, scores in known.items()}
        every = Histogram.pooled(list(own.values()))
        return cls(known, every, worth_by_class(counts), precision, Doubt.of(counts, every), Sizes.of(counts.hit_sizes))

    def believed(self, category: Ints) -> Floats:
        """What the model's word is worth for each class; 0 for one without boxes."""
        classes, place = np.unique(category, return_inverse=True)
        return np.array([self.worth.get(one, 0.0) for one in classes.tolist()], float)[place]

    def n_true(self, category: int) -> int:
        """True detections of a class, 0 where they are too few to tell anything."""
        return self.own[category].total if category in self.own else 0

    def place(self, category: Ints, score: Floats) -> Floats:
        """The share of each class's true detections that score at most as high; 0 where too few are true."""
        result = np.zeros(len(score))
        for one in np.unique(category).tolist():
            if one in self.own:
                rows = category == one
                result[rows] = self.own[one].share_up_to(np.nan_to_num(score[rows]))
        return result

    def place_among_all(self, score: Floats) -> Floats:
        """The share of all classes' true detections that score at most as high."""
        return self.every.share_up_to(np.nan_to_num(score))


def label_errors(
    boxes: BoxRows,
    detections: DetectionRows,
    counts: ClassCounts,
    names: Mapping[int, str],
    *,
    run: str,
    split: str,
    model: str,
) -> pa.Table:
    """The table ``label_errors`` of some classes; file names are left out.

    Args:
        boxes, detections: rows of these classes, without mapping faults.
        counts: of the whole split.
        names: class names.
        run, split, model: what the rows are marked with.
    """
    ranks = Ranks.of(counts)
    parts = [_missing(detections, ranks), _wrong_class(boxes, ranks), _bad_box(boxes, ranks), _spurious(boxes, ranks)]
    columns: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n = len(columns["score"])
    order = np.lexsort((columns["annotation_row"], columns["image_id"], -columns["score"], columns["category_id"]))
    columns = {name: values[order] for name, values in columns.items()}
    columns["evidence"] = [
        f'{{"iou": {iou:.3f}, "score": {score:.4f}}}' if np.isfinite(score) else None
        for iou, score in zip(columns.pop("iou").tolist(), columns.pop("model_score").tolist(), strict=True)
    ]
    for prefix in ("", "suggested_"):
        columns[f"{prefix}category_name"] = [names.get(k) for k in columns[f"{prefix}category_id"].tolist()]
        box = columns.pop(f"{prefix}box")
        columns |= {f"{prefix}{side}": box[:, place] for place, side in enumerate(SIDES)}
    for name in ("annotation_id", "annotation_row", "suggested_category_id"):
        columns[name] = pa.array(columns[name], pa.int64(), mask=columns[name] == o.NONE)
    return schema.from_columns("label_errors", {"model": [model] * n, "split": [split] * n, **columns}, run=run)


def _missing(detections: DetectionRows, ranks: Ranks) -> dict[str, Any]:
    """Detections where no box of their class is, one a place, which may reach into one that another detection has.

    Beside the chance that it is the label which is wrong stands how often a detection of such a score is true, which
    tells suspects of several classes from each other: where that is greater their geometric mean counts, up to what the
    model's word is worth. An object is the less likely there the more of the place other boxes take.
    """
    rows, score = [np.zeros(0, np.int64)], [np.zeros(0)]
    for one in np.unique(detections.category).tolist():
        own = np.flatnonzero(detections.category == one)
        places, chance = unlabelled(take(detections, own), crowded=True)
        told = chance * (worth := ranks.worth.get(one, 0.0))
        if one in ranks.precision:
            share = ranks.precision[one].at(detections.score[own[places]])
            told = np.minimum(np.sqrt(told * np.maximum(share, told)), worth * np.maximum(share, chance))
        rows.append(own[places])
        score.append(told)
    found = take(detections, np.concatenate(rows))
    named = {"suggested_category_id": found.category, "suggested_box": found.box}
    free = np.maximum(1 - found.other_iou / HIT_IOU, 0.0) * np.maximum(1 - found.iou / HIT_IOU, 0.0)
    return _listed("missing", found, np.concatenate(score) * free, **named)


def _wrong_class(boxes: BoxRows, ranks: Ranks) -> dict[str, Any]:
    """Boxes that a sure detection of another class covers, and no detection of their own as sure.

    How sure it is tells its place among the true ones of all classes. A model that reports every class with low
    scores everywhere hits such a box with its own class too, so what counts is how far one class stands above the
    other. Where more boxes of a class are contradicted than hit, or than not disputed, the model may take the class
    for another, and the chance is the less. Where the two classes differ in size, the box tells for itself of which it
    is (Bayes' rule). A sure contradiction is worth a look whatever the chance.
    """
    is_hit, is_covered = boxes.outcome == o.HIT, boxes.cover_category != o.NONE
    own = np.where(is_hit, ranks.place_among_all(boxes.score), 0.0)
    other = np.where(is_covered, ranks.place_among_all(boxes.cover_score), 0.0)
    wrong = other * (1 - own)
    score = np.where(is_covered, ranks.doubt.at(wrong), 0.0)
    for one in np.unique(boxes.category[is_covered]):
        mine = boxes.category == one
        against, agreeing = int((wrong[mine] >= _SURE).sum()), int((is_hit & mine).sum())
        disputed = mine & (other > own)
        rest = max(int((mine & ~disputed).sum()), 2 * int((is_hit & mine & ~disputed).sum()))
        score[mine] *= min(2 * agreeing / max(against + agreeing, 1), (1 + rest / max(int(disputed.sum()), 1)) / 2, 1.0)
    cover = {"suggested_category_id": boxes.cover_category, "iou": boxes.cover_iou, "model_score": boxes.cover_score}
    score *= ranks.believed(boxes.cover_category)
    likelier = ranks.sizes.likelier(boxes.cover_category, boxes.category, boxes.box[:, 2:])
    score = np.maximum(score * likelier / (score * likelier + 1 - score), LISTED * wrong / _SURE)
    return _listed("wrong_class", boxes, score, **cover)


def _bad_box(boxes: BoxRows, ranks: Ranks) -> dict[str, Any]:
    """Boxes that a confident detection of their class meets far less tightly than others of it, and none of another
    class.

    Badly drawn boxes are met at any IoU from `_SAME_OBJECT` to `TIGHT_IOU` (see `misdrawn`); the surer and the looser
    the detection, the earlier a box stands. One that is met so is worth a look, whatever the chance that it is not the
    model that errs.
    """
    rows = take(boxes, boxes.iou >= _SAME_OBJECT)
    chance, told = np.zeros(len(rows)), np.zeros(len(rows))
    sure = ranks.place(rows.category, rows.score) >= CONFIDENT_QUANTILE
    chance[sure], told[sure] = misdrawn(rows.category[sure], rows.iou[sure], _SAME_OBJECT, TIGHT_IOU)
    top = ranks.every.quantile(1 - CONFIDENT_QUANTILE) or 1.0
    doubt = np.minimum(rows.score / top, 1.0) * np.maximum(1 - rows.iou / TIGHT_IOU, 0.0)
    other = np.where(rows.cover_category == o.NONE, 0.0, ranks.place_among_all(rows.cover_score))
    score = np.maximum(chance, np.sqrt(chance * doubt)) * (1 - other) * ranks.believed(rows.category)
    score = np.maximum(score, LISTED * told * (1 - other) / LIKELY)
    return _listed("bad_box", rows, score, suggested_box=rows.near_box)


def _spurious(boxes: BoxRows, ranks: Ranks) -> dict[str, Any]:
    """Boxes on which the detections say far less than on others of their class.

    What they say is the score times the IoU, of whatever class. In log odds it is normal over the right boxes of a
    class, by the upper half of these, and anything on boxes of nothing. Nothing tells these from objects that the model
    misses, of which there are usually more: such a box is never likelier wrong than right.
    """
    said = np.maximum(np.nan_to_num(boxes.score) * boxes.iou, np.nan_to_num(boxes.cover_score) * boxes.cover_iou)
    odds, score = logit(said, _LEAST_SAID), np.zeros(len(boxes))
    for one in np.unique(boxes.category):
        mine = boxes.category == one
        if ranks.n_true(int(one)) >= MIN_HITS:
            middle, high = np.quantile(odds[mine], [0.5, _ONE_DEVIATION])
            spread, most = max(float(high - middle), _LEAST_SPREAD), float(middle - logit(np.zeros(1), _LEAST_SAID)[0])
            below = np.maximum(middle - odds[mine], 0.0)
            usual = np.exp(-((below / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
            nothing = SPURIOUS_SHARE / max(most, spread)
            score[mine] = nothing / (3 * nothing + usual) * np.where(below > 0, 1.0, 0.0)
    score *= ranks.believed(boxes.category)
    untouched = boxes.outcome == o.UNTOUCHED
    return _listed("spurious", boxes, score, model_score=np.where(untouched, np.nan, boxes.score))


def _listed(kind: str, rows: BoxRows | DetectionRows, score: Floats, **stated: NDArray[Any]) -> dict[str, Any]:
    """Columns of the suspects that are worth a look; what is not stated is unknown."""
    none, nowhere = np.full(len(rows), o.NONE), np.full((len(rows), 4), np.nan)
    of_box = {"annotation_id": none, "annotation_row": none, "box": nowhere}
    if isinstance(rows, BoxRows):
        of_box = {"annotation_id": rows.annotation_id, "annotation_row": rows.annotation_row, "box": rows.box}
    columns = {
        "image_id": rows.image,
        "category_id": rows.category,
        "kind": np.full(len(rows), kind, object),
        "score": score,
        "suggested_category_id": none,
        "suggested_box": nowhere,
        "iou": rows.iou,
        "model_score": rows.score,
    }
    chosen = score >= LISTED
    return {name: values[chosen] for name, values in (columns | of_box | stated).items()}
