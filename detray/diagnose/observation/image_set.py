"""Images, boxes and detections of some images as arrays, in an order that does not depend on files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Floats, Ints
from detray.diagnose.observation.columns import Columns, join, take
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.kernel.order import find


@dataclass(frozen=True)
class Images(Columns):
    """``id`` int64 ``[n]``, rising; ``size`` float64 ``[n, 2]`` of width and height in pixels, NaN if unknown."""

    id: Ints
    size: Floats

    def size_of(self, image: Ints) -> Floats:
        """Width and height of each of ``image``, ``[m, 2]``; NaN where unknown."""
        if not len(self):
            return np.full((len(image), 2), np.nan)
        place = find(self.id, image)
        return np.where((place >= 0)[:, None], self.size[place], np.nan)


@dataclass(frozen=True)
class ImageSet:
    """What the diagnosis looks at: boxes sorted by image and source position, detections by image and rank.

    ``annotation_id`` and ``annotation_row`` int64 ``[n]`` name the boxes of ``gt``; -1: none.
    """

    images: Images
    gt: GroundTruth
    annotation_id: Ints
    annotation_row: Ints
    dt: Detections


def read_image_set(images: pa.Table, annotations: pa.Table, predictions: pa.Table) -> ImageSet:
    """The images of canonical tables of one split; rows without image, class or finite box are left out."""
    size = np.stack([tables.numpy(images, side).astype(np.float64) for side in ("width", "height")], axis=1)
    known = tables.numpy(images, "image_id", -1).astype(np.int64)
    known, first = np.unique(known, return_index=True)

    box = tables.boxes(annotations)
    image = tables.numpy(annotations, "image_id").astype(np.float64)
    category = tables.numpy(annotations, "category_id").astype(np.float64)
    row = tables.numpy(annotations, "annotation_row", -1).astype(np.int64)
    usable = np.isfinite(box).all(axis=1) & np.isfinite(image) & np.isfinite(category)
    keep = np.flatnonzero(usable)
    keep = keep[np.lexsort((row[keep], image[keep]))]
    area = tables.numpy(annotations, "area").astype(np.float64)
    with np.errstate(over="ignore"):  # boxes near the largest float
        area = np.where(np.isfinite(area), area, box[:, 2] * box[:, 3])
    gt = GroundTruth(
        _ids(annotations, "image_id")[keep],
        _ids(annotations, "category_id")[keep],
        box[keep],
        area[keep],
        tables.numpy(annotations, "is_crowd", False).astype(np.bool_)[keep],
    )
    return ImageSet(
        Images(known, size[first]),
        gt,
        _ids(annotations, "annotation_id")[keep],
        row[keep],
        read_detections(predictions),
    )


def read_detections(predictions: pa.Table) -> Detections:
    """The detections of a table with the columns of predictions, by image and rank; rows without image,
    class, finite box or score are left out."""
    box = tables.boxes(predictions)
    score = tables.numpy(predictions, "score").astype(np.float64)
    named = [tables.numpy(predictions, name).astype(np.float64) for name in ("image_id", "category_id")]
    keep = np.isfinite(box).all(axis=1) & np.isfinite(score) & np.isfinite(named).all(axis=0)
    dt = Detections(
        _ids(predictions, "image_id")[keep],
        _ids(predictions, "category_id")[keep],
        box[keep],
        score[keep],
        tables.numpy(predictions, "rank", 0).astype(np.int64)[keep],
    )
    return sort_detections(dt)


def sort_detections(dt: Detections) -> Detections:
    """By image, then rank."""
    if (np.diff(dt.image) >= 0).all() and (np.diff(dt.rank)[np.diff(dt.image) == 0] >= 0).all():
        return dt
    return take(dt, np.lexsort((dt.rank, dt.image)))


def _ids(table: pa.Table, column: str) -> Ints:
    return tables.numpy(table, column, -1).astype(np.int64)


def subset(image_set: ImageSet, images: Ints) -> ImageSet:
    """What is in some images."""
    own = np.isin(image_set.gt.image, images)
    return ImageSet(
        take(image_set.images, np.isin(image_set.images.id, images)),
        take(image_set.gt, own),
        image_set.annotation_id[own],
        image_set.annotation_row[own],
        take(image_set.dt, np.isin(image_set.dt.image, images)),
    )


def joined(parts: Sequence[ImageSet]) -> ImageSet:
    """All images of ``parts``, by rising id, of which there is at least one."""
    return ImageSet(
        join([part.images for part in parts]),
        join([part.gt for part in parts]),
        np.concatenate([part.annotation_id for part in parts]),
        np.concatenate([part.annotation_row for part in parts]),
        join([part.dt for part in parts]),
    )
