"""What all trials of a tuning share: the resized pictures and the ground truth, prepared once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from detray import schema
from detray.arrays import Flags
from detray.detectors.data import TrainingData, load
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.evaluate.inputs import TRUTH_COLUMNS, read_scene
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import ImageGroups
from detray.evaluate.settings import EvaluateSettings
from detray.store import Json, ShardKey, Stage
from detray.tables import boxes, numpy
from detray.tune.proof import GROUPS

TRAIN, VAL = "train", "val"
"""Trials learn from the one and are judged on the other; no other split is ever read."""

IMAGE_COLUMNS = ("split", "image_id", "path")


@dataclass(frozen=True)
class Bench:
    """Small and picklable: what a trial needs beside its own settings.

    Classes are category_id to name: ``trained`` those of the training split, ``classes`` these and
    those of the validation split; ``focus`` are the ids of those that are tuned for.
    """

    stage: Stage
    run: str
    detector: DetectorSettings
    predict: PredictSettings
    trained: dict[int, str]
    classes: dict[int, str]
    focus: tuple[int, ...]
    gpus: float = 0

    @property
    def class_ids(self) -> list[int]:
        return sorted(self.classes)

    @property
    def is_focus(self) -> Flags:
        """``[c]`` by `class_ids`."""
        return np.isin(self.class_ids, self.focus)

    @cached_property
    def train_data(self) -> TrainingData:
        return read_data(self.stage, TRAIN)

    @cached_property
    def val_data(self) -> TrainingData:
        return read_data(self.stage, VAL)

    @cached_property
    def truth(self) -> GroundTruth:
        """The boxes of the validation split, as the evaluation reads them."""
        rows = self.stage.read_scratch("truth")
        return GroundTruth(
            numpy(rows, "image_id"),
            numpy(rows, "category_id"),
            boxes(rows),
            numpy(rows, "area"),
            numpy(rows, "is_crowd"),
        )

    @cached_property
    def image_groups(self) -> ImageGroups:
        images = np.union1d(self.val_data.image_ids, self.truth.image)
        return ImageGroups(images, min(GROUPS, len(images)))


@dataclass(frozen=True)
class Preparation:
    """The task that reads one split: its pictures resized, and of val the ground truth, as scratch."""

    bench: Bench
    split: str
    keys: Sequence[ShardKey]


def prepare(task: Preparation) -> Json:
    """Write the scratch that `Bench` reads, and the pictures that are left out as quarantine."""
    bench, stage = task.bench, task.bench.stage
    columns = {"images": IMAGE_COLUMNS, "annotations": TRUTH_COLUMNS}
    shards = [stage.store.read_shard(key, columns=columns) for key in task.keys]
    data = load(shards, bench.detector, bench.trained, run=bench.run, stage=stage.name)
    write_data(stage, task.split, data)
    facts: Json = {
        "in": len(data) + data.quarantine.num_rows,
        "kept": len(data),
        "boxes_left_out": data.boxes_left_out,
    }
    if task.split == VAL:
        truths = [read_scene(shard, EvaluateSettings()).gt for shard in shards]
        write_truth(stage, truths)
        counted = [truth.category[~truth.crowd] for truth in truths]
        facts["classes"] = sorted({int(number) for numbers in counted for number in np.unique(numbers)})
    return stage.write(f"data-{task.split}", {"quarantine": data.quarantine}, facts)


def write_truth(stage: Stage, truths: Sequence[GroundTruth]) -> None:
    """Keep the ground truth of consecutive shards."""
    parts = [
        pa.table(
            {
                "image_id": truth.image,
                "category_id": truth.category,
                **dict(zip(("x", "y", "width", "height"), truth.box.T, strict=True)),
                "area": truth.area,
                "is_crowd": truth.crowd,
            }
        )
        for truth in truths
    ]
    stage.write_scratch("truth", pa.concat_tables(parts))


def write_data(stage: Stage, name: str, data: TrainingData) -> None:
    """Keep ``data`` (but for its quarantine) so that several processes map the same pages."""
    n = len(data.images)
    stage.write_scratch(
        f"{name}-images",
        pa.table(
            {
                "pixels": pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(int(np.prod(data.images.shape[1:]))),
                    n,
                    [None, pa.py_buffer(np.ascontiguousarray(data.images))],
                ),
                "image_id": data.image_ids,
                "width": data.sizes[:, 0],
                "height": data.sizes[:, 1],
                "n_boxes": np.diff(data.offsets),
            },
            metadata={"input_height": str(data.images.shape[1]), "input_width": str(data.images.shape[2])},
        ),
    )
    sides = dict(zip(("x1", "y1", "x2", "y2"), np.ascontiguousarray(data.boxes.T), strict=True))
    stage.write_scratch(f"{name}-boxes", pa.table(sides | {"label": data.labels}))


def read_data(stage: Stage, name: str) -> TrainingData:
    """What `write_data` kept."""
    images = stage.read_scratch(f"{name}-images").combine_chunks()
    found = stage.read_scratch(f"{name}-boxes")
    shape = (int(images.schema.metadata[b"input_height"]), int(images.schema.metadata[b"input_width"]), 3)
    pixels = images["pixels"].chunk(0) if images.num_rows else pa.array([], images["pixels"].type)
    return TrainingData(
        images=np.frombuffer(pixels.buffers()[1] or b"", np.uint8).reshape(-1, *shape),
        image_ids=numpy(images, "image_id"),
        sizes=np.stack([numpy(images, "width"), numpy(images, "height")], axis=1),
        boxes=np.stack([numpy(found, side) for side in ("x1", "y1", "x2", "y2")], axis=1),
        labels=numpy(found, "label"),
        offsets=np.concatenate([[0], np.cumsum(numpy(images, "n_boxes"))]).astype(np.int64),
        quarantine=schema.empty("quarantine"),
        boxes_left_out={},
    )
