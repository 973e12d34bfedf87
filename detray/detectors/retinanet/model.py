"""A trained RetinaNet: its network, what it was made for, its detections and its files."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from msgspec.structs import replace

from detray.arrays import Pixels
from detray.boxes import Reach
from detray.detectors.detector import Detections, Prepared
from detray.detectors.inputs import Stretch, stretch_to
from detray.detectors.model_file import read_model
from detray.detectors.retinanet.anchors import anchor_shapes
from detray.detectors.retinanet.decode import make_decoder
from detray.detectors.retinanet.freezing import leaves
from detray.detectors.retinanet.network import build_network
from detray.detectors.retinanet.pretrained import NETWORK_FILE, Weights, misfit, put
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import MIN_TOP, DetectorSettings, PredictSettings
from detray.detectors.weights import read_arrays
from detray.errors import DetrayError, UsageError

CARD_FILE = "model.json"
TIMED = 5
"""Batches that are timed."""
WHAT = "a folder that 'detray train' wrote"


class ModelClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class, in the order of the network's outputs."""

    category_id: int
    category_name: str


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in ``model.json`` beside the network."""

    kind: str
    classes: Annotated[tuple[ModelClass, ...], Meta(min_length=1)]
    detector: DetectorSettings
    frozen_layers: tuple[str, ...]
    trainable_parameters: int
    network_sha256: str


@dataclass(frozen=True)
class RetinaNet:
    """A network for ``classes`` (category_id to name, sorted by id), and how it detects (``predict``)."""

    network: Any
    classes: Mapping[int, str]
    settings: DetectorSettings
    predict: PredictSettings
    frozen_layers: tuple[str, ...]
    trainable_parameters: int

    @cached_property
    def _traced(self) -> Any:
        """The traced function from a full batch to decoded detections."""
        tf, _ = tensorflow()
        height, width = self.settings.input_height, self.settings.input_width
        decode = make_decoder(self.settings, self.predict)

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec((self.predict.batch_size, height, width, 3), tf.uint8)],
        )
        def run(images: Any) -> Any:
            outputs = self.network(images, training=False)
            return decode(outputs["logits"], outputs["boxes"])

        return run

    def prepare(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[h, w, 3]`` resized to the input size."""
        return stretch_to(self.settings)(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """The detections in any number of pictures.

        They run in batches of one fixed size, the last one filled up, so that a picture's detections
        are the same whatever it is batched with.
        """
        size = self.predict.batch_size
        found = []
        for start in range(0, len(pictures), size):
            batch = [picture.pixels for picture in pictures[start : start + size]]
            full = np.zeros((size, self.settings.input_height, self.settings.input_width, 3), np.uint8)
            np.stack(batch, out=full[: len(batch)])
            found.append([part.numpy()[: len(batch)] for part in self._traced(full)])
        if not found:
            found = [[np.zeros((0, 1, 4)), np.zeros((0, 1)), np.zeros((0, 1), np.int32), np.zeros(0, np.int32)]]
        boxes, scores, labels, counts = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if len(counts) != len(pictures):
            raise DetrayError(f"the detector answered {len(counts)} pictures of {len(pictures)}")
        counted = np.arange(scores.shape[1]) < counts[:, None]
        image, place = np.nonzero(counted)
        top, left, bottom, right = boxes[counted].astype(np.float64).T
        sizes = np.array([(picture.width, picture.height) for picture in pictures], np.float64).reshape(-1, 2)
        return Detections(
            image=image,
            category_id=np.array(list(self.classes), np.int64)[labels[counted]],
            boxes=np.stack([left, top, right - left, bottom - top], axis=1) * np.tile(sizes[image], 2),
            scores=scores[counted].astype(np.float64),
            rank=(place + 1).astype(np.int32),
        )

    def milliseconds(self) -> float:
        """What inference takes a picture, decoding of boxes included and reading of pictures not.

        The least of `TIMED` batches of zeros, after a first; wall time with a GPU, else CPU time of this process,
        in which work beside it does not show.
        """
        tf, _ = tensorflow()
        clock = perf_counter if tf.config.list_physical_devices("GPU") else process_time
        size = self.predict.batch_size
        batch = np.zeros((size, self.settings.input_height, self.settings.input_width, 3), np.uint8)
        taken = []
        for _ in range(TIMED + 1):
            start = clock()
            self._traced(batch)[-1].numpy()
            taken.append(clock() - start)
        return 1000 * min(taken[1:]) / size

    def files(self) -> dict[str, bytes]:
        """The model's files by name: the network in Keras's own layers and format, and the card."""
        portable = build_network(self.settings, len(self.classes), portable=True)
        portable.set_weights(self.network.get_weights())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, NETWORK_FILE)
            portable.save(path)
            network = path.read_bytes()
        card = Card(
            kind="retinanet",
            classes=tuple(ModelClass(number, name) for number, name in self.classes.items()),
            detector=replace(self.settings, top_level=self.settings.levels[-1]),
            frozen_layers=self.frozen_layers,
            trainable_parameters=self.trainable_parameters,
            network_sha256=hashlib.sha256(network).hexdigest(),
        )
        return {NETWORK_FILE: network, CARD_FILE: msgspec.json.format(msgspec.json.encode(card), indent=1)}


def load_retinanet(
    detector: DetectorSettings, path: str, predict: PredictSettings, *, trust_model: bool = False
) -> RetinaNet:
    """The model in the folder ``path`` (local or a URI), as `RetinaNet.files` gives it.

    ``detector`` and ``trust_model`` change nothing: the network is our own, built as the card says once the file is
    known to hold arrays of its shapes, and only these are taken of the file.

    Raises:
        DetrayError: a file is missing, damaged, or not of this kind.
    """
    card = _read_card(path)
    data = read_model(f"{path}/{NETWORK_FILE}", WHAT)
    if hashlib.sha256(data).hexdigest() != card.network_sha256:
        raise DetrayError(f"{path}/{NETWORK_FILE}: not the file that {CARD_FILE} was written with; train again")
    weights = read_arrays(data, f"{path}/{NETWORK_FILE}").layers
    return RetinaNet(
        network=_network(card, weights, path),
        classes=_classes(card),
        settings=card.detector,
        predict=predict,
        frozen_layers=card.frozen_layers,
        trainable_parameters=card.trainable_parameters,
    )


def _network(card: Card, weights: Weights, path: str) -> Any:
    """The network of ``card`` with the arrays of its file; nothing that these do not fill is made room for.

    Raises:
        DetrayError: they are of another network.
    """
    error = DetrayError(f"{path}: the network does not fit its {CARD_FILE}; train again")
    each = len(next(iter(anchor_shapes(card.detector).values())))
    outputs = [(weights.get(f"output_{name}") or (np.zeros(0),))[0].shape[-1] for name in ("class", "box")]
    if outputs != [each * len(card.classes), each * 4]:
        raise error
    network = build_network(card.detector, len(card.classes))
    layers = list(leaves(network.layers))
    if misfit(layers, weights):
        raise error
    put(layers, weights)
    return network


def read_retinanet_classes(detector: DetectorSettings, path: str) -> dict[int, str]:
    """category_id to name of the model in the folder ``path``; only its card is read.

    Raises:
        UsageError: the card is missing or damaged.
    """
    return _classes(_read_card(path))


def read_retinanet_prepare(detector: DetectorSettings, path: str) -> Stretch:
    """How the model in the folder ``path`` takes its pictures; only its card is read.

    Raises:
        UsageError: the card is missing or damaged.
    """
    return stretch_to(_read_card(path).detector)


def read_retinanet_reach(detector: DetectorSettings, path: str) -> Reach | None:
    """What the model in the folder ``path`` can see; only its card is read.

    Raises:
        UsageError: the card is missing or damaged.
    """
    return reach(_read_card(path).detector)


def reach(settings: DetectorSettings) -> Reach | None:
    """What a network of these settings can see; None where its anchors will be fitted to the data."""
    if settings.anchors == "auto":
        return None
    shapes = {shape for level in anchor_shapes(settings).values() for shape in level}
    return Reach(settings.input_width, settings.input_height, tuple(sorted(shapes)))


def _classes(card: Card) -> dict[int, str]:
    return {entry.category_id: entry.category_name for entry in card.classes}


def _read_card(path: str) -> Card:
    try:
        card = msgspec.json.decode(read_model(f"{path}/{CARD_FILE}", WHAT), type=Card)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}/{CARD_FILE}: {error}; train again") from None
    if card.kind != "retinanet":
        raise UsageError(f"{path}/{CARD_FILE}: holds a {card.kind}, not a retinanet")
    if len(_classes(card)) < len(card.classes):
        raise UsageError(f"{path}/{CARD_FILE}: a category_id stands there twice; train again")
    if card.detector.anchors == "auto":
        raise UsageError(f"{path}/{CARD_FILE}: does not say which anchors the network has; train again")
    if card.detector.top_level is None:  # written before there were higher levels
        card = replace(card, detector=replace(card.detector, top_level=MIN_TOP))
    return card
