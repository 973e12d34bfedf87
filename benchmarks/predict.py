"""Inference against a bare loop over the same network: pictures a second beyond start-up, and memory.

Run ``python benchmarks/predict.py`` (about half an hour; ``--models``, ``--modes``, ``--pictures`` and ``--repeats``
choose a part). JPEGs of 640 x 480 pixels are drawn, and untrained models written (see ``detectors.py``). A process of
the bare loop decodes with Pillow and resizes in threads while the traced function of the model runs in batches, of the
models for one picture in a loop; nothing is checked, named or written. ``detray predict`` ingests, decodes strictly,
detects and writes the table predictions. A worker has as many threads for decoding as the machine has cores over
workers. Each runs on all pictures and on a third of them; what the difference takes is the cost beyond start-up.
Medians of interleaved runs. CPU time is what tells where others use the machine too.

``--memory`` runs the small network on 1,000 and 10,000 small pictures instead, and shows peaks.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit import Cost, measure
from detectors import MODELS
from images import write_pictures

PICTURES = {"small": 1800, "mobilenet": 300, "saved_model": 300, "tflite": 900}
MODES = ("serial", "ray 1", "ray 2")

BARE = """
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
import cv2
import numpy as np
from PIL import Image

def own(path):
    from detray.detectors.retinanet.model import load_retinanet
    from detray.detectors.settings import DetectorSettings, PredictSettings

    model = load_retinanet(DetectorSettings(), path, PredictSettings())
    batch = model.predict.batch_size
    size = model.settings.input_height, model.settings.input_width

    def detect(pictures):
        full = np.zeros((batch, *size, 3), np.uint8)
        full[: len(pictures)] = pictures
        return len([part.numpy()[: len(pictures)] for part in model._traced(full)][0])
    return size, batch, detect

def saved_model(path):
    from detray.detectors.runtime import tensorflow

    tf, _ = tensorflow()
    function = tf.saved_model.load(path).signatures["serving_default"]
    names = [f"detection_{name}" for name in ("boxes", "scores", "classes")]

    def detect(pictures):
        for picture in pictures:
            found = function(input_tensor=tf.constant(picture[None]))
            assert len([found[name].numpy() for name in names]) == 3
        return len(pictures)
    return None, 1, detect

def tflite(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    (place,), outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def detect(pictures):
        for picture in pictures:
            interpreter.set_tensor(place["index"], picture[None].astype(np.float32))
            interpreter.invoke()
            assert len([interpreter.get_tensor(output["index"]) for output in outputs]) == 4
        return len(pictures)
    return tuple(place["shape"][1:3]), 1, detect

def run(paths, threads, kind, model):
    size, batch, detect = {"retinanet": own, "saved_model": saved_model, "tflite": tflite}[kind](model)

    def decode(path):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        return pixels if size is None else cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)

    n = 0
    with ThreadPoolExecutor(threads) as pool:
        ahead, left = [], iter(paths)
        while True:
            ahead += [pool.submit(decode, path) for path in islice(left, 3 * batch + threads - len(ahead))]
            if not ahead:
                return n
            n += detect([one.result() for one in ahead[:batch]])
            del ahead[:batch]

if __name__ == "__main__":
    folder, workers, kind, model = sys.argv[1:]
    paths, workers = sorted(Path(folder).glob("*.jpg")), int(workers)
    parts = [(paths[n::workers], 2 // workers, kind, model) for n in range(workers)]
    if workers == 1:
        assert run(*parts[0]) == len(paths)
    else:
        with get_context("spawn").Pool(workers) as pool:
            assert sum(pool.starmap(run, parts)) == len(paths)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS))
    arguments.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    arguments.add_argument("--pictures", type=int, help=f"by default {PICTURES}")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--memory", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.memory:
            show_memory(Path(place), options.models, options.modes)
            return
        print("| model | what | pictures/s | of the bare loop | CPU ms a picture | of the bare loop |")
        print("|---|---|---|---|---|---|")
        for model in options.models:
            folder = Path(place, model)
            show(model, race(model, folder, options.pictures or PICTURES[model], options.modes, options.repeats))
            shutil.rmtree(folder)


def written(model: str, folder: Path) -> dict[str, Any]:
    """The configuration section of a model that is written into ``folder``."""
    (folder / "model").mkdir(parents=True)
    (folder / "bare.py").write_text(BARE)
    return MODELS[model](folder / "model")


def race(model: str, place: Path, pictures: int, modes: list[str], repeats: int) -> dict[str, list[Cost]]:
    """By what ran, in each of the interleaved rounds what a picture more costs."""
    detector = written(model, place)
    counts = (pictures // 3, pictures)
    folders = {count: write_pictures(place / str(count), count) for count in counts}
    found: dict[str, list[Cost]] = {}
    for _ in range(repeats):
        costs = {
            (name, count): measured(command, folder)
            for count, folder in folders.items()
            for name, command in commands(place / "bare.py", detector, folder, modes).items()
        }
        for name in dict.fromkeys(name for name, _ in costs):
            few, many = (costs[name, count] for count in counts)
            n = counts[1] - counts[0]
            each = Cost((many.seconds - few.seconds) / n, (many.cpu - few.cpu) / n, many.memory)
            found.setdefault(name, []).append(each)
    return found


def show(model: str, found: Mapping[str, list[Cost]]) -> None:
    """Rows of the table in Markdown."""
    cost = {
        name: [statistics.median(getattr(run, what) for run in runs) for what in ("seconds", "cpu")]
        for name, runs in found.items()
    }
    for name, (seconds, cpu) in cost.items():
        base = cost["bare loop, 2 processes" if name.endswith("2") else "bare loop, 1 process"]
        ratios = ["", ""] if name.startswith("bare") else [f"{base[0] / seconds:.2f}", f"{cpu / base[1]:.2f}"]
        print(f"| {model} | {name} | {1 / seconds:.0f} | {ratios[0]} | {1000 * cpu:.2f} | {ratios[1]} |", flush=True)


def show_memory(place: Path, models: list[str], modes: list[str]) -> None:
    print("| model | what | peak MiB of 1,000 pictures | of 10,000 | ratio |\n|---|---|---|---|---|")
    folders = {count: write_pictures(place / str(count), count, 160, 120) for count in (1000, 10_000)}
    for model in models:
        detector = written(model, place / model)
        peaks: dict[str, list[float]] = {}
        for folder in folders.values():
            for name, command in commands(place / model / "bare.py", detector, folder, modes).items():
                if not name.startswith("bare"):
                    peaks.setdefault(name, []).append(measured(command, folder).memory)
        for name, (few, many) in peaks.items():
            print(f"| {model} | {name} | {few:.0f} | {many:.0f} | {many / few:.2f} |", flush=True)


def measured(command: list[str], folder: Path) -> Cost:
    shutil.rmtree(folder / "out", ignore_errors=True)
    return measure(command, folder)


def commands(bare: Path, detector: Mapping[str, Any], folder: Path, modes: list[str]) -> dict[str, list[str]]:
    """What is compared on the pictures of ``folder``; the bare loops first."""
    split = {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}
    found = {}
    for workers, title in ((1, "bare loop, 1 process"), (2, "bare loop, 2 processes")):
        if any(mode.endswith("2") == (workers == 2) for mode in modes):
            model = [detector.get("kind", "retinanet"), detector["path"]]
            found[title] = [sys.executable, str(bare), str(folder / "images"), str(workers), *model]
    for mode in modes:
        config = {"output": str(folder / "out"), "dataset": {"splits": {"val": split}}, "detector": detector}
        config["cluster"] = {"cpus_per_task": 2 if mode == "ray 1" else 1}
        file = folder / f"{mode.replace(' ', '-')}.yaml"
        file.write_text(json.dumps(config))
        where = ["--serial"] if mode == "serial" else ["--address", "local"]
        names = {"serial": "detray --serial", "ray 1": "detray on Ray, worker 1", "ray 2": "detray on Ray, workers 2"}
        found[names[mode]] = [sys.executable, "-m", "detray", "predict", "--config", str(file), *where]
    return found


if __name__ == "__main__":
    main()
