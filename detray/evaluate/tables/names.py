"""The columns that rows about classes share."""

from dataclasses import dataclass

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
