"""The arrays of Keras's weight files, by layer. Nothing of a file but arrays and names is read."""

import io
import zipfile
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detray.arrays import Floats32
from detray.detectors.archive import HDF5, require_bounded
from detray.errors import UsageError

Items = dict[str, Any]
"""The groups and datasets of an HDF5 file by path."""

MEMBER = "model.weights.h5"
"""The arrays of a ``.keras`` file."""


@dataclass(frozen=True)
class Arrays:
    """What a file holds.

    ``layers``: by layer name, arrays in the order of Keras's ``layer.weights``. Files of Keras before 3.10 do not
    hold names: ``layout`` numbered; their places are the keys, such as ``layers/conv2d_3`` (class and number). In
    those of Keras 2 (``ordered``) the layers come in the model's order.
    """

    layers: dict[str, tuple[Floats32, ...]]
    layout: Literal["named", "numbered", "ordered"]


def read_arrays(data: bytes, place: str) -> Arrays:
    """The arrays in a ``.keras``, ``.weights.h5`` or ``.h5`` file of Keras 2 or 3.

    Links are not followed, nor arrays that lie in another file.

    Raises:
        UsageError: it is no such file, damaged, or larger than what is read; ``place`` names it.
    """
    require_bounded(data, place)
    import h5py

    try:
        if not data.startswith(HDF5):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(MEMBER)
        with h5py.File(io.BytesIO(data), "r") as file:
            items: Items = {"": file}
            file.visititems(items.__setitem__)  # each once; links that are not to things in the file are not followed
            root = _root(items)
            return _of_keras_3(items) if root is None else _of_keras_2(items, root)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise UsageError(f"{place}: holds no weights of Keras that can be read ({str(error)[:200]})") from None


def _of_keras_3(items: Items) -> Arrays:
    found: dict[str, dict[int, Floats32]] = {}
    named = True
    for path, item in items.items():
        folder, _, number = path.rpartition("/")
        if _is_array(item) and folder.endswith("/vars") and number.isdecimal():
            name = item.parent.attrs.get("name")
            named = named and isinstance(name, str)
            place = folder.removesuffix("/vars").replace("_layer_checkpoint_dependencies/", "layers/")
            found.setdefault(name if isinstance(name, str) else place, {})[int(number)] = _array(item)
    layers = {name: tuple(array for _, array in sorted(arrays.items())) for name, arrays in found.items()}
    return Arrays(layers, "named" if named else "numbered")


def _of_keras_2(items: Items, root: str) -> Arrays:
    found: dict[str, list[Floats32]] = {}
    for layer in map(_text, items[root].attrs["layer_names"]):
        folder = f"{root}/{layer}" if root else layer
        for weight in map(_text, items[folder].attrs["weight_names"]):
            item = items.pop(f"{folder}/{weight}")  # which is read once, however often it is named
            name = weight.rpartition("/")[0] or layer
            found.setdefault(name.replace("/", "_"), []).append(_array(item))
    return Arrays({name: tuple(arrays) for name, arrays in found.items()}, "ordered")


def _root(items: Items) -> str | None:
    """The group that lists layers in files of Keras 2: the file itself, or its part where it holds a whole model."""
    return next((path for path in ("", "model_weights") if path in items and "layer_names" in items[path].attrs), None)


def _is_array(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _array(item: Any) -> Floats32:
    """The values of a dataset; where they are no floating-point numbers, or lie in another file, no layer's."""
    if not _is_array(item) or item.external or item.is_virtual or item.dtype.kind != "f":
        return np.zeros(0, np.float32)
    return np.asarray(item[()], np.float32)
