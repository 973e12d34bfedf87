"""Which boxes the detections of some images hit, and under which class ids."""

from collections import Counter
from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.boxes import pairwise_iou

HIT_IOU = 0.5

BOX_COLUMNS = ("image_id", "category_id", "x", "y", "width", "height", "is_crowd")


class Hits(msgspec.Struct, frozen=True):
    """What detections hit.

    ``boxes``: that were looked at, crowds left out; ``votes``: class of the data, class id of the detections, and
    how many boxes of that class have as their best detection, of those that overlap them by an IoU of .5, one of that
    id; ``detections``: how many carry each id.
    """

    boxes: int = 0
    votes: list[tuple[int, int, int]] = []
    detections: dict[int, int] = {}

    def of(self, meant: Callable[[int], int | None]) -> int:
        """Boxes that are hit by a detection of their class where each id means what ``meant`` says."""
        return sum(n for target, source, n in self.votes if meant(source) == target)

    @property
    def any_class(self) -> int:
        """Boxes that are hit by a detection of whatever class."""
        return sum(n for _, _, n in self.votes)

    @staticmethod
    def sum(parts: "list[Hits]") -> "Hits":
        """Of all images of some parts."""
        votes: Counter[tuple[int, int]] = Counter()
        detections: Counter[int] = Counter()
        for part in parts:
            votes.update({(target, source): n for target, source, n in part.votes})
            detections.update(part.detections)
        counted = [(target, source, n) for (target, source), n in sorted(votes.items())]
        return Hits(sum(part.boxes for part in parts), counted, dict(sorted(detections.items())))


def count_hits(boxes: pa.Table, found: pa.Table) -> Hits:
    """What the detections ``found`` of some images hit of their annotations ``boxes``.

    Args:
        boxes: with `BOX_COLUMNS`.
        found: with image_id, category_id, x, y, width, height and score; rows without one of these do not count.
    """
    images = pc.unique(boxes["image_id"].drop_null())
    found = _whole(found.filter(pc.is_in(found["image_id"], value_set=images)), ("score",))
    boxes = _whole(boxes.filter(pc.invert(pc.fill_null(boxes["is_crowd"], False))))
    votes: Counter[tuple[int, int]] = Counter()
    image, scores = found["image_id"].to_numpy(), found["score"].to_numpy()
    sources, placed = found["category_id"].to_numpy(), tables.boxes(found)
    owner, targets, given = boxes["image_id"].to_numpy(), boxes["category_id"].to_numpy(), tables.boxes(boxes)
    for one in np.unique(owner).tolist():
        rows, own = np.flatnonzero(image == one), np.flatnonzero(owner == one)
        if len(rows):
            near = pairwise_iou(placed[rows], given[own]) >= HIT_IOU
            best = np.where(near, scores[rows, None], -np.inf).argmax(axis=0)
            hit = near.any(axis=0)
            votes.update(zip(targets[own[hit]].tolist(), sources[rows[best[hit]]].tolist(), strict=True))
    numbers, counts = np.unique(sources, return_counts=True)
    return Hits(
        boxes.num_rows,
        [(target, source, n) for (target, source), n in sorted(votes.items())],
        dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
    )


def _whole(rows: pa.Table, further: tuple[str, ...] = ()) -> pa.Table:
    """Rows with an image, a class, and a finite box and ``further`` columns."""
    kept = pc.and_(pc.is_valid(rows["image_id"]), pc.is_valid(rows["category_id"]))
    for side in ("x", "y", "width", "height", *further):
        kept = pc.and_(kept, pc.fill_null(pc.is_finite(rows[side]), False))
    return rows.filter(kept)
