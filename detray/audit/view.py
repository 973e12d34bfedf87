"""A shard as the rules look at it: its columns as arrays, made once and shared."""

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Flags, Floats, Hashes, Ints
from detray.audit.text import hash_texts
from detray.boxes import OVER_TOLERANCE, exchange_corners
from detray.tables import Shard

NO_ID = np.iinfo(np.int64).min
"""Stands for an id that is NULL."""

MIN_NEIGHBOURS = 8
"""Objects of one class in an image from which they say how large one of them should be."""

MAX_FILES = 64
"""Source files of a split up to which each is judged by itself; beyond, a file is a picture's or a part at random."""

ANNOTATION_COLUMNS = (
    "annotation_id",
    "annotation_row",
    "image_id",
    "category_id",
    *("x", "y", "width", "height"),
    "area",
    "is_crowd",
    "annotator",
    "source_file",
    "defects",
)
"""What the audit reads of an annotation; its mask and further fields it does not."""


class View:
    """A shard's annotations (n of them) and images (m) as arrays. Their contents may not be changed."""

    def __init__(self, shard: Shard) -> None:
        self.split = shard.split
        self.annotations = shard.annotations.combine_chunks()
        self.images = shard.images.combine_chunks()
        self.categories = shard.categories
        self.pairs: dict[float, tuple[Ints, Ints, Floats]] = {}  # of coinciding boxes, by least IoU

    @cached_property
    def x(self) -> Floats:
        """Left edge of each box, px, ``[n]``; NaN where not given."""
        return self._side("x")

    @cached_property
    def y(self) -> Floats:
        """Top edge, as `x`."""
        return self._side("y")

    @cached_property
    def width(self) -> Floats:
        """Width of each box, as `x`."""
        return self._side("width")

    @cached_property
    def height(self) -> Floats:
        """Height of each box, as `x`."""
        return self._side("height")

    def _side(self, name: str) -> Floats:
        return tables.numpy(self.annotations, name).astype(np.float64, copy=False)

    @cached_property
    def shorter_side(self) -> Floats:
        """The smaller of width and height, px, ``[n]``; NaN where one is not given."""
        return np.minimum(self.width, self.height)

    @cached_property
    def boxes(self) -> Floats:
        """``x, y, width, height`` ``[n, 4]``, px; NaN where not given."""
        return np.stack([self.x, self.y, self.width, self.height], axis=1)

    @cached_property
    def has_box(self) -> Flags:
        """All four numbers are there, ``[n]``: rows without have their own finding and are not judged by geometry."""
        return np.isfinite(self.x) & np.isfinite(self.y) & np.isfinite(self.width) & np.isfinite(self.height)

    @cached_property
    def is_crowd(self) -> Flags:
        """Whether each annotation is a crowd region, ``[n]``."""
        return tables.numpy(self.annotations, "is_crowd")

    @cached_property
    def areas(self) -> Floats:
        """The area that the source states, px²; NaN where not given."""
        return tables.numpy(self.annotations, "area").astype(np.float64, copy=False)

    @cached_property
    def annotation_ids(self) -> Ints:
        """The ids that the source states, ``[n]``; NO_ID where there is none."""
        return tables.numpy(self.annotations, "annotation_id", NO_ID)

    @cached_property
    def annotation_rows(self) -> Ints:
        """Place of each annotation in its source, ``[n]``; -1 where unknown."""
        return tables.numpy(self.annotations, "annotation_row", -1)

    @cached_property
    def category_ids(self) -> Ints:
        """Each annotation's class, ``[n]``; NO_ID where there is none."""
        return tables.numpy(self.annotations, "category_id", NO_ID)

    @cached_property
    def _coded(self) -> tuple[Ints, Ints]:
        return distinct(self.category_ids)

    @property
    def class_ids(self) -> Ints:
        """The ids that annotations carry, rising; NO_ID among them where one has none."""
        return self._coded[0]

    @property
    def class_codes(self) -> Ints:
        """Place of each annotation's class in `class_ids`, ``[n]``."""
        return self._coded[1]

    @cached_property
    def is_object(self) -> Flags:
        """A single object of a stated class with an area, ``[n]``: no crowd, all four numbers, sides above 0."""
        single = (self.category_ids != NO_ID) & ~self.is_crowd
        return single & self.has_box & (self.shorter_side > 0)

    @cached_property
    def is_exchanged(self) -> Flags:
        """Minimum and maximum are exchanged, and the other order gives a box with an area in its image, ``[n]``."""
        found = self.has_box & (self.shorter_side < 0)
        rows = np.flatnonzero(found)
        mended = exchange_corners(self.boxes[rows]) if len(rows) else np.zeros((0, 4))
        over = np.maximum(-mended[:, :2], mended[:, :2] + mended[:, 2:] - self.image_sizes(rows))
        # of a picture whose size is unknown nothing can be said against it
        found[rows] = (mended[:, 2:] > 0).all(axis=1) & ~(over > OVER_TOLERANCE).any(axis=1)
        return found

    @cached_property
    def log_width(self) -> Floats:
        """Logarithm to base 2 of the width, ``[n]``; NaN where not `is_object`."""
        return np.log2(np.where(self.is_object, self.width, np.nan))

    @cached_property
    def log_height(self) -> Floats:
        """As `log_width`."""
        return np.log2(np.where(self.is_object, self.height, np.nan))

    @cached_property
    def cells(self) -> Ints:
        """A number for each pair of image and class, ``[n]``: image position times number of classes plus class code.

        Negative where there is no image.
        """
        return self.image_of * len(self.class_ids) + self.class_codes

    @cached_property
    def drawn_cells(self) -> Ints:
        """As `cells`, and apart for each annotator, ``[n]``: what others drew are the same objects once more."""
        if not self.annotators:
            return self.cells
        return self.cells * (len(self.annotators) + 1) + self.annotator_codes + 1

    @cached_property
    def cell_sizes(self) -> Ints:
        """How many objects (`is_object`) share each annotation's image, class and annotator, ``[n]``.

        0 for what is no object.
        """
        mine = self.is_object & (self.image_of >= 0)
        sizes = np.zeros(len(mine), np.int64)
        _, back = np.unique(self.drawn_cells[mine], return_inverse=True)
        sizes[mine] = np.bincount(back)[back]
        return sizes

    @cached_property
    def beside(self) -> Floats:
        """Each object's side against the median of those of its image, class and annotator, octaves, ``[n]``.

        NaN for what is no object, and where fewer than `MIN_NEIGHBOURS` objects stand together.
        """
        found = np.full(self.annotations.num_rows, np.nan)
        rows = np.flatnonzero(self.cell_sizes >= MIN_NEIGHBOURS)
        size, cells = (self.log_width[rows] + self.log_height[rows]) / 2, self.drawn_cells[rows]
        order = np.lexsort((size, cells))
        n = np.unique(cells[order], return_counts=True)[1]
        start = np.cumsum(n) - n
        ordered = size[order]
        middle = (ordered[start + (n - 1) // 2] + ordered[start + n // 2]) / 2
        found[rows[order]] = ordered - np.repeat(middle, n)
        return found

    @cached_property
    def annotators(self) -> list[tuple[str, Ints]]:
        """The people who are known to have drawn, by name, and the rows of each."""
        return _rows_by(self.annotations["annotator"].combine_chunks())

    @cached_property
    def source_files(self) -> list[tuple[str, Ints]]:
        """The files that the annotations come from, by path, and the rows of each; none if more than `MAX_FILES`."""
        return _rows_by(self.annotations["source_file"].combine_chunks(), MAX_FILES)

    @cached_property
    def annotator_codes(self) -> Ints:
        """Place of each annotation's annotator in `annotators`, ``[n]``; -1 if unknown."""
        codes = np.full(self.annotations.num_rows, -1)
        for code, (_, rows) in enumerate(self.annotators):
            codes[rows] = code
        return codes

    @cached_property
    def overhang(self) -> Floats:
        """How far each box reaches over its image's edge, px, ``[n]``; NaN where box or size is unknown."""
        right = self.x + self.width - self.image_width
        bottom = self.y + self.height - self.image_height
        return np.maximum(np.maximum(-self.x, -self.y), np.maximum(right, bottom))

    @cached_property
    def is_outside(self) -> Flags:
        """No part of the box is within its image, ``[n]``; false where box or size is unknown."""
        before = (self.x + self.width <= 0) | (self.y + self.height <= 0)
        beyond = (self.x >= self.image_width) | (self.y >= self.image_height)
        return beyond | (before & ~np.isnan(self.image_width))

    @cached_property
    def image_ids(self) -> Ints:
        """Of the annotations, ``[n]``."""
        return tables.numpy(self.annotations, "image_id", NO_ID)

    @cached_property
    def own_image_ids(self) -> Ints:
        """Of the images, ``[m]``."""
        return tables.numpy(self.images, "image_id", NO_ID)

    @cached_property
    def image_of(self) -> Ints:
        """Position of each annotation's image, ``[n]``; -1 if there is none."""
        own, ids = self.own_image_ids, self.image_ids
        if not len(own) or not len(ids):
            return np.full(len(ids), -1)
        order = np.lexsort((tables.numpy(self.images, "image_row", -1), own))
        ordered = own[order]
        # annotations of an image mostly follow each other: each run is looked up once
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        heads = ids[starts]
        place = np.searchsorted(ordered, heads).clip(max=len(own) - 1)
        found = np.where((ordered[place] == heads) & (heads != NO_ID), order[place], -1)
        return np.repeat(found, np.diff(np.append(starts, len(ids))))

    @cached_property
    def sizes(self) -> Floats:
        """Stated width and height of each image, ``[m, 2]``, px; NaN where not stated or not positive."""
        sizes = np.stack(
            [tables.numpy(self.images, side).astype(np.float64, copy=False) for side in ("width", "height")], axis=1
        )
        return np.where(sizes > 0, sizes, np.nan)

    @cached_property
    def image_width(self) -> Floats:
        """Stated width of each annotation's image, px, ``[n]``; NaN where unknown."""
        return np.append(self.sizes[:, 0], np.nan)[self.image_of]  # -1 takes the last

    @cached_property
    def image_height(self) -> Floats:
        """As `image_width`."""
        return np.append(self.sizes[:, 1], np.nan)[self.image_of]

    @cached_property
    def reaches_far(self) -> Flags:
        """Boxes of each image reach over its edge by more than a twentieth of a side and 8 px, ``[m]``."""
        far = self.overhang > np.maximum(8.0, np.maximum(self.image_width, self.image_height) / 20)
        found = np.zeros(self.images.num_rows, bool)
        found[self.image_of[far]] = True  # a box without an image has no overhang
        return found

    @cached_property
    def is_turned(self) -> Flags:
        """Such images all of whose boxes lie within the image with its sides exchanged, ``[m]``."""
        found = self.reaches_far.copy()
        if found.any():
            over = np.maximum(self.x + self.width - self.image_height, self.y + self.height - self.image_width)
            over = np.maximum(over, np.maximum(-self.x, -self.y))
            found[self.image_of[(over > OVER_TOLERANCE) & (self.image_of >= 0)]] = False
        return found

    def image_sizes(self, rows: Ints) -> Floats:
        """Stated width and height of the images of some annotations, px, ``[k, 2]``; NaN where unknown."""
        return np.stack([self.image_width[rows], self.image_height[rows]], axis=1)

    @cached_property
    def classes(self) -> pa.Table:
        """The classes that the annotations may name: category_id (unique) and category_name."""
        return distinct_classes(self.categories)

    @cached_property
    def has_known_class(self) -> Flags:
        """Each annotation's class is on the list of classes, or there is none and the boxes name it, ``[n]``."""
        listed = tables.listed_classes(self.categories)
        known = listed if listed.num_rows else self.classes
        return np.isin(self.class_ids, tables.numpy(known, "category_id"))[self.class_codes]

    def names(self, category_ids: pa.Array) -> pa.Array:
        """Names of classes; NULL for unknown ones."""
        return tables.lookup(category_ids, self.classes, "category_id", "category_name")

    @cached_property
    def file_name_hashes(self) -> Hashes:
        """A key of each image's file name, ``[m]``."""
        return hash_texts(self.images["file_name"])

    def file_names(self, images: Ints) -> pa.Array:
        """File names of images given by position; NULL for -1."""
        column = self.images["file_name"].combine_chunks()
        return column.take(pa.array(images, mask=images < 0))


def distinct_classes(categories: pa.Table) -> pa.Table:
    """The classes of a split, one row an id, in the order of ids: category_id, category_name."""
    found = tables.own_classes(categories).select(["category_id", "category_name"])
    ids = tables.numpy(found, "category_id")
    first = np.ones(len(ids), bool)
    first[1:] = ids[1:] != ids[:-1]
    return found.filter(pa.array(first)).combine_chunks()


def _rows_by(column: pa.Array, most: int | None = None) -> list[tuple[str, Ints]]:
    """The distinct texts of a column, sorted, and the rows of each; none if they are more than ``most``."""
    if column.null_count == len(column):
        return []
    encoded = column.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    if most is not None and len(names) > most:
        return []
    codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(names) + 1)))
    return sorted(zip(names, rows[: len(names)], strict=True), key=lambda one: one[0])


_TABLE_SPAN = 1 << 22
"""Range of ids up to which they are looked up in a table rather than sorted."""


def distinct(ids: Ints) -> tuple[Ints, Ints]:
    """The distinct ids, rising, and the place of each of ``ids`` among them."""
    known = ids[ids != NO_ID] if len(ids) and ids.min() == NO_ID else ids
    if not len(known) or int(known.max()) - int(known.min()) > _TABLE_SPAN:
        distinct, codes = np.unique(ids, return_inverse=True)
        return distinct, codes
    low = int(known.min())
    present = np.zeros(int(known.max()) - low + 1, bool)
    present[known - low] = True
    distinct = np.flatnonzero(present) + low
    place = np.cumsum(present) - 1
    if len(known) == len(ids):
        return distinct, place[ids - low]
    codes = np.where(ids == NO_ID, 0, place[np.where(ids == NO_ID, 0, ids - low)] + 1)
    return np.append(NO_ID, distinct), codes
