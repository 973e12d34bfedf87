"""Inference against the best bare loop over the same model: pictures a second beyond start-up, CPU time, and memory.

Run ``python benchmarks/predict.py`` (about ten minutes; ``--models``, ``--modes``, ``--pictures`` and ``--repeats``
choose a part). JPEGs of 640 x 480 pixels are drawn, and untrained models written (see ``detectors.py``). A process of
the bare loop (``bare_loop.py``) decodes with Pillow and resizes in threads beside the traced function of the model;
nothing is checked, named or written. The stage ``predict`` decodes strictly, detects and writes the table predictions.
Both are timed from when the model is loaded and traced to the last picture; of Ray the processes that detect are, in
which all but handing out the tasks is done. One process decodes in two threads, each of two in one. Medians of
interleaved runs. CPU time is what tells where others use the machine too.

``--memory`` runs ``detray predict`` on 1,000 and 10,000 small pictures instead, and shows peaks.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import bare_loop
import watched
from audit import measure
from detectors import MODELS
from images import write_pictures

from detray.cluster.session import ray_session
from detray.cluster.settings import ClusterSettings
from detray.detectors import flow as inference
from detray.flow.executor import Executor, InProcess
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config

PICTURES = {"small": 900, "mobilenet": 200, "saved_model": 240, "tflite": 480}
MODES = ("serial", "ray 1", "ray 2")
BARE = ("bare loop, 1 process", "bare loop, 2 processes")
TITLES = {"serial": "detray --serial", "ray 1": "detray on Ray, 1 worker", "ray 2": "detray on Ray, 2 workers"}
Costs = dict[str, list[tuple[float, float]]]
"""By what ran, of each run: pictures a second, CPU seconds a picture."""


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
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.getenv("PYTHONPATH")]))
        os.environ[watched.FOLDER] = str(Path(place, "notes"))
        with executor(options.modes) as on_ray:
            print("| model | what | pictures/s | of the bare loop | CPU ms a picture | of the bare loop |")
            print("|---|---|---|---|---|---|")
            for model in options.models:
                race = Race(model, Path(place, model), options.pictures or PICTURES[model])
                show(model, race.run(options.modes, options.repeats, on_ray))


@contextmanager
def executor(modes: list[str]) -> Iterator[Executor]:
    """A local Ray, where it is asked for."""
    if modes == ["serial"]:
        yield InProcess()
        return
    with ray_session(ClusterSettings()) as is_own:
        from detray.cluster.ray_executor import RayExecutor

        yield RayExecutor(is_own)


class Race:
    """A model and pictures, on which all run in turn."""

    def __init__(self, model: str, place: Path, pictures: int) -> None:
        (place / "model").mkdir(parents=True)
        self._detector = MODELS[model](place / "model")
        self._folder = write_pictures(place / "data", pictures)
        self._paths = [str(path) for path in sorted((self._folder / "images").iterdir())]
        self._model = (self._detector.get("kind", "retinanet"), self._detector["path"], self._paths[:32])

    def run(self, modes: list[str], repeats: int, on_ray: Executor) -> Costs:
        found: Costs = {}
        alone = bare_loop.Loop(*self._model)
        workers = 2 if "ray 2" in modes else 0
        with ProcessPoolExecutor(2, get_context("spawn"), bare_loop.start, self._model) as pool:
            halves = [self._paths[n::2] for n in range(workers)]
            list(pool.map(bare_loop.run_kept, [half[:16] for half in halves]))
            for _ in range(repeats):
                found.setdefault(BARE[0], []).append(self._rates([alone(self._paths, 2)]))
                if workers:
                    found.setdefault(BARE[1], []).append(self._rates(list(pool.map(bare_loop.run_kept, halves))))
                for mode in modes:
                    where = InProcess() if mode == "serial" else on_ray
                    found.setdefault(TITLES[mode], []).append(self._detray(where, 2 if mode == "ray 1" else 1))
        return found

    def _rates(self, costs: list[tuple[float, float]]) -> tuple[float, float]:
        n = len(self._paths)
        return sum(n / len(costs) / wall for wall, _ in costs), sum(cpu for _, cpu in costs) / n

    def _detray(self, where: Executor, cpus: int) -> tuple[float, float]:
        """The stage predict, as the command runs it."""
        notes = Path(os.environ[watched.FOLDER])
        shutil.rmtree(notes, ignore_errors=True)
        notes.mkdir()
        split = {"annotations": str(self._folder / "annotations.json"), "images": str(self._folder / "images")}
        sections = {"dataset": {"splits": {"val": split}}, "detector": self._detector}
        config = convert(sections | {"cluster": {"cpus_per_task": cpus}}, Config, "benchmark")
        before, inference.DETECT = inference.DETECT, watched.DETECT
        try:
            runner.run(Context(config, Store(str(self._folder / "out")), where), ["predict"], force=True)
        finally:
            inference.DETECT = before
        return watched.costs(notes)


def show(model: str, found: Costs) -> None:
    """Rows of the table in Markdown."""
    for name, runs in found.items():
        rate, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
        base = found[BARE[1] if name == TITLES["ray 2"] else BARE[0]]
        ratios = [
            statistics.median(run[what] / bare[what] for run, bare in zip(runs, base, strict=True)) for what in (0, 1)
        ]
        told = ["", ""] if name in BARE else [f"{ratio:.2f}" for ratio in ratios]
        print(f"| {model} | {name} | {rate:.0f} | {told[0]} | {1000 * cpu:.2f} | {told[1]} |", flush=True)


def show_memory(place: Path, models: list[str], modes: list[str]) -> None:
    print("| model | what | peak MiB of 1,000 pictures | of 10,000 | ratio |\n|---|---|---|---|---|")
    folders = [write_pictures(place / str(count), count, 160, 120) for count in (1000, 10_000)]
    for model in models:
        (place / model).mkdir()
        detector = MODELS[model](place / model)
        for mode in modes:
            few, many = (measure(command(detector, folder, mode), folder).memory for folder in folders)
            print(f"| {model} | {TITLES[mode]} | {few:.0f} | {many:.0f} | {many / few:.2f} |", flush=True)


def command(detector: dict[str, Any], folder: Path, mode: str) -> list[str]:
    """``detray predict`` on the pictures of ``folder``."""
    split = {"annotations": str(folder / "annotations.json"), "images": str(folder / "images")}
    config = {"output": str(folder / "out"), "dataset": {"splits": {"val": split}}, "detector": detector}
    config["cluster"] = {"cpus_per_task": 2 if mode == "ray 1" else 1}
    (folder / "config.yaml").write_text(json.dumps(config))
    shutil.rmtree(folder / "out", ignore_errors=True)
    where = ["--serial"] if mode == "serial" else ["--address", "local"]
    return [sys.executable, "-m", "detray", "predict", "--config", str(folder / "config.yaml"), *where]


if __name__ == "__main__":
    main()
