"""A pretrained backbone against the small network at equal CPU seconds, on BCCD: mAP50 and AP50 by class.

Run ``python benchmarks/backbones.py BCCD mobilenet_v2.weights.h5`` (about a quarter of an hour of CPU time; the weights
are those of ``benchmarks/pretrained.py``). ``BCCD`` is the data set's folder, in Pascal VOC form. For each of
``--seeds`` MobileNetV2, its normalisation frozen, is trained for ``--epochs``, then the small network for as many
epochs as take the same time; what it takes is measured before. Input 192 x 256, trained on train, judged on val as
``detray evaluate`` does. CPU seconds are those of the training alone.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from detray import cli
from detray.detectors.data import TrainingData, load
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.loop import train
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import class_scores
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.store import Store
from detray.tables import Shard, class_names, own_classes

CHUNK = 32
PROBE_EPOCHS = 2


@dataclass(frozen=True)
class Data:
    """The two splits, resized, and what detections on val are judged by."""

    train: TrainingData
    val: TrainingData
    truth: GroundTruth
    classes: Mapping[int, str]


def read(folder: Path) -> Data:
    """Ingest the data set and resize its pictures."""
    with tempfile.TemporaryDirectory() as place:
        lists = {"annotations": "Annotations", "images": "JPEGImages"}
        splits = {split: lists | {"list": f"ImageSets/Main/{split}.txt"} for split in ("train", "val")}
        config = Path(place) / "config.yaml"
        config.write_text(json.dumps({"dataset": {"root": str(folder.resolve()), "splits": splits}}))
        out = f"{place}/out"
        if cli.main(["ingest", "--serial", "--config", str(config), "--output", out]):
            raise SystemExit(f"{folder} could not be read")
        store = Store(out)
        learned, judged = (_whole(store, split) for split in ("train", "val"))
    classes = class_names(own_classes(learned.categories))
    detector = DetectorSettings()
    pictures = [load([shard], detector, classes, run="bench") for shard in (learned, judged)]
    return Data(*pictures, read_scene(judged, EvaluateSettings()).gt, classes)


def _whole(store: Store, split: str) -> Shard:
    shards = [store.read_shard(key) for key in store.shards([split])]
    images, annotations = (
        pa.concat_tables([getattr(shard, name) for shard in shards]) for name in ("images", "annotations")
    )
    return Shard(split, images, annotations, shards[0].categories)


def trained(data: Data, detector: DetectorSettings, settings: TrainSettings) -> tuple[RetinaNet, float]:
    """A model, and the CPU seconds that it took."""
    start = process_time()
    model = train(data.train, None, detector, settings, data.classes).model
    return model, process_time() - start


def judged(data: Data, model: RetinaNet) -> np.ndarray:
    """AP50 of each class."""
    parts = []
    for start in range(0, len(data.val), CHUNK):
        rows = slice(start, start + CHUNK)
        parts.append(pa.table(model.detect(data.val.prepared(rows)).columns(data.val.image_ids[rows])))
    return class_scores(data.truth, pa.concat_tables(parts), sorted(data.classes)).ap[:, 0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("weights", type=Path)
    arguments.add_argument("--epochs", type=int, default=10)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--learning-rate", type=float, default=TrainSettings().learning_rate, help="of MobileNetV2")
    options = arguments.parse_args()
    data = read(options.data)
    small = DetectorSettings()
    large = replace(small, backbone="mobilenet_v2", weights=str(options.weights))
    probe, one = (trained(data, small, TrainSettings(epochs=n))[1] for n in (PROBE_EPOCHS + 1, 1))
    an_epoch = (probe - one) / PROBE_EPOCHS
    names = [data.classes[k] for k in sorted(data.classes)]
    print(f"| network | seed | epochs | CPU s | mAP50 | {' | '.join(names)} |\n|{'---|' * (5 + len(names))}")
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(options.seeds):
        settings = TrainSettings(epochs=options.epochs, seed=seed, learning_rate=options.learning_rate)
        model, seconds = trained(data, large, settings)
        as_long = TrainSettings(epochs=max(round((seconds - one + an_epoch) / an_epoch), 1), seed=seed)
        runs = [("MobileNetV2", settings, model, seconds), ("tiny", as_long, *trained(data, small, as_long))]
        for name, run, network, spent in runs:
            found.setdefault(name, []).append(judged(data, network))
            print(_row(name, str(seed), str(run.epochs), f"{spent:.0f}", found[name][-1]), flush=True)
    for name, scores in found.items():
        print(_row(name, "mean", "", "", np.mean(scores, axis=0)))


def _row(name: str, seed: str, epochs: str, seconds: str, scores: np.ndarray) -> str:
    values = " | ".join(f"{score:.3f}" for score in (scores.mean(), *scores))
    return f"| {name} | {seed} | {epochs} | {seconds} | {values} |"


if __name__ == "__main__":
    main()
