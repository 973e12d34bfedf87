"""Splits that have been read: handles on the rows of their chunks, and the ranges of images that become shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from detray.flow.kept import Kept
from detray.formats import canonical
from detray.formats.canonical import Key, Sample
from detray.formats.source import Source


@dataclass(frozen=True)
class Ordered:
    """Kept rows of one chunk in the order of their images.

    Attributes:
        kept: the rows.
        keys: as `canonical.batch_keys`.
        position: the column that says where in its list each stands.
        base: how many rows of that list lie in the chunks before.
    """

    kept: Kept
    keys: list[Key]
    position: str
    base: int

    def between(self, by: str, low: Key | None, high: Key | None) -> pa.Table:
        """The rows with ``low <= key < high``, at their positions in the whole list."""
        rows = sum(self.kept.rows)
        batches = canonical.batches_between(self.keys, rows, low, high)
        if not batches:  # most chunks of a file in order have nothing of a range
            return self.kept.slice(0, 0)
        near = self.kept.slice(batches.start * canonical.BATCH_ROWS, min(batches.stop * canonical.BATCH_ROWS, rows))
        return canonical.moved(canonical.slice_range(near, by, low, high), self.position, self.base)


@dataclass(frozen=True)
class ReadChunk:
    """What one chunk held."""

    images: Ordered
    annotations: Ordered
    categories: Kept
    quarantine: Kept


@dataclass(frozen=True)
class Range:
    """Images of the split number ``split`` with ``low <= key < high``, which become the shard ``index``."""

    index: int
    split: int
    low: Key | None
    high: Key | None


@dataclass(frozen=True)
class ReadSplit:
    """A split that has been read.

    Attributes:
        source: its files.
        by: the column that orders the rows of its chunks.
        chunks: in the order of the files.
        further: what the files state beside rows.
        samples: of the keys of all rows.
    """

    source: Source
    by: str
    chunks: tuple[ReadChunk, ...]
    further: dict[str, int]
    samples: tuple[Sample, ...]

    @property
    def rows(self) -> int:
        """Images and annotations that were read."""
        return sum(sum(part.kept.rows) for found in self.chunks for part in (found.images, found.annotations))

    @property
    def lost(self) -> int:
        """What could not be read as an image, a box or a class."""
        return sum(sum(found.quarantine.rows) for found in self.chunks)

    def images(self, low: Key | None, high: Key | None) -> list[pa.Table]:
        """The images of a range, chunk by chunk."""
        return list(_some(found.images.between(self.by, low, high) for found in self.chunks))

    def annotations(self, low: Key | None, high: Key | None) -> list[pa.Table]:
        """The annotations of a range, chunk by chunk."""
        return list(_some(found.annotations.between(self.by, low, high) for found in self.chunks))


def _some(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    return (part for part in parts if part.num_rows)


def ranges(splits: Sequence[ReadSplit]) -> list[Range]:
    """The shards of all splits, each split with at least one, decided by sizes alone."""
    found: list[Range] = []
    for number, split in enumerate(splits):
        cuts = canonical.boundaries(split.samples, max(1, round(split.rows / canonical.SHARD_ROWS)))
        for low, high in pairwise([None, *cuts, None]):
            found.append(Range(len(found), number, low, high))
    return found
