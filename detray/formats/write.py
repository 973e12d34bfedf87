"""Ranges of images become shards of canonical images and annotations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec
import pyarrow as pa

from detray import tables
from detray.flow.step import Output, Step
from detray.formats import canonical
from detray.formats.classes import note_contradictions
from detray.formats.listing import listed_names
from detray.formats.number import ClassNumbers, DataSet
from detray.formats.splits import Range
from detray.store import ShardKey


@dataclass(frozen=True)
class Numbered:
    """A data set with numbers for what has none. ``first_images``: the first image_id, by range."""

    data: DataSet
    classes: ClassNumbers
    first_images: Mapping[int, int]


class Written(msgspec.Struct, frozen=True):
    """A shard.

    Attributes:
        shard: its images.
        defects: rows with defects.
        masks: annotations with a mask or a polygon.
        left: rows that were read and are not in it: repeats of an image, and what a list leaves out.
    """

    shard: ShardKey
    defects: int
    masks: int
    left: int


def write(work: Numbered, item: Range) -> Output[Written]:
    """A shard of the tables images and annotations."""
    split, run = work.data.splits[item.split], work.data.run
    source = split.source
    found = split.images(item.low, item.high), split.annotations(item.low, item.high)
    images, annotations = canonical.merge_images(found[0], split.by), canonical.merge_annotations(found[1], split.by)
    if split.by == "key":
        first = work.first_images[item.index]
        images, annotations = canonical.number_images(images, annotations, first)
        annotations = note_contradictions(annotations, work.classes.contradictions(source.split))
        annotations = canonical.number_classes(annotations, work.classes.ids[source.split])
        low = None if item.low is None else first
        high = None if item.high is None else first + images.num_rows
    else:
        low, high = cast("tuple[int | None, int | None]", (item.low, item.high))
        if source.list is not None:
            images, annotations = canonical.keep_listed(images, annotations, listed_names(source.list), split.by)
    left = sum(part.num_rows for parts in found for part in parts) - images.num_rows - annotations.num_rows
    paths, images = canonical.place_images(images, source)
    shard = ShardKey(item.index, source.split, low, high, images.num_rows, annotations.num_rows)
    written = {
        "images": canonical.canonical("images", images, run, source.split, path=paths),
        "annotations": canonical.canonical(
            "annotations",
            annotations,
            run,
            source.split,
            file_name=tables.lookup(annotations["image_id"], images, "image_id", "file_name"),
            category_name=_class_names(annotations, work.classes.names[source.split]),
        ),
    }
    defects = sum(table.num_rows - table["defects"].null_count for table in (images, annotations))
    masks = annotations.num_rows - annotations["segmentation"].null_count
    return Output(Written(shard, defects, masks, left), written)


def _class_names(annotations: pa.Table, names: Mapping[int, str]) -> pa.Array:
    """The name of each annotation's class; NULL where it has none."""
    listed = pa.table({"id": pa.array(names, pa.int64()), "name": pa.array(names.values(), pa.string())})
    return tables.lookup(annotations["category_id"], listed, "id", "name")


WRITE: Step[Numbered, Range, Written] = Step("write", write, Written, numbers_parts=True)
"""Each shard is one part of each table: an image may have any number of boxes. Plain tasks: with
nothing to read ahead a stream of Ray Data only starts later."""
