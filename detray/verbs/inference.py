"""Detections by a detector: actors that each load it once, decode pictures and detect, chunk by chunk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray import schema
from detray.detectors.ahead import ahead
from detray.detectors.catalogue import detector_kind
from detray.detectors.data import quarantined, require_paths
from detray.detectors.detector import Detector
from detray.detectors.inputs import read_input
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.formats.label_map import read_category_map
from detray.pictures import PictureError
from detray.store import Json, ShardKey, Stage, absolute
from detray.verbs.base import Context, Old, Table
from detray.verbs.precomputed import names_of

CHUNK_IMAGES = 256
"""Images a task: fewer cost more in starting tasks than they gain in evenness."""

DECODE_THREADS = 2

DETECTIONS = pa.schema(
    [
        *(
            schema.schema("predictions").field(name)
            for name in ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")
        ),
        pa.field("row", pa.int64(), nullable=False),
    ]
)
"""What `detect` gives."""


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
    classes = detector_kind(config.detector.kind).read_classes(path)
    keys = store.shards(config.predict.splits)
    tasks = {chunk.name: chunk for chunk in _cut(keys, context.executor.workers)}
    model = model_name(config.detector.path)
    own = {split: names_of(store, split) for split in config.predict.splits}
    meant = {split: read_category_map(config.predict.category_map, names) for split, names in own.items()}
    labels = {split: _labels(classes, meant[split], own[split]) for split in own}
    build = partial(Inference, stage, config.name, model, path, config.detector, config.predict, labels)
    receipts = context.run_tasks("detect", None, tasks, done, build=build, gpus=config.cluster.gpus_per_actor)
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


def model_name(path: str | None) -> str:
    """What the column ``model`` says: the last part of the detector's path that is not just ``model``."""
    if path is None:
        return "retinanet"
    parts = [part for part in PurePosixPath(path).parts if part not in ("model", "/", ".", "..")]
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


class Inference:
    """What an actor keeps: the loaded detector. Called with a chunk it writes that shard.

    ``labels`` says, by split and the detector's class id, which class of the data that is and its name.
    """

    def __init__(
        self,
        stage: Stage,
        run: str,
        model: str,
        path: str,
        settings: DetectorSettings,
        predict: PredictSettings,
        labels: Mapping[str, Mapping[int, tuple[int, str]]],
    ) -> None:
        self._stage = stage
        self._run = run
        self._model = model
        self._batch_size = predict.batch_size
        self._labels = labels
        self._detector: Detector = detector_kind(settings.kind).load(path, predict)

    def __call__(self, chunk: Chunk) -> Json:
        images = _images(self._stage, chunk.key).slice(chunk.start, chunk.stop - chunk.start)
        if images.num_rows:
            require_paths(images)
        rows, failures = detect(self._detector, images, self._batch_size)
        return self._stage.write(
            chunk.name,
            {
                "predictions": self._predictions(rows, images, self._labels[chunk.key.split]),
                "quarantine": quarantined(images, failures, run=self._run, stage=self._stage.name),
            },
            {"in": images.num_rows, "kept": images.num_rows - len(failures), "detections": rows.num_rows},
        )

    def _predictions(self, rows: pa.Table, images: pa.Table, labels: Mapping[int, tuple[int, str]]) -> pa.Table:
        columns = {name: rows[name] for name in rows.column_names if name != "row"}
        taken = images.take(rows["row"])
        ids, names = (pa.array(values) for values in zip(*labels.values(), strict=True))
        label = pa.compute.index_in(rows["category_id"], value_set=pa.array(list(labels), pa.int64())).combine_chunks()
        return schema.from_columns(
            "predictions",
            columns
            | {
                "model": pa.repeat(pa.scalar(self._model), rows.num_rows),
                "split": taken["split"],
                "file_name": taken["file_name"],
                "category_id": ids.take(label),
                "category_name": names.take(label),
            },
            run=self._run,
        )


def _images(stage: Stage, key: ShardKey) -> pa.Table:
    """The images of a shard, the first of each id, in the order of their ids."""
    images = stage.store.read_range("images", key, ("split", "image_id", "file_name", "path"))
    images = images.filter(images["image_id"].is_valid())
    _, first = np.unique(images["image_id"].to_numpy(), return_index=True)
    return images.take(pa.array(first, pa.int64()))


def detect(detector: Detector, images: pa.Table, batch_size: int) -> tuple[pa.Table, dict[int, PictureError]]:
    """The detections of ``images`` (columns image_id and path), and what could not be read, by row.

    Threads decode the next batches while one is detected. The detections have the columns of
    `Detections.columns`, and ``row``, their image's row.
    """
    failures: dict[int, PictureError] = {}
    image_ids = images["image_id"].to_numpy()
    inputs = _inputs(images["path"].to_pylist(), detector, 2 * batch_size, failures)
    found = [DETECTIONS.empty_table()]
    while batch := list(islice(inputs, batch_size)):
        rows, pixels, sizes = (np.array(part) for part in zip(*batch, strict=True))
        detections = detector.detect(pixels)
        columns = detections.columns(image_ids[rows], sizes) | {"row": rows[detections.image]}
        found.append(pa.table(columns, schema=DETECTIONS))
    return pa.concat_tables(found), failures


def _inputs(
    paths: list[str], detector: Detector, depth: int, failures: dict[int, PictureError]
) -> Iterator[tuple[int, NDArray[np.uint8], tuple[int, int]]]:
    """Row, resized pixels and displayed size of each picture that can be read; the others go to ``failures``."""

    def read(row: int) -> tuple[NDArray[np.uint8], tuple[int, int]] | PictureError:
        try:
            return read_input(paths[row], detector.input_height, detector.input_width)
        except PictureError as error:
            return error

    for row, answer in enumerate(ahead(read, range(len(paths)), threads=DECODE_THREADS, depth=depth)):
        if isinstance(answer, PictureError):
            failures[row] = answer
        else:
            yield row, *answer
