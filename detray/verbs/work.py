"""About how long each stage takes one CPU, in seconds, from what is known before it runs.

Right within a factor of two or so, which is enough to tell whether Ray's start pays.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from detray.detectors.runtime import threads_at_hand
from detray.flow.data import Data
from detray.formats.resolve import input_paths
from detray.tune.focus import find_focus, read_classes
from detray.verbs.config import Config
from detray.verbs.pictures import pictured

READ_BYTES = 80e6
"""Bytes of annotation files that are read and written as canonical tables in a second."""
READ_FILES = 2_000
"""Small files that are opened and parsed in a second."""
AUDIT_ROWS = 900_000
"""Annotations that all rules judge in a second."""
PICTURES = 400
"""Pictures of 640 x 480 that are decoded, checked, hashed and measured in a second."""
DETECT_PICTURES = 100
"""Pictures that the small RetinaNet detects in a second, decoding included."""
OTHERS_PICTURES = 20
"""The same of the models that others have made: MobileNets of 320 to 640 px."""
TILES = 8
"""Tiles that a picture has."""
EVALUATE_ROWS, DIAGNOSE_ROWS = 250_000, 200_000
"""Detections that are evaluated, or diagnosed, in a second."""
CLEAN_ROWS = 200_000
"""Annotations that are corrected and written in a second."""
TRIAL = 30.0
"""A trial at least; two side by side are why tuning runs on Ray."""


def work(stage: str, config: Config, data: Data) -> float:
    """What ``stage`` would take this process, s."""
    estimate = ESTIMATES.get(stage)
    return 0.0 if estimate is None else estimate(config, data)


def _ingest(config: Config, data: Data) -> float:
    return sum(_reading(path) for path in input_paths(config.dataset))


def _audit(config: Config, data: Data) -> float:
    shards, at_hand = data.shards(), pictured(config, data)
    pictures = sum(key.n_images for key in shards if key.split in at_hand)
    return sum(key.n_annotations for key in shards) / AUDIT_ROWS + pictures / PICTURES


def _predict(config: Config, data: Data) -> float:
    if config.detector.is_precomputed and config.detector.path:
        return _reading(config.detector.path)
    rate = DETECT_PICTURES if config.detector.kind == "retinanet" else OTHERS_PICTURES
    views = (TILES if config.predict.tiles else 1) * (2 if config.predict.flip else 1)
    if config.detector.kind == "tflite":
        rate *= threads_at_hand()  # which detect at once in this process too
    n = sum(key.n_images for key in data.shards(config.predict.splits))
    beside = min(config.predict.train_sample * n, sum(key.n_images for key in data.shards(["train"])))
    return views * (n + (0 if "train" in config.predict.splits else beside)) / rate


def _evaluate(config: Config, data: Data) -> float:
    other = _reading(config.evaluate.against) if config.evaluate.against else 0.0
    return _detections(data) / EVALUATE_ROWS + other


def _diagnose(config: Config, data: Data) -> float:
    return _detections(data) / DIAGNOSE_ROWS


def _detections(data: Data) -> int:
    return sum(part["rows"] for part in data.files("predictions", "predict"))


def _tune(config: Config, data: Data) -> float:
    if not find_focus(data, config.tune.focus, read_classes(data).all):
        return 0.0  # that there is nothing to tune is said at once
    return TRIAL * (config.tune.trials - 1)


def _folds(config: Config, data: Data) -> float:
    return TRIAL * config.clean.folds


def _clean(config: Config, data: Data) -> float:
    return sum(key.n_annotations for key in data.shards()) / CLEAN_ROWS


ESTIMATES: Mapping[str, Callable[[Config, Data], float]] = {
    "ingest": _ingest,
    "audit": _audit,
    "predict": _predict,
    "evaluate": _evaluate,
    "diagnose": _diagnose,
    "tune": _tune,
    "folds": _folds,
    "clean": _clean,
}
"""By stage; training runs in one process anyway, and the page is written in a second."""


def _reading(path: str) -> float:
    """Seconds to read a file, or all below a folder; what is not on this machine is taken to be large."""
    if "://" in path:
        return math.inf
    sizes: list[int] = []
    place = Path(path)
    for file in [place] if place.is_file() else place.rglob("*"):
        with contextlib.suppress(OSError):
            sizes.append(file.stat().st_size)
    return sum(sizes) / READ_BYTES + len(sizes) / READ_FILES
