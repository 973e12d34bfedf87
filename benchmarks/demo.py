"""``detray demo`` beside a bare loop of its own trainings.

Run ``python benchmarks/demo.py`` (six minutes on two quiet cores; ``--output`` takes a demo that has run instead, whose
wall time its manifests do not tell). The bare loop trains what the demo trained, with the same settings and for as many
epochs: first the network of its stage ``train`` alone, then the trials and the proof, as many at once as there are
CPUs. It evaluates nothing, keeps nothing, and its processes have imported TensorFlow and read the pictures before
they are timed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from msgspec.structs import replace

from detray.detectors.data import TrainingData, load
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import train
from detray.settings import convert, read_yaml
from detray.store import Store
from detray.tables import class_names, own_classes
from detray.verbs.config import Config

FIRST_RESULT = "planted faults found"
Training = tuple[dict[str, Any], dict[str, Any]]
"""Of one training: its train settings, and what it changes of the detector."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--output", type=Path, help="of a demo that has run")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        output, times = options.output or Path(place, "demo"), None
        if options.output is None:
            times = run_demo(output)
            print(f"demo: first planted faults after {times[0]:.0f} s, whole {times[1]:.0f} s", flush=True)
        bare = bare_loop(output)
        print(f"a bare loop of its trainings: {bare:.0f} s" + (f"; ratio {times[1] / bare:.2f}" if times else ""))


def run_demo(output: Path) -> tuple[float, float]:
    """Wall time until the first result is shown, and until the end, s."""
    start, first = perf_counter(), None
    command = [sys.executable, "-m", "detray", "demo", "--output", str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if FIRST_RESULT in line and first is None:
                first = perf_counter() - start
    if process.returncode or first is None:
        raise SystemExit(f"detray demo ended with {process.returncode}, and planted faults were not shown")
    return first, perf_counter() - start


def bare_loop(output: Path) -> float:
    """Wall time of the trainings alone, s."""
    store = Store(str(output))
    alone: Training = (read_yaml(output / "train" / "config.yaml")["train"], {})
    others = [
        (json.loads(row["config"]) | {"epochs": row["epochs"]}, _of_detector(json.loads(row["changes"] or "{}")))
        for row in store.read("trials").to_pylist()
        if row["epochs"]
    ]
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, get_context("spawn"), begin, (str(output),)) as pool:
        warm = replace(convert(alone[0], TrainSettings, "train"), epochs=1)
        list(pool.map(partial(learn, warm=warm), [alone] * workers))
        start = perf_counter()
        pool.submit(learn, alone).result()
        list(pool.map(learn, others))
        return perf_counter() - start


def _of_detector(changes: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("detector."): value for name, value in changes.items() if name.startswith("detector.")}


_kept: list[tuple[Config, TrainingData, dict[int, str]]] = []


def begin(output: str) -> None:
    """In a process of its own: read the training pictures."""
    store = Store(output)
    config = convert(read_yaml(Path(output, "train", "config.yaml")), Config, "config.yaml")
    shards = [store.read_shard(key) for key in store.shards(["train"])]
    classes = class_names(own_classes(shards[0].categories))
    _kept.append((config, load(shards, config.detector, classes, run="benchmark"), classes))


def learn(training: Training, warm: TrainSettings | None = None) -> None:
    """One training, of its steps alone."""
    config, data, classes = _kept[0]
    values, changed = training
    detector = convert(msgspec.to_builtins(config.detector) | changed, DetectorSettings, "changes")
    train(data, None, detector, warm or convert(values, TrainSettings, "config"), classes)


if __name__ == "__main__":
    main()
