"""The first step of a tuning: the pictures of all splits resized, and the ground truth of what is judged on, for all
trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from detray import schema
from detray.arrays import Ints
from detray.detectors.data import TrainingData, load
from detray.detectors.settings import DetectorSettings
from detray.detectors.training.history import TRAIN
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.flow.data import Data
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.store import ShardKey
from detray.tables import Shard, boxes, numpy
from detray.tune.proof_stage import Part

SIDES, CORNERS = ("x", "y", "width", "height"), ("x1", "y1", "x2", "y2")
TRUTH = pa.schema(
    [
        ("image_id", pa.int64()),
        ("category_id", pa.int64()),
        *((side, pa.float64()) for side in (*SIDES, "area")),
        ("is_crowd", pa.bool_()),
    ]
)


Size = tuple[int, int]
"""Height and width of a detector's input, px."""


def size_of(detector: DetectorSettings) -> Size:
    """Its input size."""
    return detector.input_height, detector.input_width


@dataclass(frozen=True)
class Work:
    """Settings and data; ``trained`` are the classes of the training split, category_id to name;
    ``max_unreadable`` is the share of pictures that may be unreadable."""

    data: Data
    run: str
    detector: DetectorSettings
    trained: Mapping[int, str]
    max_unreadable: float
    columns: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Split:
    """The task: a split, or the ``images`` of it with these ids, at an input size; what does not depend on that is
    said for ``is_first`` only."""

    name: str
    keys: Sequence[ShardKey]
    size: Size
    is_first: bool
    images: Ints | None = None


class Prepared(msgspec.Struct, frozen=True):
    """Images of a split, those that could be read, and but for train the classes that have a box which counts."""

    images_in: int
    images: int
    classes: list[int]


def prepare(work: Work, split: Split) -> Output[Prepared]:
    """Read one split; pictures that cannot be read go to quarantine."""
    shards = [_part(work.data.read_shard(key, columns=work.columns), split.images) for key in split.keys]
    detector = replace(work.detector, input_height=split.size[0], input_width=split.size[1])
    data = load(shards, detector, work.trained, run=work.run, stage="tune", max_unreadable=work.max_unreadable)
    seen = (
        [shard.without(data.quarantine["image_id"]) for shard in shards]
        if split.is_first and split.name != TRAIN
        else []
    )
    truths = [read_scene(shard, EvaluateSettings()).gt for shard in seen]
    return Output(
        Prepared(len(data) + data.quarantine.num_rows, len(data), _counted(truths)),
        {"quarantine": data.quarantine} if split.is_first else {},
        {
            "images": _image_rows(data),
            "boxes": pa.table(
                dict(zip(CORNERS, np.ascontiguousarray(data.boxes.T), strict=True))
                | {"label": data.labels}
                | ({"outline": pa.array(data.outlines, pa.string())} if len(data.outlines) else {})
            ),
            "truth": _truth_table(truths),
        },
    )


def _part(shard: Shard, images: Ints | None) -> Shard:
    """The images of a shard that are among some, by their ids."""
    ids = shard.images["image_id"]
    return shard if images is None else shard.without(ids.filter(pc.invert(pc.is_in(ids, value_set=pa.array(images)))))


def _image_rows(data: TrainingData) -> pa.Table:
    shape = data.images.shape[1:]
    pixels = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(int(np.prod(shape))), len(data), [None, pa.py_buffer(np.ascontiguousarray(data.images))]
    )
    columns = {
        "pixels": pixels,
        "image_id": data.image_ids,
        "width": data.sizes[:, 0],
        "height": data.sizes[:, 1],
        "n_boxes": np.diff(data.offsets),
    }
    return pa.table(columns, metadata={"input_height": str(shape[0]), "input_width": str(shape[1])})


def _truth_rows(truth: GroundTruth) -> pa.Table:
    columns = {"image_id": truth.image, "category_id": truth.category, "area": truth.area, "is_crowd": truth.crowd}
    columns |= dict(zip(SIDES, truth.box.T, strict=True))
    return pa.table([columns[name] for name in TRUTH.names], schema=TRUTH)


def read_data(images: Kept, boxes: Kept) -> TrainingData:
    """The pictures and boxes of a split (but for its quarantine); several processes map the same pages."""
    rows, found = images.read().combine_chunks(), boxes.read()
    shape = (int(rows.schema.metadata[b"input_height"]), int(rows.schema.metadata[b"input_width"]), 3)
    pixels = rows["pixels"].chunk(0) if rows.num_rows else pa.array([], rows["pixels"].type)
    return TrainingData(
        images=np.frombuffer(pixels.buffers()[1] or b"", np.uint8).reshape(-1, *shape),
        image_ids=numpy(rows, "image_id"),
        sizes=np.stack([numpy(rows, "width"), numpy(rows, "height")], axis=1),
        boxes=np.stack([numpy(found, corner) for corner in CORNERS], axis=1),
        labels=numpy(found, "label"),
        offsets=np.concatenate([[0], np.cumsum(numpy(rows, "n_boxes"))]).astype(np.int64),
        quarantine=schema.empty("quarantine"),
        boxes_left_out={},
        outlines=found["outline"].to_pylist() if "outline" in found.column_names else (),
    )


def read_truth(truth: Kept) -> GroundTruth:
    """The boxes of a split that is judged on, as the evaluation reads them."""
    rows = truth.read()
    return GroundTruth(
        numpy(rows, "image_id"), numpy(rows, "category_id"), boxes(rows), numpy(rows, "area"), numpy(rows, "is_crowd")
    )


@dataclass(frozen=True)
class TruthWork:
    """The data set."""

    data: Data


def truth_of(work: TruthWork, part: Part) -> Output[Prepared]:
    """The ground truth of some shards, without their pictures."""
    keys, images = part
    shards = [_part(work.data.read_shard(key), images) for key in keys]
    truths = [read_scene(shard, EvaluateSettings()).gt for shard in shards]
    count = sum(shard.images.num_rows for shard in shards)
    return Output(Prepared(count, count, _counted(truths)), kept={"truth": _truth_table(truths)})


def _counted(truths: Sequence[GroundTruth]) -> list[int]:
    """Classes that have a box which counts."""
    return sorted({int(number) for truth in truths for number in np.unique(truth.category[~truth.crowd])})


def _truth_table(truths: Sequence[GroundTruth]) -> pa.Table:
    return pa.concat_tables([TRUTH.empty_table(), *map(_truth_rows, truths)])


TRUTH_STEP = Step[TruthWork, Part, Prepared]("truth", truth_of, Prepared, (Keep("truth", TRUTH),))
PREPARE = Step[Work, Split, Prepared](
    "prepare", prepare, Prepared, (Keep("images"), Keep("boxes"), Keep("truth", TRUTH))
)
