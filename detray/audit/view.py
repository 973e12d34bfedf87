"""A shard as the rules look at it: its columns as arrays, made once and shared."""

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import tables
from detray.tables import Shard

NO_ID = np.iinfo(np.int64).min
"""Stands for an id that is NULL."""


class View:
    """A shard's annotations (n of them) and images (m) as arrays. Nothing in it may be changed."""

    def __init__(self, shard: Shard) -> None:
        self.split = shard.split
        self.annotations = shard.annotations.combine_chunks()
        self.images = shard.images.combine_chunks()
        self.categories = shard.categories

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """``x, y, width, height`` ``[n, 4]``, px; NaN where not given."""
        return tables.boxes(self.annotations)

    @cached_property
    def has_box(self) -> NDArray[np.bool_]:
        """All four numbers are there, ``[n]``: rows without have their own finding and are not judged by geometry."""
        return np.asarray(np.isfinite(self.boxes).all(axis=1))

    @cached_property
    def is_crowd(self) -> NDArray[np.bool_]:
        return tables.numpy(self.annotations, "is_crowd")

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """The area that the source states, px²; NaN where not given."""
        return tables.numpy(self.annotations, "area").astype(np.float64, copy=False)

    @cached_property
    def annotation_ids(self) -> NDArray[np.int64]:
        return tables.numpy(self.annotations, "annotation_id", NO_ID)

    @cached_property
    def annotation_rows(self) -> NDArray[np.int64]:
        return tables.numpy(self.annotations, "annotation_row", -1)

    @cached_property
    def category_ids(self) -> NDArray[np.int64]:
        return tables.numpy(self.annotations, "category_id", NO_ID)

    @cached_property
    def class_ids(self) -> NDArray[np.int64]:
        """The ids that annotations carry, rising; NO_ID among them where one has none."""
        return np.sort(pc.unique(pa.array(self.category_ids)).to_numpy(zero_copy_only=False))

    @cached_property
    def class_codes(self) -> NDArray[np.int64]:
        """Place of each annotation's class in `class_ids`, ``[n]``."""
        return np.searchsorted(self.class_ids, self.category_ids)

    @cached_property
    def is_object(self) -> NDArray[np.bool_]:
        """A single object of a stated class with an area, ``[n]``: no crowd, all four numbers, sides above 0."""
        width, height = self.boxes[:, 2], self.boxes[:, 3]
        return (self.category_ids != NO_ID) & ~self.is_crowd & self.has_box & (width > 0) & (height > 0)

    @cached_property
    def log_sides(self) -> NDArray[np.float64]:
        """Logarithms to base 2 of width and height, ``[n, 2]``; NaN where not `is_object`."""
        return np.log2(np.where(self.is_object[:, None], self.boxes[:, 2:], np.nan))

    @cached_property
    def annotators(self) -> list[tuple[str, NDArray[np.int64]]]:
        """The people who are known to have drawn, by name, and the rows of each."""
        column = self.annotations["annotator"]
        if column.null_count == len(column):
            return []
        encoded = column.combine_chunks().dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        names = encoded.dictionary.to_pylist()
        return sorted((name, np.flatnonzero(codes == code)) for code, name in enumerate(names))

    @cached_property
    def annotator_codes(self) -> NDArray[np.int64]:
        """Place of each annotation's annotator in `annotators`, ``[n]``; -1 if unknown."""
        codes = np.full(self.annotations.num_rows, -1)
        for code, (_, rows) in enumerate(self.annotators):
            codes[rows] = code
        return codes

    @cached_property
    def overhang(self) -> NDArray[np.float64]:
        """How far each box reaches over its image's edge, px, ``[n]``; NaN where box or size is unknown."""
        x, y, width, height = self.boxes.T
        sizes = self.image_sizes
        return np.maximum.reduce([-x, -y, x + width - sizes[:, 0], y + height - sizes[:, 1]])

    @cached_property
    def is_outside(self) -> NDArray[np.bool_]:
        """No part of the box is within its image, ``[n]``; false where box or size is unknown."""
        x, y, width, height = self.boxes.T
        sizes = self.image_sizes
        beyond = (x >= sizes[:, 0]) | (y >= sizes[:, 1])
        return beyond | (((x + width <= 0) | (y + height <= 0)) & ~np.isnan(sizes[:, 0]))

    @cached_property
    def image_ids(self) -> NDArray[np.int64]:
        """Of the annotations, ``[n]``."""
        return tables.numpy(self.annotations, "image_id", NO_ID)

    @cached_property
    def own_image_ids(self) -> NDArray[np.int64]:
        """Of the images, ``[m]``."""
        return tables.numpy(self.images, "image_id", NO_ID)

    @cached_property
    def image_of(self) -> NDArray[np.int64]:
        """Position of each annotation's image, ``[n]``; -1 if there is none."""
        own = self.own_image_ids
        if not len(own):
            return np.full(len(self.image_ids), -1)
        order = np.lexsort((tables.numpy(self.images, "image_row", -1), own))
        place = np.searchsorted(own, self.image_ids, sorter=order).clip(max=len(own) - 1)
        found = order[place]
        return np.where((own[found] == self.image_ids) & (self.image_ids != NO_ID), found, -1)

    @cached_property
    def sizes(self) -> NDArray[np.float64]:
        """Stated width and height of each image, ``[m, 2]``, px; NaN where not stated or not positive."""
        sizes = np.stack(
            [tables.numpy(self.images, side).astype(np.float64, copy=False) for side in ("width", "height")], axis=1
        )
        return np.where(sizes > 0, sizes, np.nan)

    @cached_property
    def image_sizes(self) -> NDArray[np.float64]:
        """Stated width and height of each annotation's image, ``[n, 2]``, px; NaN where unknown."""
        found = np.full((len(self.image_of), 2), np.nan)
        known = self.image_of >= 0
        found[known] = self.sizes[self.image_of[known]]
        return found

    @cached_property
    def classes(self) -> pa.Table:
        """The classes that the annotations may name: category_id (unique) and category_name."""
        return distinct_classes(self.categories)

    @cached_property
    def has_known_class(self) -> NDArray[np.bool_]:
        """Each annotation's class is among `classes`, ``[n]``."""
        return np.isin(self.category_ids, tables.numpy(self.classes, "category_id"))

    def names(self, category_ids: pa.Array) -> pa.Array:
        """Names of classes; NULL for unknown ones."""
        return tables.lookup(category_ids, self.classes, "category_id", "category_name")

    def file_names(self, images: NDArray[np.int64]) -> pa.Array:
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
