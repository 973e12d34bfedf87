"""Small helpers between Arrow tables and NumPy arrays, and the vocabulary of a shard."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import schema
from detray.arrays import Floats


@dataclass(frozen=True)
class Shard:
    """What one task works on: the rows of some consecutive images of one split.

    ``images``, ``annotations`` and, where the stage reads them, ``predictions`` are canonical
    tables sorted by image_id; every row of an image is in the same shard. ``categories`` is the
    whole table of the split's classes.
    """

    split: str
    images: pa.Table
    annotations: pa.Table
    categories: pa.Table
    predictions: pa.Table = field(default_factory=lambda: schema.empty("predictions"))

    def without(self, images: pa.ChunkedArray) -> "Shard":
        """All but some images, by their ids."""
        if not len(images):
            return self
        names = ("images", "annotations", "predictions")
        found = {name: getattr(self, name) for name in names}
        kept = {k: t.filter(pc.invert(pc.is_in(t["image_id"], value_set=images))) for k, t in found.items()}
        return replace(self, **kept)


class Total:
    """A sum of tables that is made as its parts come, so that they are never all held.

    ``add`` gives the sum of some parts, which may be sums themselves.
    """

    WAITING_BYTES = 1 << 25

    def __init__(self, add: Callable[[Sequence[pa.Table]], pa.Table]) -> None:
        self._add = add
        self._sum = add([])
        self._waiting: list[pa.Table] = []
        self._bytes = 0

    def add(self, part: pa.Table) -> None:
        self._waiting.append(part)
        self._bytes += part.nbytes
        if self._bytes > max(self.WAITING_BYTES, self._sum.nbytes):
            self.table()

    def table(self) -> pa.Table:
        """The sum of what has been added."""
        if self._waiting:
            self._sum = self._add([self._sum, *self._waiting])
            self._waiting, self._bytes = [], 0
        return self._sum


def numpy(table: pa.Table, column: str, null: object = None) -> NDArray:
    """A column as a NumPy array; NULL becomes ``null`` (NaN for floats where not given).

    Integers stay integers only if there is no NULL or ``null`` is given.
    """
    values = table.column(column)
    if values.null_count and null is not None:
        values = pc.fill_null(values, null)
    return values.to_numpy()


def boxes(table: pa.Table) -> Floats:
    """The columns x, y, width, height as float64 ``[n, 4]``, each contiguous; NULL becomes NaN."""
    sides = [numpy(table, side).astype(np.float64, copy=False) for side in ("x", "y", "width", "height")]
    return np.stack(sides).T


def lookup(keys: pa.ChunkedArray | pa.Array, table: pa.Table, key: str, value: str) -> pa.Array:
    """``value`` of the first row of ``table`` whose ``key`` equals each of ``keys``; NULL if none."""
    index = pc.index_in(
        keys, value_set=table.column(key).combine_chunks() if table.num_rows else pa.nulls(0, keys.type)
    )
    taken = (
        table.column(value)
        .combine_chunks()
        .take(index.combine_chunks() if isinstance(index, pa.ChunkedArray) else index)
    )
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


def own_classes(categories: pa.Table) -> pa.Table:
    """A split's own classes, else the label map's: a row for each pair of id and name, in the order of ids."""
    return _first_of(categories)


def listed_classes(categories: pa.Table) -> pa.Table:
    """The list that a split's boxes have to keep to, as `own_classes`: its files', else the label map's.

    Without rows where only the boxes themselves name classes.
    """
    return _first_of(categories.filter(is_listed(categories)))


def is_listed(categories: pa.Table) -> pa.ChunkedArray:
    """Whether each class is on a list, of annotation files or the label map; else only boxes name it."""
    return pc.fill_null(categories["is_listed"], True)


def _first_of(categories: pa.Table) -> pa.Table:
    """The distinct classes of the annotations, else of the label map."""
    found = (categories.filter(pc.equal(categories["source"], source)) for source in ("annotations", "label_map"))
    rows = next((one for one in found if one.num_rows), categories.slice(0, 0))
    ordered = rows.sort_by([("category_id", "ascending"), ("category_name", "ascending")])
    pairs = list(zip(ordered["category_id"].to_pylist(), ordered["category_name"].to_pylist(), strict=True))
    return ordered.filter(
        pa.array([pair != before for pair, before in zip(pairs, [None, *pairs], strict=False)], pa.bool_())
    )


def shift_onto(used: Collection[int], listed: Collection[int]) -> int | None:
    """By how much all class ids in use are shifted against a list that some of them are not on; None: they are not.

    A shift by one is taken where it brings all onto the list, another where it makes them the whole list of three
    classes or more.
    """
    used, listed = set(used), set(listed)
    if not used or not listed or used <= listed:
        return None
    for shift in (1, -1, min(listed) - min(used)):
        moved = {category + shift for category in used}
        if moved <= listed and (abs(shift) == 1 or (moved == listed and len(listed) > 2)):
            return shift
    return None


def class_names(categories: pa.Table) -> dict[int, str]:
    """category_id to category_name, the first row of each id; unnamed classes are called by their id."""
    names: dict[int, str] = {}
    for number, name in zip(
        categories["category_id"].to_pylist(), categories["category_name"].to_pylist(), strict=True
    ):
        names.setdefault(number, name if name is not None else str(number))
    return names
