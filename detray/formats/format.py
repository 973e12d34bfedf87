"""What a format is: how its files are recognised, divided into pieces, and read."""

from pathlib import Path
from typing import Protocol

import pyarrow as pa

from detray.formats.chunk import Chunk
from detray.formats.source import Source

PLAN = pa.schema(
    [
        pa.field("chunk", pa.int32()),
        pa.field("file", pa.string()),
        pa.field("part", pa.string()),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
    ]
)
"""How a split is divided: rows with the same ``chunk``, numbered from 0 in order, are one task.
``part``, ``start`` and ``end`` mean what the format wants them to mean."""


class Format(Protocol):
    """A reader of one kind of annotation files. All methods are plain functions of their arguments."""

    @property
    def name(self) -> str:
        """What ``--format`` and the configuration call it."""
        ...

    @property
    def has_ids(self) -> bool:
        """Whether images and classes have numbers of their own; else ingest numbers their names."""
        ...

    @property
    def applies_list(self) -> bool:
        """Whether ``plan`` keeps to the split's list of names; else ingest leaves out the other images."""
        ...

    def recognises(self, path: Path) -> bool:
        """Whether the content of ``path``, a file or folder that is there, is of this format."""
        ...

    def plan(self, source: Source, *, exact: bool = False) -> pa.Table:
        """The pieces of a split, as `PLAN`. They depend on the data alone, never on the machine.

        ``exact`` asks for borders that are certain, after a `read` raised `json_rows.WrongCut`.
        """
        ...

    def read(self, source: Source, pieces: pa.Table, *, exact: bool = False) -> Chunk:
        """The rows of one chunk of the plan."""
        ...
