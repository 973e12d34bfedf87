"""What lets a command start sooner."""

import gc
import sys
from collections.abc import Sequence


def start_quickly() -> None:
    """Spare a process that runs one command what it has no use for: together a quarter of its first second.

    - Arrow imports pandas to know a data frame when it sees one. Where pandas is asked for later, by
      `pyarrow.Table.to_pandas` or by Ray, it is imported then.
    - Imports make objects enough for hundreds of collections, and none of them is garbage.
    """
    gc.set_threshold(50_000, 20, 50)
    if "pandas" in sys.modules:
        return
    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        import pyarrow as pa

        pa.chunked_array([pa.array([0])]).to_numpy()  # Arrow asks once, as it makes an array and as it reads one
    finally:
        sys.meta_path.remove(absent)


class _NoPandas:
    """Among Python's finders: there is no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        if name == "pandas":
            raise ImportError(name)
