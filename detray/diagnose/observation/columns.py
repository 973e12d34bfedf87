"""Frozen dataclasses of equally long NumPy arrays: rows that tasks filter, join, and write as Arrow."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = TypeVar("Rows")


class Columns:
    """Base of a frozen dataclass whose fields are arrays of the same length."""

    def __len__(self) -> int:
        return len(next(iter(_arrays(self).values())))


def take(rows: Rows, index: NDArray[Any]) -> Rows:
    """The rows at these positions, or where a mask is true."""
    index = np.flatnonzero(index) if index.dtype == np.bool_ else index  # a mask is looked through once
    return type(rows)(**{name: values[index] for name, values in _arrays(rows).items()})


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of all ``parts``, of which there is at least one."""
    names = _arrays(parts[0])
    return type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def to_arrow(rows: object) -> pa.Table:
    """As a table; an array ``[n, k]`` becomes k columns ``name.0``, ``name.1``, ..."""
    columns: dict[str, Any] = {}
    for name, values in _arrays(rows).items():
        if values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name}.{part}": values[:, part] for part in range(values.shape[1])}
    return pa.table(columns)


def from_arrow(kind: type[Rows], table: pa.Table) -> Rows:
    """What `to_arrow` made of an object of ``kind``."""
    parts: dict[str, list[Any]] = {}
    for name in table.column_names:
        parts.setdefault(name.partition(".")[0], []).append(table[name].to_numpy())
    return kind(
        **{
            name: columns[0] if f"{name}.0" not in table.column_names else np.stack(columns, axis=1)
            for name, columns in parts.items()
        }
    )


def _arrays(rows: Any) -> dict[str, NDArray[Any]]:
    """The fields that are set: one that is optional may be None."""
    # `dataclasses.fields` makes a tuple of them each time
    return {name: value for name in rows.__dataclass_fields__ if (value := getattr(rows, name)) is not None}
