"""Pretrained weights of a backbone from a package registry: MobileNetV2 as npm's ``nsfwjs`` 4.3.0 (MIT) ships it.

Run ``python benchmarks/pretrained.py mobilenet_v2.weights.h5`` (needs npm; 25 MB). The package is unpacked in a folder
that is thrown away, and none of its code is run: its arrays, of 8 bits, are read out of the text of its scripts and
saved as Keras saves weights. 98 of the 161 layers are as published for ImageNet, the later ones were trained further.
"""

import argparse
import base64
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from detray.detectors.runtime import tensorflow

PACKAGE = "nsfwjs@4.3.0"
FOLDER = "package/dist/models/mobilenet_v2"
ARRAY = re.compile(
    r'\{name:"(?P<name>[^"]+)",shape:\[(?P<shape>[\d,]*)\],dtype:"float32",'
    r'quantization:\{min:(?P<min>[-\d.e]+),scale:(?P<scale>[-\d.e]+),dtype:"uint8"\}\}'
)
BYTES = re.compile(r'"([A-Za-z0-9+/=]{1000,})"')


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays in the scripts of ``folder`` by the name of their variable."""
    stored = BYTES.search((folder / "group1-shard1of1.min.js").read_text())
    if stored is None:
        raise SystemExit(f"{PACKAGE} holds no arrays where they were")
    data, found, start = base64.b64decode(stored[1]), {}, 0
    for entry in ARRAY.finditer((folder / "model.min.js").read_text()):
        shape = tuple(int(side) for side in entry["shape"].split(",") if side)
        steps = np.frombuffer(data, np.uint8, int(np.prod(shape)), start).reshape(shape)
        found[entry["name"]] = steps.astype(np.float32) * np.float32(entry["scale"]) + np.float32(entry["min"])
        start += steps.size
    if start != len(data):
        raise SystemExit(f"{PACKAGE}: {start} of {len(data)} bytes are described")
    return found


def fill(network: Any, arrays: dict[str, np.ndarray]) -> int:
    """Put ``arrays`` into a Keras network of the same names; how many found their place."""
    placed = 0
    for layer in network.layers:
        names = [f"{layer.name}/{variable.name}" for variable in layer.weights]
        own = [arrays[name if name in arrays else name.replace("/", "/depthwise_")] for name in names]
        layer.set_weights(own)
        placed += len(own)
    return placed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("path", type=Path, help="file to write, .weights.h5")
    path = arguments.parse_args().path
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=place, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(place).glob("*.tgz"))) as archive:
            archive.extractall(place, filter="data")
        arrays = read_arrays(Path(place) / FOLDER)
    _, keras = tensorflow()
    network = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None)
    placed = fill(network, arrays)
    network.save_weights(path)
    print(f"{placed} of the backbone's {len(network.weights)} arrays written; the file held {len(arrays)}")


if __name__ == "__main__":
    main()
