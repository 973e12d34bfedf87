"""Boxes that the detections contradict, ranked by how sure the model is for their class.

Scores are compared within a class, as quantiles among its true detections: raw scores, or a scale
by the class's AP as in ObjectLab (Tkachenko et al., 2023), would leave classes with AP near 0 out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from detray import schema
from detray.diagnose import observe as o
from detray.diagnose import thresholds as t
from detray.diagnose.columns import take
from detray.diagnose.observe import Boxes, Counts, Found, Tally, first_of_each_place, score_bin
from detray.evaluate.kernel import Floats, Ints

SIDES = ("x", "y", "width", "height")


@dataclass(frozen=True)
class Ranks:
    """The place of scores among the true detections of their class."""

    bins: Mapping[int, tuple[Ints, Floats]]
    """By class: score bins, rising, and the share of the true detections at or below each."""
    pooled: tuple[Ints, Floats]
    """The same for all classes together."""

    @classmethod
    def of(cls, tally: Tally) -> "Ranks":
        own: dict[int, Counts] = {}
        every: Counts = {}
        for (category, number), n in tally.true_scores.items():
            own.setdefault(category, {})[number] = n
            every[number] = every.get(number, 0) + n
        known = {k: _shares(scores) for k, scores in own.items() if sum(scores.values()) >= t.MIN_HITS}
        return cls(known, _shares(every))

    def place(self, category: Ints, score: Floats) -> Floats:
        """The share of each class's true detections that score at most as high; 0 where too few are true."""
        result = np.zeros(len(score))
        numbers = score_bin(np.nan_to_num(score))
        for one in np.unique(category):
            if int(one) in self.bins:
                rows = category == one
                bins, shares = self.bins[int(one)]
                result[rows] = np.append(0.0, shares)[np.searchsorted(bins, numbers[rows], side="right")]
        return result

    def place_among_all(self, score: Floats) -> Floats:
        """The share of all classes' true detections that score at most as high."""
        bins, shares = self.pooled
        return np.append(0.0, shares)[np.searchsorted(bins, score_bin(np.nan_to_num(score)), side="right")]


def _shares(scores: Counts) -> tuple[Ints, Floats]:
    bins = np.array(sorted(scores))
    counts = np.cumsum([scores[int(number)] for number in bins])
    return bins, counts / max(counts[-1:].sum(), 1)


def label_errors(
    boxes: Boxes, found: Found, tally: Tally, names: Mapping[int, str], *, run: str, split: str, model: str
) -> pa.Table:
    """The table ``label_errors`` of some classes; file names are left out.

    Args:
        boxes, found: rows of these classes, without mapping faults.
        tally: of the whole split.
        names: class names.
        run, split, model: what the rows are marked with.
    """
    ranks = Ranks.of(tally)
    parts = [
        _missing(found, ranks),
        _wrong_class(boxes, ranks),
        _bad_box(boxes, ranks),
        _spurious(boxes, tally),
    ]
    columns: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n = len(columns["score"])
    order = np.lexsort((columns["annotation_row"], columns["image_id"], -columns["score"], columns["category_id"]))
    columns = {name: values[order] for name, values in columns.items()}
    columns["evidence"] = [
        f'{{"iou": {iou:.3f}, "score": {score:.4f}}}' if np.isfinite(score) else None
        for iou, score in zip(columns.pop("iou").tolist(), columns.pop("model_score").tolist(), strict=True)
    ]
    for name in ("category", "suggested_category"):
        columns[f"{name}_name"] = [names.get(k) for k in columns[f"{name}_id"].tolist()]
    for name in ("annotation_id", "annotation_row", "suggested_category_id"):
        values = columns[name]
        columns[name] = pa.array(values, pa.int64(), mask=values == o.NONE)
    return schema.from_columns("label_errors", {"model": [model] * n, "split": [split] * n, **columns}, run=run)


def _missing(found: Found, ranks: Ranks) -> dict[str, Any]:
    """Detections on background, one a place."""
    rows = take(found, found.kept & (found.outcome == o.BACKGROUND))
    score = ranks.place(rows.category, rows.score)
    rows, score = take(rows, score >= t.SUSPECT), score[score >= t.SUSPECT]
    first = first_of_each_place(rows)
    rows, score = take(rows, first), score[first]
    none = np.full(len(rows), o.NONE)
    return _columns(
        "missing",
        rows.image,
        none,
        none,
        rows.category,
        score,
        np.full((len(rows), 4), np.nan),
        rows.category,
        rows.box,
        rows.iou,
        rows.score,
    )


def _wrong_class(boxes: Boxes, ranks: Ranks) -> dict[str, Any]:
    """Boxes that a sure detection of another class covers, and no detection of their own as sure.

    A model that reports every class with low scores everywhere hits such a box with its own class
    too. A class that hardly works accuses no other: its score must be high among all true ones too.
    """
    rows = take(boxes, boxes.cover_category != o.NONE)
    own = np.where(rows.outcome == o.HIT, ranks.place(rows.category, rows.score), 0.0)
    sure = np.minimum(ranks.place(rows.cover_category, rows.cover_score), ranks.place_among_all(rows.cover_score))
    score = sure * (1 - own)
    rows, score = take(rows, score >= t.SUSPECT), score[score >= t.SUSPECT]
    return _columns(
        "wrong_class",
        rows.image,
        rows.annotation_id,
        rows.annotation_row,
        rows.category,
        score,
        rows.box,
        rows.cover_category,
        np.full((len(rows), 4), np.nan),
        rows.cover_iou,
        rows.cover_score,
    )


def _bad_box(boxes: Boxes, ranks: Ranks) -> dict[str, Any]:
    """Boxes that a confident detection of their class meets far less tightly than usual."""
    near = (boxes.detection != o.NONE) & (boxes.outcome != o.COVERED) & (boxes.iou < t.TIGHT_IOU)
    rows = take(boxes, near)
    usual = np.ones(len(rows))
    for one in np.unique(rows.category):
        tight = np.sort(boxes.iou[(boxes.category == one) & (boxes.outcome == o.HIT)])
        mine = rows.category == one
        usual[mine] = 1 - np.searchsorted(tight, rows.iou[mine], side="right") / max(len(tight), 1)
    score = ranks.place(rows.category, rows.score) * usual
    rows, score = take(rows, score >= t.SUSPECT), score[score >= t.SUSPECT]
    return _columns(
        "bad_box",
        rows.image,
        rows.annotation_id,
        rows.annotation_row,
        rows.category,
        score,
        rows.box,
        np.full(len(rows), o.NONE),
        rows.near_box,
        rows.iou,
        rows.score,
    )


def _spurious(boxes: Boxes, tally: Tally) -> dict[str, Any]:
    """Boxes that no detection touches, the surer the likelier a true object of the class is found.

    A box without detections is weaker evidence than one that a detection contradicts: most are
    objects that the model misses.
    """
    rows = take(boxes, boxes.outcome == o.UNTOUCHED)
    recall = {k: tally.hits.get(k, 0) / n for k, n in tally.boxes.items() if n}
    score = t.SPURIOUS_CEILING * np.array([recall.get(k, 0.0) for k in rows.category.tolist()])
    rows, score = take(rows, score >= t.SUSPECT), score[score >= t.SUSPECT]
    return _columns(
        "spurious",
        rows.image,
        rows.annotation_id,
        rows.annotation_row,
        rows.category,
        score,
        rows.box,
        np.full(len(rows), o.NONE),
        np.full((len(rows), 4), np.nan),
        rows.iou,
        np.full(len(rows), np.nan),
    )


def _columns(
    kind: str,
    image: Ints,
    annotation_id: Ints,
    annotation_row: Ints,
    category: Ints,
    score: Floats,
    box: Floats,
    suggested: Ints,
    suggested_box: Floats,
    iou: Floats,
    model_score: Floats,
) -> dict[str, Any]:
    return {
        "image_id": image,
        "annotation_id": annotation_id,
        "annotation_row": annotation_row,
        "category_id": category,
        "kind": np.full(len(image), kind, object),
        "score": score,
        **{side: box[:, place] for place, side in enumerate(SIDES)},
        "suggested_category_id": suggested,
        **{f"suggested_{side}": suggested_box[:, place] for place, side in enumerate(SIDES)},
        "iou": iou,
        "model_score": model_score,
    }
