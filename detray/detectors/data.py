"""Pictures and boxes as the training takes them: resized, in arrays."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.ahead import ahead
from detray.arrays import Flags, Floats, Floats32, Ints, Ints32, Pixels
from detray.boxes import to_corners
from detray.detectors.detector import Prepared
from detray.detectors.inputs import read_input, stretch_to
from detray.detectors.settings import DetectorSettings
from detray.detectors.unreadable import Unreadable, require_readable
from detray.pictures import PictureError, fetching
from detray.tables import Shard

CROWD = -1
"""Label of a crowd region: anchors on it are neither object nor background."""

MEMORY_BYTES = 1 << 30
"""Resized pictures beyond this are kept in a temporary file and mapped, not in memory."""

DECODE_THREADS = 2

ANNOTATED = ("image_id", "category_id", "x", "y", "width", "height", "is_crowd", "segmentation")
"""What is taken of the table annotations; outlines only where they were read."""


@dataclass(frozen=True)
class TrainingData:
    """Resized pictures and their boxes.

    ``images``: uint8 ``[n, height, width, 3]`` RGB at the detector's input size, in memory or
    mapped from a temporary file; ``image_ids``: ``[n]``; ``sizes``: ``[n, 2]`` width and height as
    displayed, px; ``boxes``: float32 ``[m, 4]`` corners in pixels of the input; ``labels``:
    ``[m]`` positions in the sorted classes, or `CROWD`; ``offsets``: ``[n + 1]``, image i has the
    boxes ``offsets[i]:offsets[i + 1]``; ``quarantine``: rows for the pictures that are left out;
    ``boxes_left_out``: count by reason; ``outlines``: of each box the segmentation as the table
    annotations has it, in pixels as displayed, or nothing at all where it was not read.
    """

    images: Pixels
    image_ids: Ints
    sizes: Floats
    boxes: Floats32
    labels: Ints32
    offsets: Ints
    quarantine: pa.Table
    boxes_left_out: dict[str, int]
    outlines: Sequence[str | None] = ()

    def __len__(self) -> int:
        return len(self.images)

    def prepared(self, rows: slice) -> list[Prepared]:
        """Some images as the detector takes them."""
        sizes = self.sizes[rows].astype(np.int64).tolist()
        return [Prepared(pixels, *size) for pixels, size in zip(self.images[rows], sizes, strict=True)]

    def objects(self, image: int) -> tuple[Floats32, Ints32]:
        """Boxes and labels of one image."""
        rows = slice(self.offsets[image], self.offsets[image + 1])
        return self.boxes[rows], self.labels[rows]


def load(
    shards: Iterable[Shard],
    detector: DetectorSettings,
    classes: Mapping[int, str],
    *,
    run: str,
    stage: str = "train",
    max_unreadable: float = 1,
) -> TrainingData:
    """The data of some shards (``store.read_shard(key)`` for each of ``store.shards([split])``).

    Pictures that cannot be read go into ``quarantine`` (rows of that table, for ``stage``). Boxes
    are cut at the picture's edge; those without area, class or picture are counted and left out.

    Raises:
        DetrayError: more than the share ``max_unreadable`` of the pictures cannot be read.
    """
    images, annotations = _gather(shards)
    pixels, sizes, failures = _read(images["path"].to_pylist(), detector)
    quarantine = quarantined(images, failures, run=run, stage=stage)
    require_readable(Unreadable.of(quarantine), images.num_rows, max_unreadable)
    kept = np.array([row not in failures for row in range(images.num_rows)], bool)
    image_ids = images["image_id"].to_numpy()[kept]
    boxes, labels, offsets, left_out, rows = _place(annotations, image_ids, sizes[kept], detector, sorted(classes))
    has_outlines = "segmentation" in annotations.column_names
    return TrainingData(
        images=_pack(pixels, kept),
        image_ids=image_ids,
        sizes=sizes[kept],
        boxes=boxes,
        labels=labels,
        offsets=offsets,
        quarantine=quarantine,
        boxes_left_out=left_out,
        outlines=annotations["segmentation"].take(pa.array(rows)).to_pylist() if has_outlines else (),
    )


def quarantined(images: pa.Table, failures: Mapping[int, PictureError], *, run: str, stage: str) -> pa.Table:
    """Rows of the table quarantine for the pictures (by row of ``images``) that could not be read."""
    rows = sorted(failures)
    taken = images.take(pa.array(rows, pa.int64()))
    return schema.from_columns(
        "quarantine",
        {
            "stage": [stage] * len(rows),
            "split": taken["split"],
            "image_id": taken["image_id"],
            "source_file": pc.coalesce(taken["path"], taken["file_name"]),
            "reason": [failures[row].reason for row in rows],
            "detail": [failures[row].detail for row in rows],
        },
        run=run,
    )


def _gather(shards: Iterable[Shard]) -> tuple[pa.Table, pa.Table]:
    """Images, the first row of each id, sorted by id; and annotations with the columns `ANNOTATED`."""
    found = [(shard.images, shard.annotations) for shard in shards]
    images = pa.concat_tables(
        [pair[0].select(["split", "image_id", "file_name", "path"]) for pair in found] or [schema.empty("images")]
    )
    annotations = pa.concat_tables(
        [pair[1].select([name for name in ANNOTATED if name in pair[1].column_names]) for pair in found]
        or [schema.empty("annotations")]
    )
    images = images.filter(images["image_id"].is_valid())
    _, first = np.unique(images["image_id"].to_numpy(), return_index=True)
    return images.take(pa.array(first)), annotations


def _read(paths: list[str | None], detector: DetectorSettings) -> tuple[Pixels, Floats, dict[int, PictureError]]:
    """All pictures resized, their displayed sizes, and what went wrong, by position."""
    shape = (len(paths), detector.input_height, detector.input_width, 3)
    pixels: Pixels
    if np.prod(shape, dtype=np.int64) > MEMORY_BYTES:
        pixels = np.memmap(tempfile.TemporaryFile(), np.uint8, "w+", shape=shape)  # noqa: SIM115 - the map holds it
    else:
        pixels = np.zeros(shape, np.uint8)
    sizes = np.ones((len(paths), 2))
    failures: dict[int, PictureError] = {}

    prepare = stretch_to(detector)

    def read(item: tuple[int, str | None]) -> None:
        row, path = item
        answer = read_input(path, prepare)
        if isinstance(answer, PictureError):
            failures[row] = answer
        else:
            pixels[row], sizes[row] = answer.pixels, (answer.width, answer.height)

    for _ in ahead(read, enumerate(fetching(paths)), threads=DECODE_THREADS, depth=64):
        pass
    return pixels, sizes, failures


def _pack(pixels: Pixels, kept: Flags) -> Pixels:
    """The pictures that are kept, moved together in place: a copy would double the memory."""
    rows = np.flatnonzero(kept)
    for target, row in enumerate(rows):
        if target != row:
            pixels[target] = pixels[row]
    return pixels[: len(rows)]


def _place(
    annotations: pa.Table,
    image_ids: Ints,
    sizes: Floats,
    detector: DetectorSettings,
    category_ids: list[int],
) -> tuple[Floats32, Ints32, Ints, dict[str, int], Ints]:
    """Boxes in pixels of the input, grouped by image, with labels and offsets; what is left out; and the rows kept."""
    image = _positions(annotations["image_id"], image_ids)
    label = _positions(annotations["category_id"], np.array(category_ids, np.int64))
    boxes = tables.boxes(annotations)
    finite = np.isfinite(boxes).all(axis=1)
    left_out = Counter(
        {
            "no picture": int((image < 0).sum()),
            "unknown class": int(((image >= 0) & (label < 0)).sum()),
            "not finite": int(((image >= 0) & (label >= 0) & ~finite).sum()),
        }
    )
    good = (image >= 0) & (label >= 0) & finite
    image, label, boxes = image[good], label[good], boxes[good]
    crowd = tables.numpy(annotations, "is_crowd")[good].astype(bool)
    corners = to_corners(np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], 0)], axis=1))
    limit = np.tile(sizes[image], 2)
    corners = np.clip(corners, 0, limit) / limit * np.tile([detector.input_width, detector.input_height], 2)
    solid = (corners[:, 2:].astype(np.float32) > corners[:, :2].astype(np.float32)).all(axis=1)
    left_out["no area in the picture"] = int((~solid).sum())
    order = np.flatnonzero(solid)
    order = order[np.argsort(image[order], kind="stable")]
    offsets = np.searchsorted(image[order], np.arange(len(image_ids) + 1))
    labels = np.where(crowd, CROWD, label)[order].astype(np.int32)
    counted = {reason: n for reason, n in left_out.items() if n}
    return corners[order].astype(np.float32), labels, offsets, counted, np.flatnonzero(good)[order]


def _positions(values: pa.ChunkedArray, ordered: Ints) -> Ints:
    """Where each value stands in sorted ``ordered``; -1 if it is NULL or not there."""
    found = pc.index_in(values, value_set=pa.array(ordered, pa.int64()))
    return found.fill_null(-1).to_numpy().astype(np.int64)
