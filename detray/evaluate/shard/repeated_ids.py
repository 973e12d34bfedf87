"""Boxes as pycocotools takes them: of each id it keeps one annotation, the last, and loads it for each that has it.

``COCO.createIndex`` and ``COCO.loadAnns`` of pycocotools 2.0: where k annotations share an id, the last of them
stands k times in its image, and the others nowhere.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HOME = ("home_image_id", "home_row")
"""The image and the row of the annotation in whose place one stands."""
JUDGED = "is_judged"


def judged(annotations: pa.Table, images: pa.Table, categories: pa.Table) -> pa.Table:
    """Annotations with an id, and whether each is of a known image and class: pycocotools loads no others."""
    classes = categories.filter(pc.not_equal(categories["source"], "predictions"))["category_id"].unique()
    known = pc.and_(
        pc.is_in(annotations["image_id"], value_set=images["image_id"].unique()),
        pc.is_in(annotations["category_id"], value_set=classes),
    )
    rows = annotations.append_column(JUDGED, known)
    return rows.filter(pc.is_valid(rows["annotation_id"]))


def last_of_repeated(rows: pa.Table) -> pa.Table:
    """For each annotation whose id stands more than once in its split, what stands in its place.

    Args:
        rows: of `judged`, of all shards, with their split and source_file.

    Returns:
        the last annotation of that id, with the place `HOME` of the one it stands for, and whether that is judged.
    """
    rows = rows.combine_chunks()
    order = pc.sort_indices(
        rows, [(name, "ascending") for name in ("split", "annotation_id", "source_file", "annotation_row")]
    )
    rows = rows.take(order)
    split, number = (rows[name].combine_chunks() for name in ("split", "annotation_id"))
    n = rows.num_rows
    if not n:
        return _with_home(rows, rows)
    new = np.ones(n, np.bool_)
    same = pc.and_(pc.equal(split[1:], split[:-1]), pc.equal(number[1:], number[:-1]))
    new[1:] = ~same.to_numpy(zero_copy_only=False)
    start = np.flatnonzero(new)
    count = np.diff(np.append(start, n))
    last = np.repeat(start + count - 1, count)
    repeated = np.flatnonzero(np.repeat(count > 1, count))
    return _with_home(rows.take(pa.array(last[repeated])), rows.take(pa.array(repeated)))


def _with_home(rows: pa.Table, homes: pa.Table) -> pa.Table:
    place = rows.schema.get_field_index(JUDGED)
    rows = rows.set_column(place, JUDGED, homes[JUDGED])
    return rows.append_column(HOME[0], homes["image_id"]).append_column(HOME[1], homes["annotation_row"])


def as_pycocotools(annotations: pa.Table, images: pa.Table, repeated: pa.Table) -> pa.Table:
    """The annotations of some images with what stands in the place of those whose ids are ``repeated``."""
    if not repeated.num_rows:
        return annotations
    shared = pc.fill_null(pc.is_in(annotations["annotation_id"], value_set=repeated["annotation_id"].unique()), False)
    own = annotations.filter(pc.invert(shared))
    own = own.append_column(HOME[0], own["image_id"]).append_column(HOME[1], own["annotation_row"])
    here = repeated.filter(
        pc.and_(repeated[JUDGED], pc.is_in(repeated["image_id"], value_set=images["image_id"].unique()))
    )
    rows = pa.concat_tables([own, here.select(own.column_names)], promote_options="default")
    keys = [(name, "ascending") for name in ("image_id", *HOME)]
    return rows.take(pc.sort_indices(rows, keys)).select(annotations.column_names)


def rows_of_split(repeated: list[pa.Table], split: str) -> pa.Table | None:
    """Those of a split among what all buckets gave; None where there are none."""
    found = [part.filter(pc.equal(part["split"], split)) for part in repeated if part.num_rows]
    return pa.concat_tables(found) if found else None
