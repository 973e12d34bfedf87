"""A step of the training against a bare ``model.train_on_batch`` loop over the same network, optimizer and batch.

Run ``python benchmarks/train.py`` (about three minutes on two cores). Pictures of noise with boxes are made in
memory, as large as the detector's input. detray trains on them with augmentation: threads change pictures and match
boxes to anchors beside the steps. The bare loop is Keras's own, on the very same batches; between two epochs of detray
it makes them, one after the other, and then as many steps, so that both meet the same machine. ``bare`` is its steps
alone, ``making`` what its batches take: a loop that augments as detray does costs both. ``waits`` is the share of the
steps' wall time in which no batch was there. Medians over the epochs but the first, in which functions are traced. CPU
time is that of the whole process.
"""

import argparse
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from detray import schema
from detray.detectors.augmentation.settings import AugmentationSettings
from detray.detectors.data import TrainingData
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.batches import Batches, jobs
from detray.detectors.training.loop import EpochResult, train
from detray.detectors.training.losses import box_loss, focal_loss
from detray.detectors.training.sampling import epoch_order
from detray.detectors.training.step import make_optimizer
from detray.settings import convert, parse_yaml

CLASSES = {1: "a", 2: "b", 3: "c"}
BOXES = 12
"""In each picture."""


def make_data(count: int, detector: DetectorSettings) -> TrainingData:
    random = np.random.default_rng(0)
    size = np.array([detector.input_width, detector.input_height])
    low = random.uniform(0, 0.8, (count * BOXES, 2)) * size
    high = np.minimum(low + random.uniform(0.05, 0.3, (count * BOXES, 2)) * size, size)
    return TrainingData(
        images=random.integers(0, 256, (count, detector.input_height, detector.input_width, 3), np.uint8),
        image_ids=np.arange(count),
        sizes=np.tile(size.astype(np.float64), (count, 1)),
        boxes=np.concatenate([low, high], axis=1).astype(np.float32),
        labels=random.integers(0, len(CLASSES), count * BOXES).astype(np.int32),
        offsets=np.arange(count + 1) * BOXES,
        quarantine=schema.empty("quarantine"),
        boxes_left_out={},
    )


def make_bare(detector: DetectorSettings, settings: TrainSettings) -> Any:
    """A compiled Keras model with the losses of ours."""
    _, keras = tensorflow()

    class Bare(keras.Model):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *rest: Any, **more: Any) -> Any:
            options = {name: getattr(settings, name) for name in ("label_smoothing",)}
            options |= {"alpha": settings.focal_alpha, "gamma": settings.focal_gamma}
            ones = np.ones(len(CLASSES), np.float32)
            return focal_loss(y_pred["logits"], y["logits"], ones, **options) + box_loss(
                y_pred["boxes"], y["boxes"], y["logits"]
            )

    network = build_network(detector, len(CLASSES))
    model = Bare(network.input, network.output)
    model.compile(make_optimizer(network, settings), jit_compile=False)
    return model


class Race:
    """The bare loop, run after each epoch of detray."""

    def __init__(self, data: TrainingData, detector: DetectorSettings, settings: TrainSettings) -> None:
        self._make = Batches(data, list(CLASSES.values()), make_anchors(detector), settings.augmentation)
        self._count, self._size = len(data), settings.batch_size
        self._model = make_bare(detector, settings)
        self.rows: list[dict[str, float]] = []
        self._start = (perf_counter(), process_time())

    def __call__(self, result: EpochResult) -> None:
        marks = [self._start, (perf_counter(), process_time())]
        order = epoch_order(np.ones(self._count), self._size, 0, result.epoch)
        batches = [self._make(job) for job in jobs(*order, (0, result.epoch))]
        marks.append((perf_counter(), process_time()))
        for batch in batches:
            self._model.train_on_batch(batch.images, {"logits": batch.classes, "boxes": batch.boxes})
        marks.append((perf_counter(), process_time()))
        (wall, cpu), (_, making), (bare_wall, bare_cpu) = np.diff(marks, axis=0) / len(batches)
        row = {"wall": wall, "bare wall": bare_wall, "cpu": cpu, "bare cpu": bare_cpu, "making": making}
        self.rows.append(row | {"waits": result.waited / result.seconds})
        self._start = (perf_counter(), process_time())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=20, help="of an epoch")
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--backbone", default="tiny")
    arguments.add_argument("--precision", default="float32")
    arguments.add_argument(
        "--augmentation",
        nargs="+",
        default=["default", "strong", "{flip: {}, rotate: {}, scale: {}, hue: {}, blur: {}, noise: {}, mosaic: {}}"],
        help="a name, or a mapping in YAML",
    )
    options = arguments.parse_args()
    detector = convert({"backbone": options.backbone}, DetectorSettings, "benchmark")
    data = make_data(options.steps * options.batch, detector)
    print(
        "| augmentation | ms a step | bare, ms | of bare | CPU ms a step | bare, CPU ms | making, CPU ms | of bare"
        " | of bare and making | waits |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for text in options.augmentation:
        chosen = parse_yaml(text, "--augmentation")
        if isinstance(chosen, dict):
            chosen = convert(chosen, AugmentationSettings, "--augmentation")
        settings = TrainSettings(
            epochs=options.epochs, batch_size=options.batch, augmentation=chosen, precision=options.precision
        )
        race = Race(data, detector, settings)
        train(data, None, detector, settings, CLASSES, on_epoch=race)
        found = {name: median(row[name] for row in race.rows[1:]) for name in race.rows[0]}
        both = median(row["cpu"] / (row["bare cpu"] + row["making"]) for row in race.rows[1:])
        ratios = [median(row[name] / row[f"bare {name}"] for row in race.rows[1:]) for name in ("wall", "cpu")]
        times = [f"{1000 * found[name]:.1f}" for name in ("wall", "bare wall", "cpu", "bare cpu", "making")]
        cells = [*times[:2], f"{ratios[0]:.2f}", *times[2:], f"{ratios[1]:.2f}", f"{both:.2f}", f"{found['waits']:.1%}"]
        print(f"| {text} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
