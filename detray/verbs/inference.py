"""Detections by a detector: actors that each load it once, decode pictures and detect, chunk by chunk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from detray.detectors.catalogue import detector_kind
from detray.detectors.inference import Inference
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.formats.label_map import read_category_map
from detray.store import Json, ShardKey, Stage, absolute
from detray.verbs.base import Context, Old, Table
from detray.verbs.precomputed import names_of

CHUNK_IMAGES = 256
"""Images a task: fewer cost more in starting tasks than they gain in evenness."""
CHUNKS_AT_ONCE = 2
"""In one actor: the second one's pictures are decoded while the first one's are detected and written."""


@dataclass(frozen=True)
class Chunk:
    """The images at ``start`` to ``stop`` of a shard, in the order of their ids."""

    name: str
    key: ShardKey
    start: int
    stop: int


def infer(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Run the configured detector over the images of ``predict.splits``."""
    config, store = context.config, context.store
    path = absolute(config.detector.path or f"{store.root.rstrip('/')}/train/model")
    classes = detector_kind(config.detector).read_classes(path)
    keys = store.shards(config.predict.splits)
    tasks = {chunk.name: chunk for chunk in _cut(keys, context.executor.workers)}
    model = model_name(config.detector)
    own = {split: names_of(store, split) for split in config.predict.splits}
    meant = {split: read_category_map(config.predict.category_map, names) for split, names in own.items()}
    labels = {split: _labels(classes, meant[split], own[split]) for split in own}
    build = partial(
        Predictor, stage, config.name, model, path, config.detector, config.predict, labels, context.trust_model
    )
    receipts = context.run_tasks(
        "detect", None, tasks, done, build=build, gpus=config.cluster.gpus_per_actor, at_once=CHUNKS_AT_ONCE
    )
    total = {name: sum(receipt["facts"][name] for receipt in receipts) for name in ("in", "kept", "detections")}
    return Old(
        receipts,
        counts={"in": total["in"], "kept": total["kept"], "quarantined": total["in"] - total["kept"]},
        facts={"model": model},
        summary=[Table("detections", ("model", "images", "detections"), [[model, total["kept"], total["detections"]]])],
        notes=[
            f"split {split}: the model has no class {', '.join(unknown)}"
            + (f"; it has {len(classes)} classes, the data {len(names)}" if len(classes) != len(names) else "")
            for split, names in own.items()
            if (unknown := [name for k, name in names.items() if (k, name) not in labels[split].values()])
        ],
    )


def model_name(settings: DetectorSettings) -> str:
    """What the column ``model`` says: the last part of the detector's path that is not just ``model``."""
    if settings.path is None:
        return settings.kind
    parts = [part for part in PurePosixPath(settings.path).parts if part not in ("model", "/", ".", "..")]
    return PurePosixPath(parts[-1]).stem if parts else "model"


def _labels(classes: Mapping[int, str], meant: Mapping[int, int], own: Mapping[int, str]) -> dict[int, tuple[int, str]]:
    """By the detector's class id: the data set's id and name; its own where ``meant`` says nothing of it."""
    return {k: (meant[k], own.get(meant[k], name)) if k in meant else (k, name) for k, name in classes.items()}


def _cut(keys: list[ShardKey], workers: int) -> Iterator[Chunk]:
    """Chunks of at most `CHUNK_IMAGES`, and small enough that every worker gets some."""
    size = min(CHUNK_IMAGES, max(1, -(-sum(key.n_images for key in keys) // (2 * workers))))
    for key in keys:
        for start in range(0, max(key.n_images, 1), size):
            yield Chunk(f"{key.name}-{start:09d}", key, start, start + size)


class Predictor:
    """What an actor keeps: the loaded detector. Called with a chunk it writes that shard."""

    def __init__(
        self,
        stage: Stage,
        run: str,
        model: str,
        path: str,
        settings: DetectorSettings,
        predict: PredictSettings,
        labels: Mapping[str, Mapping[int, tuple[int, str]]],
        trust_model: bool,
    ) -> None:
        self._stage = stage
        kind = detector_kind(settings)
        detector = kind.load(path, predict, trust_model=trust_model)
        self._inference = Inference(detector, labels, model, run, stage.name, kind.batch_size(predict.batch_size))

    def __call__(self, chunk: Chunk) -> Json:
        images = _images(self._stage, chunk.key).slice(chunk.start, chunk.stop - chunk.start)
        predicted = self._inference.predict(images)
        failures = predicted.quarantine.num_rows
        return self._stage.write(
            chunk.name,
            {"predictions": predicted.predictions, "quarantine": predicted.quarantine},
            {
                "in": images.num_rows,
                "kept": images.num_rows - failures,
                "detections": predicted.predictions.num_rows,
            },
        )


def _images(stage: Stage, key: ShardKey) -> pa.Table:
    """The images of a shard, the first of each id, in the order of their ids."""
    images = stage.store.read_range("images", key, ("split", "image_id", "file_name", "path"))
    images = images.filter(images["image_id"].is_valid())
    _, first = np.unique(images["image_id"].to_numpy(), return_index=True)
    return images.take(pa.array(first, pa.int64()))
