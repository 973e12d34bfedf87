"""The stage ``train``: one actor trains the detector and writes the history of every epoch, and ``model/``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace
from numpy.typing import NDArray

from detray import schema
from detray.detectors.catalogue import require_trainable
from detray.detectors.settings import PredictSettings
from detray.errors import DetrayError, UsageError
from detray.evaluate.inputs import TRUTH_COLUMNS, read_scene
from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision
from detray.evaluate.settings import EvaluateSettings
from detray.store import PARTIAL, Json, ShardKey, Stage, absolute
from detray.tables import Shard, boxes, class_names, numpy, own_classes
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config

TRAIN, VAL = "train", "val"
MODEL = "model"
CHECKPOINT = "checkpoint"
IMAGE_COLUMNS = ("split", "image_id", "path")


@dataclass(frozen=True)
class Job:
    """The one task: which images to learn from, and which to be judged on."""

    stage: Stage
    config: Config
    train: tuple[ShardKey, ...]
    val: tuple[ShardKey, ...]


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    config, store = context.config, context.store
    if TRAIN not in config.dataset.splits:
        raise UsageError(
            "training needs a split called train: set dataset.splits.train, or detector.path to a trained model"
        )
    require_trainable(config.detector, "training")
    if config.detector.weights:
        detector = replace(config.detector, weights=absolute(config.detector.weights))
        config = replace(config, detector=detector)
    job = Job(stage, config, tuple(store.shards([TRAIN])), tuple(store.shards([VAL])))
    receipts = context.run_tasks(
        "train", learn, {"train": job}, done, build=partial(partial, learn), gpus=config.cluster.gpus_per_actor
    )
    facts = receipts[0]["facts"]
    store.delete(stage.name, MODEL)
    for name in facts["files"]:
        data = store.read_bytes(stage.name, PARTIAL, MODEL, name)
        if data is None:
            raise DetrayError(f"{store.path(stage.name, PARTIAL, MODEL, name)}: gone; run train again with --force")
        store.write_bytes(data, stage.name, MODEL, name)
    return Old(
        receipts,
        counts={"in": facts["in"], "kept": facts["kept"], "quarantined": facts["in"] - facts["kept"]},
        facts={"trainable_parameters": facts["trainable_parameters"], "boxes_left_out": facts["boxes_left_out"]},
        seeds={"train": config.train.seed},
        summary=[
            Table(
                f"after {config.train.epochs} epochs of training, on the split {VAL}",
                ("class", "AP", "AP50"),
                facts["last"],
            )
        ]
        if job.val
        else [],
        notes=[f"boxes not trained on: {count} ({reason})" for reason, count in facts["boxes_left_out"].items()],
    )


def learn(job: Job) -> Json:
    """Train on the job's images and write history, quarantine and, below ``_partial``, the model.

    The state after each epoch is kept there too, so that a training that was cut off goes on.
    """
    from detray.detectors.data import load
    from detray.detectors.training import EpochResult, train

    stage, config, store = job.stage, job.config, job.stage.store
    learned = _read(stage, TRAIN, job.train)
    classes = class_names(own_classes(learned.categories))
    if not classes:
        raise DetrayError("split train: no class to train; see the findings of 'detray audit'")
    data = load([learned], config.detector, classes, run=config.name)
    quarantine, validation, truth = data.quarantine, None, None
    names = dict(classes)
    if job.val:
        judged = _read(stage, VAL, job.val)
        names = class_names(own_classes(judged.categories)) | names
        validation = load([judged], config.detector, classes, run=config.name)
        quarantine = pa.concat_tables([quarantine, validation.quarantine])
        truth = read_scene(judged, EvaluateSettings()).gt
        names = {int(number): str(number) for number in np.unique(truth.category)} | names
    class_ids = sorted(names)

    def on_epoch(result: EpochResult) -> bool:
        rows: list[dict[str, object]] = [
            {
                "epoch": result.epoch,
                "split": TRAIN,
                "loss": result.loss,
                "class_loss": result.class_loss,
                "box_loss": result.box_loss,
                "learning_rate": result.learning_rate,
                "seconds": result.seconds,
            }
        ]
        if truth is not None and result.detections is not None:
            rows += [
                {
                    "epoch": result.epoch,
                    "split": VAL,
                    "category_id": number,
                    "category_name": names[number],
                    "ap": None if np.isnan(ap[0]) else ap.mean(),
                    "ap50": None if np.isnan(ap[0]) else ap[0],
                }
                for number in class_ids
                for ap in [_average_precision(truth, result.detections, number)]
            ]
        stage.write_scratch(_epoch(result.epoch), schema.from_rows("history", rows, run=config.name))
        return True

    checkpoint = Path(store.path(stage.name, PARTIAL, CHECKPOINT)) if store.is_local else None
    model = train(
        data,
        validation,
        config.detector,
        config.train,
        classes,
        predict=PredictSettings(),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    files = model.files()
    for name, content in files.items():
        store.write_bytes(content, stage.name, PARTIAL, MODEL, name)
    kept = len(data) + (len(validation) if validation is not None else 0)
    history = [stage.read_scratch(_epoch(epoch)) for epoch in range(1, config.train.epochs + 1)]
    return stage.write(
        "train",
        {"history": pa.concat_tables(history), "quarantine": quarantine},
        {
            "in": kept + quarantine.num_rows,
            "kept": kept,
            "boxes_left_out": data.boxes_left_out,
            "trainable_parameters": model.trainable_parameters,
            "files": list(files),
            "last": [
                [row["category_name"], row["ap"], row["ap50"]] for row in history[-1].to_pylist() if row["split"] == VAL
            ],
        },
    )


def _average_precision(truth: GroundTruth, detections: pa.Table, category_id: int) -> NDArray[np.float64]:
    """AP of one class by IoU threshold, ``[10]``; NaN without ground truth."""
    own = truth.category == category_id
    gt = GroundTruth(truth.image[own], truth.category[own], truth.box[own], truth.area[own], truth.crowd[own])
    found = detections.filter(pc.equal(detections["category_id"], category_id))
    dt = Detections(
        numpy(found, "image_id"),
        numpy(found, "category_id"),
        boxes(found),
        numpy(found, "score"),
        numpy(found, "rank").astype(np.int64),
    )
    return class_average_precision(gt, dt)


def _epoch(number: int) -> str:
    return f"epoch-{number:05d}"


def _read(stage: Stage, split: str, keys: tuple[ShardKey, ...]) -> Shard:
    """All images and annotations of a split, with the columns that training needs."""

    def shards() -> Iterator[Shard]:
        for key in keys:
            yield stage.store.read_shard(key, columns={"images": IMAGE_COLUMNS, "annotations": TRUTH_COLUMNS})

    found = list(shards())
    return Shard(
        split,
        pa.concat_tables([shard.images for shard in found]),
        pa.concat_tables([shard.annotations for shard in found]),
        found[0].categories,
    )


STAGE = StageDefinition(
    name="train",
    tables=("history",),
    sections=("detector", "train"),
    old=run,
    needs=lambda config: ("ingest",),
    inputs=lambda config: (config.detector.weights,) if config.detector.weights else (),
)
