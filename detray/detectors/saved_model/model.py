"""A SavedModel that runs: pictures in batches as its signature takes them, its answers as detections."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from detray.arrays import Bytes, Floats, Pixels
from detray.detectors.answers import Answer, detections, to_corners
from detray.detectors.detector import Detections, Prepare, Prepared
from detray.detectors.inputs import preparation
from detray.detectors.io import Layout, Role
from detray.detectors.ranges import RANGES
from detray.detectors.raw.decode import sigmoid
from detray.detectors.raw.select import select
from detray.detectors.raw.yolo import split_ended, split_yolo
from detray.detectors.runtime import tensorflow
from detray.detectors.saved_model.metadata import UltralyticsCard, read_card
from detray.detectors.saved_model.package import Package, read_package
from detray.detectors.saved_model.resolve import read_layout
from detray.detectors.saved_model.scan import require_harmless, without_saver
from detray.detectors.saved_model.signature import read_signature
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.errors import DetrayError

Outputs = Mapping[Role, Floats]


@dataclass(frozen=True)
class SavedModel:
    """A loaded model, from ``path``. ``module``: as TensorFlow loads it; ``input_name``: of its signature's one input;
    ``is_even``: it says as much of each picture of one shape, however many it finds."""

    path: str
    module: Any
    input_name: str
    classes: Mapping[int, str]
    layout: Layout
    predict: PredictSettings
    is_even: bool

    @property
    def _step(self) -> int:
        """Pictures that the model takes at once: what its signature says, else one number whatever the batch, since
        the last bits of an answer may depend on it."""
        if self.layout.batch is not None:
            return self.layout.batch
        return 1 if self.layout.resize == "none" else self.predict.batch_size

    @cached_property
    def _traced(self) -> Any:
        """From ``[m, step, ...]`` pictures or strings to the outputs by role, ``[m, step, ...]``."""
        tf, _ = tensorflow()
        function, texts = self.module.signatures[self.layout.signature], self.layout.is_text
        sides, kind = ((), tf.string) if texts else ((None, None, 3), tf.uint8)

        def answer(batch: Any) -> Any:
            given = function(**{self.input_name: batch if texts else _values(batch, self.layout)})
            return {role: tf.cast(given[name], tf.float32) for role, name in self.layout.outputs.items()}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, self._step, *sides), kind)])
        def run(pictures: Any) -> Any:
            kinds = {role: tf.TensorSpec(None, tf.float32) for role in self.layout.outputs}
            return tf.map_fn(answer, pictures, fn_output_signature=kinds, parallel_iterations=1)

        return run

    def prepare(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` as the layout says."""
        return preparation(self.layout)(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """The detections in any number of pictures, in batches of pictures of one shape.

        The last batch is filled up, so that a picture's detections are the same whatever it is batched with.
        """
        answers: dict[int, Answer] = {}
        for rows in self._batches(pictures):
            batch = self._batch([pictures[row].pixels for row in rows])
            found = self._outputs(batch)
            for number, row in enumerate(rows):
                place = divmod(number, self._step)
                answers[row] = self._answer({role: values[place] for role, values in found.items()})
        ordered = [answers[row] for row in range(len(pictures))]
        layout = replace(self.layout, box_unit="share") if "info" in self.layout.outputs else self.layout
        return detections(ordered, pictures, layout, self.predict)

    def _outputs(self, batch: Any) -> Outputs:
        """What the model answers, ``[m, step, ...]``.

        Raises:
            DetrayError: it fails.
        """
        tf, _ = tensorflow()
        try:
            return {role: values.numpy().astype(np.float64) for role, values in self._traced(batch).items()}
        except tf.errors.OpError as error:
            lines = [line.strip() for line in error.message.splitlines()]  # where it was defined, why, where it ran
            line = next((line for line in reversed(lines) if line and not line.startswith("[[")), type(error).__name__)
            shape = "" if self.layout.is_text else f" of {batch.shape[-2]} x {batch.shape[-3]} px"
            raise DetrayError(f"{self.path}: the model fails on pictures{shape} ({line[:200]})") from None

    def _batches(self, pictures: Sequence[Prepared]) -> Iterator[list[int]]:
        """Rows of pictures that are given together."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, picture in enumerate(pictures):
            groups[() if self.layout.is_text else picture.pixels.shape].append(row)
        size = max(self._step, self.predict.batch_size // self._step * self._step) if self.is_even else self._step
        for rows in groups.values():
            yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def _batch(self, pixels: Sequence[Bytes]) -> Any:
        """Pictures or strings ``[m, step, ...]``, the last step filled up with empty ones."""
        fill = -len(pixels) % self._step
        if self.layout.is_text:
            tf, _ = tensorflow()
            texts = [_encoded(picture, self.layout) for picture in (*pixels, *[pixels[0]] * fill)]
            return tf.reshape(tf.constant(texts, tf.string), (-1, self._step))
        full = np.zeros((len(pixels) + fill, *pixels[0].shape), np.uint8)
        np.stack(pixels, out=full[: len(pixels)])
        return full.reshape(-1, self._step, *pixels[0].shape)

    def _answer(self, given: Outputs) -> Answer:
        """What the model says of one picture; classes count from the layout's base."""
        layout = self.layout
        if set(given) == {"boxes"}:
            return self._fused(given["boxes"])
        boxes = given["boxes"].reshape(given["boxes"].size // 4, 4)
        if "info" in given and layout.box_unit == "input_pixel":  # original, desired, scale: y and x of each
            boxes = boxes / np.tile(given["info"][2] * given["info"][0], 2)
        if "classes" in given:
            rows = slice(None if "count" not in given else int(np.rint(given["count"]).item()))
            return Answer(boxes[rows], given["scores"].reshape(-1)[rows], given["classes"].reshape(-1)[rows])
        scores = given["scores"] if "scores" in given else sigmoid(given["logits"])
        return self._selected(boxes, scores)

    def _fused(self, output: Floats) -> Answer:
        if self.layout.suppresses:
            return Answer(*split_ended(output))
        return self._selected(*split_yolo(output, len(self.classes) or None))

    def _selected(self, boxes: Floats, scores: Floats) -> Answer:
        found = select(boxes, to_corners(boxes, self.layout.box_order), scores, self.predict)
        return Answer(found.boxes, found.scores, found.classes + self.layout.class_base)


def _values(pixels: Any, layout: Layout) -> Any:
    """uint8 pixels ``[..., 3]`` as the type and range that the model takes."""
    tf, _ = tensorflow()
    if layout.input == "int8":
        return tf.cast(tf.cast(pixels, tf.int32) - 128, tf.int8)
    if layout.input in ("uint8", "int32"):
        return tf.cast(pixels, layout.input)
    scaling = RANGES[layout.input_range]
    values = tf.cast(pixels, tf.float32) * scaling.scale + scaling.offset
    return tf.cast(values[..., ::-1] if scaling.bgr else values, layout.input)


def _encoded(pixels: Pixels, layout: Layout) -> bytes:
    """A picture as PNG, or as an Example that holds one."""
    import cv2

    png = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    if layout.input == "picture":
        return png
    tf, _ = tensorflow()
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(png)
    feature["image/format"].bytes_list.value.append(b"png")
    feature["image/height"].int64_list.value.append(pixels.shape[0])
    feature["image/width"].int64_list.value.append(pixels.shape[1])
    return bytes(example.SerializeToString())


def load_saved_model(
    detector: DetectorSettings, path: str, predict: PredictSettings, *, trust_model: bool
) -> SavedModel:
    """The model in the folder ``path``, local or a URI; without trust what it could do beyond detecting is left out.

    Raises:
        UsageError: there is none, it cannot be read, or it may not be run.
        DetrayError: TensorFlow does not load it.
    """
    package = read_package(path)
    layout, card = read_layout(package, detector), read_card(package)
    signature = read_signature(package, layout.signature)
    graph = None if trust_model else harmless(package)
    tf, _ = tensorflow()
    with package.copied(graph) as folder:
        try:
            module = tf.saved_model.load(folder)
        except Exception as error:  # TensorFlow raises almost anything on a model it does not like
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise DetrayError(f"{path}: TensorFlow does not load it ({line.replace(folder, path)[:200]})") from None
    rows = signature.outputs[layout.outputs["boxes"]].shape
    return SavedModel(
        path=path,
        module=module,
        input_name=signature.input.name,
        classes=_classes(card, detector),
        layout=layout,
        predict=predict,
        is_even=layout.resize != "none" or (rows is not None and None not in rows[1:]),
    )


def check_saved_model(detector: DetectorSettings, path: str, *, trust_model: bool) -> None:
    """Refuse what `load_saved_model` would.

    Raises:
        UsageError: as there.
    """
    package = read_package(path)
    read_layout(package, detector)
    if not trust_model:
        harmless(package)


def harmless(package: Package) -> Any:
    """The model's graph without what saves and restores, if nothing else in it reaches out.

    Raises:
        UsageError: something does.
    """
    graph = without_saver(package.graph)
    require_harmless(graph, package.path)
    return graph


def read_saved_model_classes(detector: DetectorSettings, path: str) -> dict[int, str]:
    """The names in an Ultralytics export's metadata; other SavedModels do not name their classes.

    Raises:
        UsageError: there is no such model.
    """
    return _classes(read_card(read_package(path)), detector)


def _classes(card: UltralyticsCard | None, detector: DetectorSettings) -> dict[int, str]:
    names = {} if card is None else card.names
    return {number + (detector.io.class_base or 0): name for number, name in names.items()}


def read_saved_model_prepare(detector: DetectorSettings, path: str) -> Prepare:
    """How the model in the folder ``path`` takes its pictures.

    Raises:
        UsageError: there is no such model, or it may be read in several ways.
    """
    return preparation(read_saved_model_layout(detector, path))


def read_saved_model_layout(detector: DetectorSettings, path: str) -> Layout:
    """What the model in the folder ``path`` takes and gives.

    Raises:
        UsageError: there is no such model, or it may be read in several ways.
    """
    return read_layout(read_package(path), detector)
