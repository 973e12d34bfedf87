"""From images to the table predictions: decode, detect, name the classes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.ahead import ahead
from detray.arrays import Floats
from detray.detectors.data import quarantined
from detray.detectors.detector import Detector, Prepare, Prepared
from detray.detectors.inputs import read_input
from detray.detectors.settings import PredictSettings
from detray.meaning.settle import elsewhere
from detray.pictures import PictureError, fetching

DECODE_THREADS = 2

DECODED = pa.schema(
    [
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("shape", pa.list_(pa.int32())),
        pa.field("pixels", pa.large_binary()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""What `decode` adds to its images: a prepared picture, or why there is none."""

DETECTIONS = pa.schema(
    [
        *(
            schema.schema("predictions").field(name)
            for name in ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")
        ),
        pa.field("row", pa.int64(), nullable=False),
    ]
)
"""Detections, and which row of the images each is of."""

Answers = Iterator[tuple[int, Prepared | PictureError]]
"""The images' rows in order, each with its picture or why there is none."""


@dataclass(frozen=True)
class Predicted:
    """Of some images: rows of the table predictions in the images' order, best first within an image; and
    of the table quarantine, one for each picture that could not be read."""

    predictions: pa.Table
    quarantine: pa.Table


@dataclass(frozen=True)
class Inference:
    """A loaded detector, and what its predictions are called.

    Images are tables with the columns split (the same in all rows), image_id, file_name and path.

    ``labels`` says, by split and the detector's class id, which class of the data that is and its name;
    ``batch_size`` how many pictures are detected at once. Threads may share an inference: while one detects,
    the next decodes, so that the detector waits for pictures only where decoding them is what takes longest.
    Of ``settings`` the score thresholds by class are applied here, where classes have names.
    """

    detector: Detector
    labels: Mapping[str, Mapping[int, tuple[int, str]]]
    model: str
    run: str
    stage: str
    batch_size: int
    settings: PredictSettings = field(default_factory=PredictSettings)
    _turn: Lock = field(default_factory=Lock)

    def predict(self, images: pa.Table) -> Predicted:
        """Decode and detect: two threads decode the next batches while one is detected."""
        return self._predicted(images, enumerate(self._pictures(images)))

    def detect(self, pictures: pa.Table) -> Predicted:
        """The same from what `decode` made of the images."""
        return self._predicted(pictures, _decoded(pictures))

    def unnamed(self, images: pa.Table) -> pa.Table:
        """The detections (`DETECTIONS`) with the detector's own class ids; of pictures that cannot be read none."""
        return self._detections(images, enumerate(self._pictures(images)), {})

    def _pictures(self, images: pa.Table) -> Iterator[Prepared | PictureError]:
        import cv2

        cv2.setNumThreads(1)  # its threads would be as nice as the first of these that calls it
        read = partial(read_input, prepare=self.detector.prepare)
        return ahead(
            read, fetching(images["path"].to_pylist()), threads=DECODE_THREADS, depth=2 * self.batch_size, yields=True
        )

    def _predicted(self, images: pa.Table, answers: Answers) -> Predicted:
        failures: dict[int, PictureError] = {}
        found = self._detections(images, answers, failures)
        return Predicted(self._named(found, images), quarantined(images, failures, run=self.run, stage=self.stage))

    def _detections(self, images: pa.Table, answers: Answers, failures: dict[int, PictureError]) -> pa.Table:
        """The detections; what could not be read is put into ``failures``, by row."""
        image_ids = images["image_id"].to_numpy()
        readable = _readable(answers, failures)
        parts = [DETECTIONS.empty_table()]
        first = list(islice(readable, 1))  # decoding ahead begins here, and not when it is this call's turn
        readable = chain(first, readable)
        with self._turn:
            while batch := list(islice(readable, self.batch_size)):
                rows = np.array([row for row, _ in batch])
                detections = self.detector.detect([picture for _, picture in batch])
                columns = detections.columns(image_ids[rows]) | {"row": rows[detections.image]}
                parts.append(pa.table(columns, schema=DETECTIONS))
        return pa.concat_tables(parts)

    def _named(self, rows: pa.Table, images: pa.Table) -> pa.Table:
        """Detections as rows of the table predictions."""
        if not rows.num_rows:
            return schema.empty("predictions")
        ids, names = named(rows["category_id"].combine_chunks(), self.labels[images["split"][0].as_py()])
        if self.settings.score_thresholds:
            stay = pa.array(rows["score"].to_numpy() > _lowest(names, self.settings))
            rows, ids, names = rows.filter(stay), ids.filter(stay), names.filter(stay)
        taken = images.select(["split", "file_name"]).take(rows["row"])
        return schema.from_columns(
            "predictions",
            {name: rows[name] for name in rows.column_names if name != "row"}
            | {
                "model": pa.repeat(pa.scalar(self.model), rows.num_rows),
                "split": taken["split"],
                "file_name": taken["file_name"],
                "category_id": ids,
                "category_name": names,
            },
            run=self.run,
        )


def _lowest(names: pa.Array, settings: PredictSettings) -> Floats:
    """The score that detections of each class need at least."""
    stated = settings.score_thresholds
    place = pc.index_in(names, value_set=pa.array(list(stated), pa.string()))
    found = pa.array(list(stated.values()), pa.float64()).take(place)
    return np.asarray(pc.fill_null(found, settings.score_threshold).to_numpy())


def named(ids: pa.Array, labels: Mapping[int, tuple[int, str]]) -> tuple[pa.Array, pa.Array]:
    """The data's ids and names of a detector's class ids; those without a label are called by their number."""
    taken = {number for number, _ in labels.values()}
    unknown = [k for k in pc.unique(ids).to_pylist() if k not in labels]
    known = dict(labels) | {k: (elsewhere(k, taken), str(k)) for k in unknown}
    place = pc.index_in(ids, value_set=pa.array(list(known), pa.int64()))
    numbers = pa.array([number for number, _ in known.values()], pa.int64())
    return numbers.take(place), pa.array([name for _, name in known.values()], pa.string()).take(place)


def decode(images: pa.Table, prepare: Prepare, *, threads: int = DECODE_THREADS) -> pa.Table:
    """``images`` with the columns `DECODED`: what `Inference.detect` takes, made where there is no detector.

    ``prepare`` as `DetectorKind.read_prepare` gives it. All pictures are in memory at once.
    """
    read = partial(read_input, prepare=prepare)
    answers = ahead(read, fetching(images["path"].to_pylist()), threads=threads, depth=2 * threads)
    columns = pa.Table.from_pylist([_as_row(answer) for answer in answers], DECODED)
    for name in DECODED.names:
        images = images.append_column(DECODED.field(name), columns[name])
    return images


def _as_row(answer: Prepared | PictureError) -> dict[str, object]:
    if isinstance(answer, PictureError):
        return {"reason": answer.reason, "detail": answer.detail}
    pixels = answer.pixels
    return {"width": answer.width, "height": answer.height, "shape": pixels.shape, "pixels": pixels.tobytes()}


def _decoded(pictures: pa.Table) -> Answers:
    for row, values in enumerate(zip(*(pictures[name] for name in DECODED.names), strict=True)):
        width, height, shape, pixels, reason, detail = values
        if reason.is_valid:
            yield row, PictureError(reason.as_py(), detail.as_py())
        else:
            array = np.frombuffer(pixels.as_buffer(), np.uint8).reshape(shape.as_py())
            yield row, Prepared(array, width.as_py(), height.as_py())


def _readable(answers: Answers, failures: dict[int, PictureError]) -> Iterator[tuple[int, Prepared]]:
    for row, answer in answers:
        if isinstance(answer, PictureError):
            failures[row] = answer
        else:
            yield row, answer
