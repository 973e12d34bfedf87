"""Which annotation a finding, a label error or an edit is about, and how rows are replaced.

Ids can collide, so a row is named by its source file and its position there. A report that does not
know the file is taken by image and position, where that names one row.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import schema, tables
from detray.arrays import Floats, Ints, Rows

NOT_FOUND = -1


def locate(annotations: pa.Table, reports: pa.Table) -> Rows:
    """Position in ``annotations`` (rows of one split) of the row that each of ``reports`` names, shape ``[n]``.

    Both have the columns source_file, image_id and annotation_row. `NOT_FOUND` where no row fits,
    or several do.
    """
    found = np.full(reports.num_rows, NOT_FOUND, np.int64)
    knows_file = pc.is_valid(reports["source_file"]).to_numpy()
    for keys, asked in (
        (["source_file", "annotation_row"], np.flatnonzero(knows_file)),
        (["image_id", "annotation_row"], np.flatnonzero(~knows_file)),
    ):
        if not len(asked):
            continue
        rows = annotations.select(keys).append_column("at", pa.array(np.arange(annotations.num_rows)))
        rows = rows.filter(pc.is_in(rows["annotation_row"], value_set=reports["annotation_row"].combine_chunks()))
        single = rows.group_by(keys).aggregate([("at", "min"), ("at", "count")])
        single = single.filter(pc.equal(single["at_count"], 1))
        named = reports.select(keys).take(asked).append_column("asked", pa.array(asked))
        pairs = named.join(single, keys, join_type="inner")
        found[tables.numpy(pairs, "asked")] = tables.numpy(pairs, "at_min")
    return found


def replace_rows(table: pa.Table, at: Rows, rows: pa.Table) -> pa.Table:
    """``table`` with row ``at[k]`` replaced by row k of ``rows``; every other row stays as it is."""
    if not len(at):
        return table
    index = np.arange(table.num_rows)
    index[at] = table.num_rows + np.arange(len(at))
    return pa.concat_tables([table, rows]).take(index).combine_chunks()


def with_columns(table: pa.Table, **columns: pa.Array | NDArray) -> pa.Table:
    """``table`` with some of its columns set, their types and metadata kept."""
    for name, values in columns.items():
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    return table


def with_ids(annotations: pa.Table, first: int, *, anew: bool) -> pa.Table:
    """``annotations`` where row k gets the id ``first + k``, if it has none or all are numbered ``anew``."""
    fresh = pa.array(first + np.arange(annotations.num_rows))
    ids = fresh if anew else pc.coalesce(annotations["annotation_id"].combine_chunks(), fresh)
    return with_columns(annotations, annotation_id=ids)


def new_rows(
    run: str,
    split: str,
    ids: Ints,
    image_ids: Ints,
    category_ids: Ints,
    box: Floats,
) -> pa.Table:
    """Annotations that no source file holds; ``box`` is ``[k, 4]``, the other arrays ``[k]``."""
    columns = {
        "split": [split] * len(ids),
        "annotation_id": ids,
        "image_id": image_ids,
        "category_id": category_ids,
        **dict(zip(("x", "y", "width", "height"), box.T, strict=True)),
        "area": box[:, 2] * box[:, 3],
        "is_crowd": np.zeros(len(ids), bool),
        "is_difficult": np.zeros(len(ids), bool),
    }
    return schema.from_columns("annotations", columns, run=run)
