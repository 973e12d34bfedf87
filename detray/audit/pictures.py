"""The image pass: each picture decoded once, and what the rules want to know of it.

A picture is measured on its luma as displayed. The perceptual hash is a difference hash: means of
8 x 9 blocks, one bit for each pair of neighbours in a row (the picture grows brighter to the right),
the first pair in the highest bit.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import pictures, schema, tables
from detray.ahead import ahead
from detray.arrays import Flags, Floats, Pixels, Rows
from detray.audit.nearby import Nearby
from detray.audit.view import View
from detray.files import RECORD
from detray.pictures import PictureError
from detray.tables import Shard

THREADS = 2
"""Threads that read and decode in one task: decoding lets go of the interpreter, and reading waits."""

MISSING = "missing"


@dataclass(frozen=True)
class Measured:
    """One picture, with the names and units of the table ``image_stats``."""

    is_decoded: bool
    problem: str | None = None
    real_width: int | None = None
    real_height: int | None = None
    exif_orientation: int | None = None
    bytes: int | None = None
    content_hash: str | None = None
    perceptual_hash: int | None = None
    brightness: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    format: str | None = None
    mode: str | None = None


STATS = pa.schema([schema.schema("image_stats").field(field.name) for field in fields(Measured)])


def measure(path: str) -> Measured:
    """Read, check and measure the picture at ``path``; never raises for what a picture can be."""
    size = digest = None
    try:
        data = pictures.read_file(path)
        size, digest = len(data), hashlib.blake2b(data, digest_size=16).hexdigest()
        luma, header = pictures.decode_luma(data)
    except PictureError as error:
        problem = MISSING if error.reason == MISSING and not path.startswith(RECORD) else str(error)
        return Measured(False, problem, bytes=size, content_hash=digest)
    return Measured(
        True,
        None,
        header.width,
        header.height,
        header.orientation,
        size,
        digest,
        difference_hash(luma),
        *properties(luma),
        header.format,
        header.mode,
    )


def difference_hash(luma: Pixels) -> int:
    """The 64-bit difference hash of a luma picture ``[height, width]``, as a signed integer.

    Source: Krawetz, "Kind of Like That" (2013); block means instead of a resize.
    """
    import cv2

    height, width = luma.shape
    if height < 8 or width < 9:
        luma = np.repeat(np.repeat(luma, -(-8 // height), axis=0), -(-9 // width), axis=1)
        height, width = luma.shape
    rows, columns = np.arange(8) * height // 8, np.arange(9) * width // 9
    strips = [cv2.reduce(strip, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0] for strip in np.split(luma, rows[1:])]
    sums = np.add.reduceat(np.array(strips, np.int64), columns, axis=1)
    means = sums / np.diff(np.append(rows, height))[:, None] / np.diff(np.append(columns, width))
    bits = np.packbits(means[:, 1:] > means[:, :-1])
    return int(bits.view(">i8")[0])


def properties(luma: Pixels) -> tuple[float, float, float]:
    """Brightness (mean), contrast (standard deviation) and sharpness (variance of the Laplacian) of luma."""
    import cv2

    mean, deviation = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return float(mean[0, 0]), float(deviation[0, 0]), float(edges[0, 0] ** 2)


def measure_all(images: pa.Table) -> pa.Table:
    """The columns of image_stats that come from the pictures: a row for each of ``images`` that has a path."""
    import cv2

    cv2.setNumThreads(1)  # the task holds one CPU
    named = images.filter(pc.is_valid(images["path"])).select(["path", "file_name", "source_file"]).to_pylist()
    paths = pictures.fetching([row["path"] for row in named])
    found = list(ahead(measure, paths, threads=THREADS, depth=4 * THREADS))
    nearby = Nearby()
    for place, (row, one) in enumerate(zip(named, found, strict=True)):
        meant = nearby.find(row["path"], row["file_name"], row["source_file"]) if one.problem == MISSING else None
        if meant is not None:
            found[place] = replace(one, problem=f"{MISSING}: {meant}")
    columns = [pa.array([getattr(one, field.name) for one in found], field.type) for field in STATS]
    return pa.table(columns, schema=STATS)


class PictureView(View):
    """A shard's images whose pictures were looked for, and what was found: ``stats`` has a row for each.

    Images without a path are left out of ``shard.images``.
    """

    def __init__(self, shard: Shard, stats: pa.Table) -> None:
        images = shard.images.filter(pc.is_valid(shard.images["path"]))
        super().__init__(Shard(shard.split, images, shard.annotations, shard.categories))
        self.stats = stats

    @cached_property
    def is_decoded(self) -> Flags:
        """Whether each picture was there and decoded whole, ``[m]``."""
        return tables.numpy(self.stats, "is_decoded")

    @cached_property
    def stated_sizes(self) -> Floats:
        """Stated width and height ``[m, 2]``, px; NaN where not stated."""
        return np.stack([tables.numpy(self.images, side).astype(np.float64) for side in ("width", "height")], axis=1)

    @cached_property
    def real_sizes(self) -> Floats:
        """Width and height as displayed ``[m, 2]``, px; NaN where not decoded."""
        sides = ("real_width", "real_height")
        return np.stack([tables.numpy(self.stats, side).astype(np.float64) for side in sides], axis=1)

    @cached_property
    def is_turned(self) -> Flags:
        """EXIF turns the picture by a quarter, and the stated size is that of the picture before."""
        quarter = tables.numpy(self.stats, "exif_orientation", 1) >= 5
        return quarter & (self.stated_sizes == self.real_sizes[:, ::-1]).all(axis=1)

    @cached_property
    def is_in_record(self) -> Flags:
        """Whether each picture lies within a TFRecord file, or should."""
        return pc.starts_with(self.images["path"], RECORD).to_numpy()

    def rows_with_problem(self, kind: str) -> Rows:
        """Positions of the images whose picture is ``missing``, or there and ``corrupt``."""
        missing = pc.fill_null(pc.starts_with(self.stats["problem"], MISSING), False).to_numpy()
        return np.flatnonzero(missing if kind == MISSING else ~missing & ~self.is_decoded)

    def problems(self, rows: Rows) -> pa.Array:
        """Why pictures did not decode."""
        return self.stats["problem"].combine_chunks().take(pa.array(rows))


def image_stats(view: PictureView, run: str) -> pa.Table:
    """The table image_stats of a shard; images without an id are left out."""
    named = {name: view.images[name] for name in ("split", "image_id", "file_name")}
    whole = pa.table(named | {name: view.stats[name] for name in STATS.names})
    return schema.from_columns("image_stats", _columns(whole.filter(pc.is_valid(whole["image_id"]))), run=run)


def _columns(table: pa.Table) -> dict[str, object]:
    return {name: table[name] for name in table.column_names}
