"""A ``.keras`` file: what it says of itself, read without Keras."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from detray.detectors.archive import HDF5, require_bounded
from detray.detectors.io import InputKind
from detray.detectors.model_file import read_model
from detray.detectors.retinanet.model import CARD_FILE
from detray.detectors.retinanet.pretrained import NETWORK_FILE
from detray.detectors.saved_model.signature import Port, Signature
from detray.errors import UsageError
from detray.store import Store

CONFIG = "config.json"
MAX_CONFIG = 64 << 20
HUB = "keras_hub"
_KINDS: Mapping[str, InputKind] = {"uint8": "uint8", "float32": "float32", "float16": "float32", "bfloat16": "float32"}


@dataclass(frozen=True)
class Package:
    """The file at ``path``. ``config``: what Keras makes the model from; ``needs_hub``: KerasHub has its layers."""

    path: str
    data: bytes
    config: Mapping[str, Any]
    needs_hub: bool

    @property
    def hub_class(self) -> str | None:
        """Its class, where that is one of KerasHub's."""
        name = str(self.config.get("registered_name") or "")
        return name.removeprefix(f"{HUB}>") if name.startswith(f"{HUB}>") else None

    @property
    def rescales(self) -> bool:
        """Whether a layer of it brings pixels of 0 to 255 into the range that the rest takes."""
        return any(part.get("class_name") in ("Rescaling", "Normalization") for part in _parts(self.config))

    def signature(self) -> Signature:
        """Its input and outputs by name; the outputs' shapes are not known before it is built.

        Raises:
            UsageError: it does not take pictures, or is of a class of its own.
        """
        inside = self.config.get("config")
        layers = inside.get("layers") if isinstance(inside, dict) else None
        if not isinstance(inside, dict) or not isinstance(layers, list):
            raise UsageError(
                f"{self.path}: a {self.config.get('class_name')}, which does not say what it takes and gives; make it a"
                " functional model with named outputs, or export a SavedModel"
            )
        inputs = [part["config"] for part in layers if _is(part, "InputLayer")]
        if len(inputs) != 1 or _shape(inputs[0]) is None:
            raise UsageError(f"{self.path}: takes {len(inputs)} inputs; a detector takes pictures and nothing else")
        stated = str(inputs[0].get("dtype", "float32"))
        port = Port(str(inputs[0].get("name", "input")), stated, _shape(inputs[0]))
        if stated not in _KINDS or not port.fits(None, None, None, 3):
            raise UsageError(f"{self.path}: takes {port}; a detector takes pictures [batch, height, width, 3]")
        names = output_names(inside.get("output_layers"))
        return Signature("", port, _KINDS[stated], {name: Port(name, "float32", None) for name in names})


def read_package(path: str) -> Package:
    """The file at ``path``, local or a URI.

    Raises:
        UsageError: there is none, it is no ``.keras`` file, holds code, or is larger unpacked than what is read.
    """
    data = read_model(path, "a .keras file")
    if _is_ours(path):
        raise UsageError(f"{path}: trained by detray; set detector.kind to retinanet and detector.path to its folder")
    if data.startswith(HDF5):
        raise UsageError(
            f"{path}: saved as .h5, which may hold code and is not read; save it as .keras with model.save"
        )
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise UsageError(f"{path}: no .keras file; detector.path names one")
    require_bounded(data, path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(CONFIG) as file:
            text = file.read(MAX_CONFIG)
        config = json.loads(text)
    except (KeyError, ValueError, RecursionError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError):
        config = None
    if not isinstance(config, dict) or "class_name" not in config:
        raise UsageError(f"{path}: its {CONFIG} cannot be read; save it as .keras with model.save")
    if any(part.get("class_name") == "Lambda" for part in _parts(config)):
        raise UsageError(f"{path}: has a Lambda layer, which is code and is not run; export a SavedModel")
    hub = any(str(part.get("module", "")).startswith(HUB) for part in _parts(config))
    return Package(path, data, config, hub)


def _is_ours(path: str) -> bool:
    """Whether the card of a network that detray trained lies beside a file."""
    folder, _, name = path.rpartition("/")
    store = Store(folder or ".")
    return name == NETWORK_FILE and bool(store.fs.get_file_info(store.path(CARD_FILE)).is_file)


def output_names(stated: Any) -> list[str]:
    """The names of the outputs as a configuration has them: keys of a dictionary, else of the layers they are from."""
    if isinstance(stated, dict):
        return [str(name) for name in stated]
    if not isinstance(stated, list) or not stated:
        return []
    several = stated if isinstance(stated[0], list) else [stated]
    return [str(one[0]) for one in several if isinstance(one, list) and one]


def _shape(config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    shape = config.get("batch_shape")
    sides = shape if isinstance(shape, list) else None
    return None if sides is None else tuple(side if isinstance(side, int) else None for side in sides)


def _is(part: Any, name: str) -> bool:
    return isinstance(part, dict) and part.get("class_name") == name and isinstance(part.get("config"), dict)


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """All dictionaries within a configuration, itself included."""
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
