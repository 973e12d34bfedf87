"""What ``evaluate.slices`` names: shapes of boxes, and columns or attributes of images and annotations.

Which table has a column, and how its numbers are cut, is decided once for the whole data set from
what `survey` tells of each shard, so that slices are the same however the data set is cut.
"""

import difflib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from detray import schema
from detray.errors import UsageError

SHAPES = ("size", "aspect")
"""Slices by the shape of boxes, which need no column."""
TABLES = ("images", "annotations")
MAX_WHOLE = 12
"""Different whole numbers up to which each is a slice of its own; more fall into intervals."""
MAX_VALUES = 50
"""Slices by a column of annotations: a detection that matches nothing counts in each, so they cost time and memory."""
MAX_LABEL = 200
LARGEST = sys.float_info.max
MAX_NAMES = 1000
"""Attributes of a shard among which the nearest to an unknown name is looked for."""


@dataclass(frozen=True)
class Slice:
    """A column that slices: ``name`` as configured; of a shape ``table`` is None."""

    name: str
    table: str | None = None
    column: str = ""
    is_whole: bool = False
    """Whole numbers are values of their own."""
    copies: int = 0
    """In how many slices, at most, a detection counts that matches nothing; 0 where its own box or image decides."""


class Values(msgspec.Struct, frozen=True):
    """Which kinds of values a column has, and its different whole numbers and slices, as far as they matter."""

    words: bool
    numbers: bool
    lists: bool
    whole: list[str]
    slices: list[str]


class Survey(msgspec.Struct, frozen=True):
    """What a shard tells of the columns that may slice.

    Attributes:
        columns: by table those that have values.
        attributes: by table all that its rows have.
    """

    columns: dict[str, dict[str, Values]]
    attributes: dict[str, list[str]]


def survey(images: pa.Table, annotations: pa.Table, names: Sequence[str]) -> Survey:
    """What the rows of a shard tell of the columns that ``names`` may mean."""
    columns: dict[str, dict[str, Values]] = {}
    attributes: dict[str, list[str]] = {}
    for table, rows in zip(TABLES, (images, annotations), strict=True):
        found = {column: _values(unique(rows, column)[0]) for name in names for column in _columns(name, table)}
        columns[table] = {
            column: values
            for column, values in found.items()
            if values.words or values.numbers or values.lists or values.whole
        }
        texts = rows["attributes"].unique().drop_null().to_pylist() if "attributes" in rows.column_names else []
        keys = {_encodable(key) for text in texts for key in json.loads(text or "{}")}
        attributes[table] = sorted(keys)[:MAX_NAMES]
    return Survey(columns, attributes)


def resolve(names: Sequence[str], surveys: Sequence[Survey] = ()) -> tuple[Slice, ...]:
    """What ``names`` mean, given the surveys of all shards.

    Raises:
        UsageError: no table has a column or attribute of that name, it holds lists, or it makes too many slices.
    """
    return tuple(Slice(name) if name in SHAPES else _resolved(name, surveys) for name in dict.fromkeys(names))


def _resolved(name: str, surveys: Sequence[Survey]) -> Slice:
    places = [(table, column) for table in TABLES for column in _columns(name, table)]
    for table, column in places:
        found = [part.columns[table][column] for part in surveys if column in part.columns[table]]
        if not found:
            continue
        if not any(values.words or values.numbers or values.whole for values in found):
            raise UsageError(f"evaluate.slices: '{name}' of the {table} holds lists, which make no slices")
        whole = {number for values in found for number in values.whole}
        is_whole = len(whole) <= MAX_WHOLE and not any(values.numbers for values in found)
        if table == "images":
            return Slice(name, table, column, is_whole)
        n = len({text for values in found for text in values.slices})
        if n > MAX_VALUES:
            raise UsageError(
                f"evaluate.slices: '{name}' of the annotations makes more than {MAX_VALUES} slices, which are too many"
            )
        return Slice(name, table, column, is_whole, n + is_whole * len(whole))
    for table, column in places:
        if column in schema.schema(table).names:  # a column without any value
            return Slice(name, table, column)
    known = [*SHAPES, *schema.schema("images").names]
    known += [key for part in surveys for key in part.attributes["images"]]
    known += [f"annotations.{key}" for part in surveys for key in part.attributes["annotations"]]
    known += [f"annotations.{key}" for key in schema.schema("annotations").names]
    near = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=1, cutoff=0)
    raise UsageError(f"evaluate.slices: no image and no annotation has '{name}'; the nearest name is '{near[0]}'")


def columns_of(table: str, names: Sequence[str]) -> list[str]:
    """The columns of ``table`` that `survey` and `texts` look at for ``names``."""
    known = schema.schema(table).names
    wanted = [column for name in names for column in _columns(name, table)]
    return list(dict.fromkeys(column if column in known else "attributes" for column in wanted))


def _columns(name: str, table: str) -> list[str]:
    """The column of ``table`` that ``name`` may mean; none where it means one of the other table or a shape."""
    stated, dot, column = name.partition(".")
    if dot and stated in TABLES:
        return [column] if stated == table else []
    return [] if name in SHAPES else [name]


def unique(rows: pa.Table, column: str) -> tuple[list[Any], pa.Array]:
    """The different values of a column or attribute, and which of them each row has; NULL is none."""
    is_column = column in rows.column_names
    if not is_column and "attributes" not in rows.column_names:
        return [], pa.nulls(rows.num_rows, pa.int32())
    values = rows[column if is_column else "attributes"].combine_chunks()
    if pa.types.is_nested(values.type):
        return [[]] if values.null_count < len(values) else [], pa.nulls(rows.num_rows, pa.int32())
    known = values.dictionary_encode()
    found = known.dictionary.to_pylist()
    return found if is_column else [json.loads(text or "{}").get(column) for text in found], known.indices


def _values(values: Sequence[Any]) -> Values:
    scalars = [value for value in values if value is not None and not isinstance(value, dict | list)]
    whole = {value for value in scalars if isinstance(value, int) and not isinstance(value, bool)}
    slices = {text for value in scalars if (text := label(value, is_whole=False)) is not None}
    return Values(
        words=any(isinstance(value, str | bool) for value in scalars),
        numbers=any(isinstance(value, float) and math.isfinite(value) for value in scalars),
        lists=any(isinstance(value, dict | list) for value in values),
        # one more than matter tells that they are many; as text, since JSON's whole numbers have no bound
        whole=[str(number) for number in sorted(whole)[: MAX_WHOLE + 1]],
        slices=sorted(slices)[: MAX_VALUES + 1],
    )


def _encodable(text: str) -> str:
    """A text of JSON may hold half a surrogate pair, which is no Unicode."""
    return text.encode("utf-8", "replace").decode()


def texts(rows: pa.Table, chosen: Slice) -> pa.Array:
    """The slice that each row lies in; NULL where it has no value."""
    values, place = unique(rows, chosen.column)
    return pa.array([label(value, is_whole=chosen.is_whole) for value in values], pa.string()).take(place)


def label(value: Any, *, is_whole: bool) -> str | None:
    """A value as the name of its slice: numbers fall into intervals of powers of two, which do not depend on
    other rows, unless they are few and whole."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if abs(value) > LARGEST or value != value:
            return None
        if value == 0 or (is_whole and isinstance(value, int)):
            return str(int(value))
        low = 2.0 ** math.floor(math.log2(abs(value)))
        return f"[{low:g}, {2 * low:g})" if value > 0 else f"({-2 * low:g}, {-low:g}]"
    return _encodable(str(value)[:MAX_LABEL])
