"""What the rules on classes, splits and the data set look at: merged tallies, class by class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from detray.audit import tally
from detray.audit.tally import Tally
from detray.audit.view import NO_ID, View, own_classes
from detray.tables import class_names


@dataclass(frozen=True)
class Summary:
    """The data set in counts: each split's tally, and its classes as the table ``categories`` lists them."""

    tallies: Mapping[str, Tally]
    categories: pa.Table

    @property
    def splits(self) -> list[str]:
        return sorted(self.tallies)

    @cached_property
    def classes(self) -> dict[str, dict[int, str]]:
        """Name by id of each split's own classes."""
        split = self.categories["split"].to_numpy()
        return {name: class_names(own_classes(self.categories.filter(pa.array(split == name)))) for name in self.splits}

    def each_class(self) -> Iterator[tuple[str, int, str]]:
        """Split, category_id and name of each class of each split."""
        for split in self.splits:
            for category_id, name in self.classes[split].items():
                yield split, category_id, name

    @cached_property
    def boxes(self) -> dict[str, dict[int, int]]:
        """Boxes by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("boxes") for split in self.splits}

    @cached_property
    def crowds(self) -> dict[str, dict[int, int]]:
        """Crowd boxes by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("crowd") for split in self.splits}

    @cached_property
    def images(self) -> dict[str, dict[int, int]]:
        """Images that hold the class, by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("boxes_per_image") for split in self.splits}


def measure(view: View) -> pa.Table:
    """The tally of one shard.

    Measures by class: ``boxes``, ``crowd``; ``boxes_per_image`` (key: boxes of the class in an image
    that holds it); ``area`` (key 0 small, 1 medium, 2 large) of boxes that are no crowd; ``size`` and
    ``aspect`` (octave bins) of those with sides above 0. Without a class: ``split_images``.
    """
    classes = view.category_ids
    known = classes != NO_ID
    single = known & ~view.is_crowd
    width, height = view.boxes[:, 2], view.boxes[:, 3]
    solid = single & view.has_box & (width > 0) & (height > 0)
    area = view.areas
    with_area = single & np.isfinite(area)
    return pa.concat_tables(
        [
            tally.count("split_images", None, np.zeros(view.images.num_rows, np.int64)),
            tally.count("boxes", classes[known]),
            tally.count("crowd", classes[known & view.is_crowd]),
            _per_image(view, known),
            tally.count("area", classes[with_area], np.digitize(area[with_area], [32.0**2, 96.0**2], right=True)),
            tally.count("size", classes[solid], tally.octave_bins(np.sqrt(width[solid] * height[solid]))),
            tally.count("aspect", classes[solid], tally.octave_bins(width[solid] / height[solid])),
        ]
    )


def _per_image(view: View, known: np.ndarray) -> pa.Table:
    pairs = pa.table({"image": view.image_ids[known], "category": view.category_ids[known]})
    counted = pairs.group_by(["image", "category"]).aggregate([([], "count_all")])
    return tally.count("boxes_per_image", counted["category"].to_numpy(), counted["count_all"].to_numpy())
