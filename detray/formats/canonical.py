"""From the chunks that readers hand over to the canonical tables, range of images by range of images.

The key of a row is its image_id, or where a format knows only names its ``key``. Chunks are sorted
by key once; a range is then a slice of each, and ranges are cut at quantiles of sampled keys, so
that no one ever holds all rows or all keys.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.formats import chunk
from detray.formats.chunk import Chunk
from detray.formats.source import Source, locate
from detray.formats.values import Defects

SHARD_ROWS = 128 * 1024
"""Images and annotations a shard holds on average: decided by the data alone, whatever the machine."""
BATCH_ROWS = 4096
"""Rows of a chunk that are read at once where only a range of them is wanted."""
_SAMPLES = 256

_UPWARD = r"^[/\\]|(^|[/\\])\.\.([/\\]|$)|\x00"
"""What a name must have to lead out of a folder."""

Key = int | str


class Sample(msgspec.Struct, frozen=True):
    """Some keys of many rows, evenly spread, and how many rows each stands for."""

    keys: list[Key]
    weight: float


def key_column(has_ids: bool) -> str:
    """The column that orders the chunks of a format."""
    return "image_id" if has_ids else "key"


def sort_chunk(found: Chunk, by: str) -> Chunk:
    """The chunk with its rows in the order of ``by``, NULL last, else as they came."""
    return replace(
        found, images=_sorted(_filled(found.images), by), annotations=_sorted(_filled(found.annotations), by)
    )


def _filled(table: pa.Table) -> pa.Table:
    """The columns that hold a value; the others come back when chunks are merged."""
    return table.select([name for name in table.column_names if table[name].null_count < table.num_rows])


def _merged(empty: pa.Table, tables: Iterable[pa.Table], by: str) -> pa.Table:
    """Tables with some columns of ``empty`` as one table with all of them, stably sorted."""
    whole = pa.concat_tables([empty, *tables], promote_options="default")
    return _sorted(whole.unify_dictionaries(), by)


def _sorted(table: pa.Table, by: str) -> pa.Table:
    if by not in table.column_names:
        return table
    column = table[by].combine_chunks()
    if column.null_count == 0 and pa.types.is_integer(column.type):
        keys = column.to_numpy()
        if bool(np.all(keys[:-1] <= keys[1:])):
            return table
        return table.take(np.argsort(keys, kind="stable"))
    if column.null_count == 0 and pc.all(pc.less_equal(column[:-1], column[1:])).as_py() is not False:
        return table
    return table.take(pc.array_sort_indices(column, null_placement="at_end"))  # a stable sort


def sample(table: pa.Table, by: str) -> Sample:
    """A sample of the keys of a sorted table."""
    if by not in table.column_names:
        return Sample([], 0.0)
    rows = table.num_rows - table[by].null_count
    step = max(1, rows // _SAMPLES)
    keys = table[by].slice(0, rows).take(np.arange(step // 2, rows, step)).to_pylist() if rows else []
    return Sample(keys, rows / len(keys) if keys else 0.0)


def boundaries(samples: Sequence[Sample], shards: int) -> list[Key]:
    """At most ``shards - 1`` keys that cut the rows behind ``samples`` into ranges of about the same size."""
    weighted = sorted((key, sample.weight) for sample in samples for key in sample.keys)
    total = sum(weight for _, weight in weighted)
    reached = list(accumulate(weight for _, weight in weighted))
    cuts = [weighted[bisect_left(reached, total * number / shards)][0] for number in range(1, shards)] if total else []
    return sorted(set(cuts))


def batch_keys(table: pa.Table, by: str) -> list[Key]:
    """The key of every `BATCH_ROWS`-th row of a sorted table, and of its last, as far as rows have keys."""
    if by not in table.column_names:
        return []
    rows = table.num_rows - table[by].null_count
    return table[by].take(np.append(np.arange(0, rows, BATCH_ROWS), [rows - 1] if rows else [])).to_pylist()


def batches_between(keys: Sequence[Key], rows: int, low: Key | None, high: Key | None) -> range:
    """The batches of a sorted table that may hold keys from ``low`` to ``high``, by its `batch_keys`."""
    first, last = keys[:-1], keys[-1:]
    start = 0 if low is None else max(0, bisect_left(first, low) - 1)
    if high is None:  # and the rows without a key
        return range(start, -(-rows // BATCH_ROWS))
    return range(start, bisect_left(first, high)) if low is None or bisect_left(last, low) == 0 else range(0)


class _Keys(Sequence[Any]):
    """The keys of a sorted table for bisection: only those that are asked for are read."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column
        self._rows = len(column) - column.null_count

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: Any) -> Any:
        return self._column[index].as_py()


def slice_range(table: pa.Table, by: str, low: Key | None, high: Key | None) -> pa.Table:
    """The rows of a sorted table with ``low <= key < high``; rows without a key go where there is no ``high``."""
    if by not in table.column_names:  # no row has a key
        return table if high is None else table.slice(0, 0)
    keys = _Keys(table[by])
    start = 0 if low is None else bisect_left(keys, low)
    end = table.num_rows if high is None else bisect_left(keys, high)
    return table.slice(start, end - start)


def merge_images(parts: Sequence[pa.Table], by: str) -> pa.Table:
    """The images of one range, as `chunk.IMAGES`, in the order of their key.

    An image that a format without ids mentions several times is one row, the first, and so is one
    that several files of the split state alike: name, size and further fields.
    """
    table = _merged(chunk.IMAGES.empty_table(), parts, by)
    if by == "key":
        keys = table["key"].combine_chunks()
        keep = np.ones(len(keys), np.bool_)
        keep[1:] = pc.not_equal(keys.slice(1), keys.slice(0, max(len(keys) - 1, 0))).to_numpy(zero_copy_only=False)
        return table.filter(pa.array(keep))
    files = table["source_file"].cast(pa.string())
    if len(pc.unique(files)) <= 1:
        return table
    first: dict[tuple[int | None, str | None], dict[str, Any]] = {}
    repeats = []
    for row in table.select(["image_id", "file_name", "width", "height", "attributes", "source_file"]).to_pylist():
        known = first.setdefault((row["image_id"], row["file_name"]), row)
        # stated twice within one file, or otherwise, it is a fault of the data, and stays for the audit to find
        is_other_file = row["image_id"] is not None and row["source_file"] != known["source_file"]
        repeats.append(is_other_file and row | {"source_file": None} == known | {"source_file": None})
    return table.filter(pc.invert(pa.array(repeats, pa.bool_())))


def merge_annotations(parts: Sequence[pa.Table], by: str) -> pa.Table:
    """The annotations of one range, as `chunk.ANNOTATIONS`, in the order of key, source file and row."""
    return _merged(chunk.ANNOTATIONS.empty_table(), parts, by)


def moved(table: pa.Table, column: str, base: int) -> pa.Table:
    """``table`` with ``base`` added to an integer column."""
    if base == 0 or table.num_rows == 0:
        return table
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(index), pc.add(table[column], base))


def number_images(images: pa.Table, annotations: pa.Table, first: int) -> tuple[pa.Table, pa.Table]:
    """Both tables with image_id by position in the sorted ``key``, counted from ``first``."""
    ids = pa.array(np.arange(first, first + images.num_rows), pa.int64())
    places = pc.index_in(annotations["key"], value_set=images["key"].combine_chunks())
    images = images.set_column(images.schema.get_field_index("image_id"), chunk.IMAGES.field("image_id"), ids)
    return images, annotations.set_column(
        annotations.schema.get_field_index("image_id"),
        chunk.ANNOTATIONS.field("image_id"),
        pc.add(places.cast(pa.int64()), first),
    )


def number_classes(annotations: pa.Table, ids: dict[str, int]) -> pa.Table:
    """``annotations`` with category_id by category_name, where they have no category_id."""
    names = annotations["category_name"].cast(pa.string())
    places = pc.index_in(names, value_set=pa.array(list(ids), pa.string()), skip_nulls=True)
    numbers = pa.chunked_array([pa.array(list(ids.values()), pa.int64()).take(places.combine_chunks())])
    return annotations.set_column(
        annotations.schema.get_field_index("category_id"),
        chunk.ANNOTATIONS.field("category_id"),
        pc.coalesce(annotations["category_id"], numbers),
    )


def keep_listed(images: pa.Table, annotations: pa.Table, names: Collection[str], by: str) -> tuple[pa.Table, pa.Table]:
    """Only the images whose file name, with or without folder and suffix, is in ``names``, and their annotations.

    Annotations of images that the file does not know at all, and images without a name, stay, for the audit to find.
    """
    wanted = frozenset(names)
    keep = pa.array([_is_listed(name, wanted) for name in images["file_name"].to_pylist()], pa.bool_())
    kept, left = images.filter(keep), images.filter(pc.invert(keep))
    gone, stays = (
        pc.is_in(annotations[by], value_set=rows[by].combine_chunks(), skip_nulls=True) for rows in (left, kept)
    )
    return kept, annotations.filter(pc.or_(pc.invert(gone), stays))


def _is_listed(name: str | None, wanted: frozenset[str]) -> bool:
    return name is None or any(form in wanted for form in _forms(name))


def _forms(name: str) -> list[str]:
    """How a list may call an image: with or without its folder and its suffix."""
    last = name.rpartition("/")[2]
    return [form for form in (name, last, name.rpartition(".")[0], last.rpartition(".")[0]) if form]


def missing_of_list(names: Sequence[str], found: Iterable[pa.Table], path: str) -> pa.Table:
    """What a list names and no image is called, as rows of `chunk.QUARANTINE`; ``row`` is the place in ``names``."""
    left = dict.fromkeys(names)
    for images in found:
        for name in images["file_name"].to_pylist() if "file_name" in images.column_names else []:
            for form in _forms(name or ""):
                left.pop(form, None)
    rows = [number for number, name in enumerate(names) if name in left]
    return chunk.table(
        chunk.QUARANTINE,
        len(rows),
        source_file=[path] * len(rows),
        row=rows,
        reason=["listed-image-missing"] * len(rows),
        detail=[f"no image is called {names[row]}" for row in rows],
    )


def place_images(images: pa.Table, source: Source) -> tuple[pa.Array | pa.ChunkedArray, pa.Table]:
    """Where each picture lies, and ``images`` with a defect in each row whose file name leads out of the data set.

    The first is NULL where the reader knows of no picture, no image folder is stated, or the name leads out.
    """
    names = images["file_name"]
    allowed = source.folders
    if source.images is None:
        asked = np.flatnonzero(pc.fill_null(pc.match_substring_regex(names, _UPWARD), False).to_numpy()).tolist()
        lost = [index for index in asked if locate(source.root, names[index].as_py(), allowed) is None]
        return images["path"], _note_lost(images, lost, "file_name")
    texts, known = names.to_pylist(), images["path"].to_pylist()
    paths = [
        known[index] or (None if name is None else locate(source.images, name, allowed))
        for index, name in enumerate(texts)
    ]
    lost = [index for index, path in enumerate(paths) if path is None and texts[index] is not None]
    return pa.array(paths, pa.string()), _note_lost(images, lost, "path")


def _note_lost(images: pa.Table, lost: Sequence[int], field: str) -> pa.Table:
    if not lost:
        return images
    defects = images["defects"].to_pylist()
    for index in lost:
        noted, name = Defects(defects[index] or ()), images["file_name"][index].as_py()
        if "\0" not in name:
            noted.note("path-outside-root", field, name)
        elif not noted:  # else the reader said so
            noted.note("wrong-type", "file_name", name)
        defects[index] = noted
    column = chunk.IMAGES.field("defects")
    return images.set_column(images.schema.get_field_index("defects"), column, pa.array(defects, column.type))


def canonical(name: str, rows: pa.Table, run: str, split: str, **more: Any) -> pa.Table:
    """``rows`` of a chunk table as the table ``name``; columns that it has not are dropped."""
    target = schema.schema(name)
    columns = {item.name: rows[item.name] for item in rows.schema if item.name in target.names}
    split_column = {"split": pa.repeat(split, rows.num_rows)}
    return schema.from_columns(name, columns | split_column | more, run=run)
