"""Inference against a bare loop over the same network: pictures a second beyond start-up.

Run ``python benchmarks/predict.py`` (about four minutes). JPEGs of 640 x 480 pixels are drawn, and an untrained
RetinaNet is written. The bare loop is one process in which two threads decode with Pillow and resize, and the network
with its decoder of boxes runs in batches; nothing is checked, named or written. ``detray predict`` ingests, decodes
strictly, detects and writes the table predictions. Both run on ``--pictures`` and on a third of them; what the
difference takes is the cost beyond start-up. Medians of ``--repeats`` interleaved runs.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from audit import Cost, measure, median
from images import write_pictures

from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import DetectorSettings, PredictSettings

BARE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
import cv2
import numpy as np
from PIL import Image
from detray.detectors.retinanet.decode import make_decoder
from detray.detectors.retinanet.model import load_retinanet
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings

model = load_retinanet(DetectorSettings(), sys.argv[2], PredictSettings())
height, width, batch = model.settings.input_height, model.settings.input_width, model.predict.batch_size
tf, _ = tensorflow()
boxes_of = make_decoder(model.settings, model.predict)

@tf.function(autograph=False, input_signature=[tf.TensorSpec((batch, height, width, 3), tf.uint8)])
def detect(pictures):
    outputs = model.network(pictures, training=False)
    return boxes_of(outputs["logits"], outputs["boxes"])

def decode(path):
    with Image.open(path) as image:
        return cv2.resize(np.asarray(image.convert("RGB")), (width, height), interpolation=cv2.INTER_AREA)

paths = sorted(Path(sys.argv[1]).glob("*.jpg"))
with ThreadPoolExecutor(2) as pool:
    decoded, n = pool.map(decode, paths), 0
    while pictures := list(islice(decoded, batch)):
        full = np.zeros((batch, height, width, 3), np.uint8)
        full[: len(pictures)] = pictures
        n += len([part.numpy()[: len(pictures)] for part in detect(full)][0])
assert n == len(paths)
"""


def write_model(folder: Path) -> Path:
    """An untrained RetinaNet of the default input size, for one class."""
    settings = DetectorSettings()
    network = build_network(settings, 1)
    folder.mkdir()
    for name, data in RetinaNet(network, {1: "thing"}, settings, PredictSettings(), (), 0).files().items():
        (folder / name).write_bytes(data)
    return folder


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", type=int, default=3000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--modes", nargs="+", choices=("ray", "serial"), default=["ray", "serial"])
    options = arguments.parse_args()
    counts = (options.pictures // 3, options.pictures)
    with tempfile.TemporaryDirectory() as place:
        model = write_model(Path(place) / "model")
        (Path(place) / "bare.py").write_text(BARE)
        folders = {count: write_pictures(Path(place) / str(count), count) for count in counts}
        costs: dict[tuple[str, int], list[Cost]] = {}
        for _ in range(options.repeats):
            for count, folder in folders.items():
                for name, command in commands(Path(place) / "bare.py", model, folder, options.modes).items():
                    shutil.rmtree(folder / "out", ignore_errors=True)
                    costs.setdefault((name, count), []).append(measure(command, folder))
    print(f"| what | {counts[0]} pictures, s | {counts[1]}, s | pictures/s between | of the bare loop | CPU ms each |")
    print("|---|---|---|---|---|---|")
    base = 0.0
    for name in dict.fromkeys(name for name, _ in costs):
        first, second = (median(costs[name, count]) for count in counts)
        cpu = (median(costs[name, counts[1]], "cpu") - median(costs[name, counts[0]], "cpu")) / (counts[1] - counts[0])
        rate = (counts[1] - counts[0]) / (second - first)
        base = base or rate
        print(f"| {name} | {first:.1f} | {second:.1f} | {rate:.0f} | {rate / base:.2f} | {1000 * cpu:.2f} |")


def commands(bare: Path, model: Path, folder: Path, modes: list[str]) -> dict[str, list[str]]:
    """What is compared on the pictures of ``folder``; the bare loop first."""
    split = {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}
    config = {
        "output": str(folder / "out"),
        "dataset": {"splits": {"val": split}},
        "detector": {"path": str(model)},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    detray = [sys.executable, "-m", "detray", "predict", "--config", str(folder / "config.yaml")]
    found = {"bare loop, two decode threads": [sys.executable, str(bare), str(folder / "images"), str(model)]}
    if "ray" in modes:
        found["detray on Ray"] = [*detray, "--address", "local"]
    if "serial" in modes:
        found["detray --serial"] = [*detray, "--serial"]
    return found


if __name__ == "__main__":
    main()
