"""Pieces of shards: shards hold about equally many boxes, but detections can be many more."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.flow.data import Data
from detray.store import ShardKey
from detray.tables import Shard

PIECE_ROWS = 250_000
"""Detections of a piece; matching takes some 650 bytes for each."""


@dataclass(frozen=True)
class Piece:
    """Some of a shard's images, so that a task holds few detections: part ``number`` of ``of`` like ones."""

    shard: ShardKey
    number: int
    of: int

    @property
    def name(self) -> str:
        return f"{self.shard.name}-{self.number:04d}"

    @property
    def n_images(self) -> int:
        """About how many images these are, all of them where a shard is one piece."""
        return self.shard.n_images * (self.number + 1) // self.of - self.shard.n_images * self.number // self.of

    def key(self, data: Data) -> ShardKey:
        """The range of images."""
        if self.of == 1:
            return self.shard
        ids = np.unique(tables.numpy(data.read_range("images", self.shard, ("image_id",)), "image_id", 0)).tolist()
        cuts = [ids[len(ids) * number // self.of] for number in range(1, self.of)] if ids else []
        ends = [self.shard.low, *cuts, self.shard.high]
        return replace(self.shard, low=ends[self.number], high=ends[self.number + 1])

    def read(self, data: Data, columns: Mapping[str, Sequence[str]] | None = None) -> Shard:
        """The images with their annotations, and no predictions; annotations without an image are in the first.

        ``columns`` may restrict each table's; image_id is among them.
        """
        shard, key = data.read_shard(self.shard, columns=columns), self.key(data)
        if self.of == 1:
            return shard
        images, annotations = (self._within(rows, key) for rows in (shard.images, shard.annotations))
        return replace(shard, images=images, annotations=annotations)

    def _within(self, rows: pa.Table, key: ShardKey) -> pa.Table:
        image, holds = rows["image_id"], pa.scalar(True)
        if key.low is not None:
            holds = pc.and_(holds, pc.greater_equal(image, key.low))
        if key.high is not None:
            holds = pc.and_(holds, pc.less(image, key.high))
        return rows.filter(pc.fill_null(holds, self.number == 0))


def cut(keys: Sequence[ShardKey], detections: float) -> list[Piece]:
    """The images of ``keys`` in pieces of about `PIECE_ROWS` detections, which are taken to lie evenly."""
    images = max(sum(key.n_images for key in keys), 1)
    counts = [max(math.ceil(detections * key.n_images / images / PIECE_ROWS), 1) for key in keys]
    return [Piece(key, number, of) for key, of in zip(keys, counts, strict=True) for number in range(of)]
