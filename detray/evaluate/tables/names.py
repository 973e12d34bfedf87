"""The columns that rows about classes share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from detray.arrays import Ints


@dataclass(frozen=True)
class Names:
    """The columns that all rows of a split share, and the names of its classes."""

    run: str
    split: str
    model: str
    classes: dict[int, str]
    frequencies: Mapping[int, str] = field(default_factory=dict)
    """LVIS's letter of each class: r, c or f."""

    def of(self, ids: Ints, repeat: int = 1) -> dict[str, object]:
        """Columns for the classes ``ids``, each ``repeat`` times in a row."""
        n = len(ids) * repeat
        named = pa.array([self.classes.get(number, str(number)) for number in ids.tolist()], pa.string())
        return {
            "split": pa.repeat(pa.scalar(self.split), n),
            "model": pa.repeat(pa.scalar(self.model), n),
            "category_id": np.repeat(ids, repeat),
            "category_name": named.take(pa.array(np.repeat(np.arange(len(ids)), repeat))),
        }


def frequencies(categories: pa.Table) -> dict[int, str]:
    """What the classes of LVIS state as their ``frequency``, by id."""
    texts = zip(categories["category_id"].to_pylist(), categories["attributes"].to_pylist(), strict=True)
    found = ((number, json.loads(text).get("frequency")) for number, text in texts if text)
    return {number: value for number, value in found if isinstance(value, str)}
