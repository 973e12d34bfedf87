"""Frozen dataclasses of equally long NumPy arrays: rows that tasks filter, join, and write as Arrow."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Columns:
    """Base of a frozen dataclass whose fields are arrays of the same length."""

    __dataclass_fields__: Any

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: NDArray[Any]) -> Self:
        """The rows at these positions, or where a mask is true."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The rows of all ``parts``, of which there is at least one."""
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )

    def to_arrow(self) -> pa.Table:
        """As a table; an array ``[n, k]`` becomes k columns ``name.0``, ``name.1``, ..."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            values = getattr(self, field.name)
            if values.ndim == 1:
                columns[field.name] = values
            else:
                columns |= {f"{field.name}.{part}": values[:, part] for part in range(values.shape[1])}
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """What `to_arrow` wrote."""
        arrays: dict[str, Any] = {}
        for field in fields(cls):
            if field.name in table.column_names:
                arrays[field.name] = table[field.name].to_numpy()
            else:
                parts = [name for name in table.column_names if name.rpartition(".")[0] == field.name]
                arrays[field.name] = np.stack([table[name].to_numpy() for name in parts], axis=1)
        return cls(**arrays)
