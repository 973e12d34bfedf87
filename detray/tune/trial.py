"""One trial: train one configuration and write what every epoch came to, class by class.

A trial may fail in any way; it then says so in its receipt, and the tuning goes on. Everything
that a trial came to lies in the stage's receipts, one for each epoch and one for its end. So a
trial that was cut off goes on after its last whole epoch, wherever it is run again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Literal

import msgspec
import numpy as np

from detray.arrays import Floats
from detray.detectors.settings import TrainSettings
from detray.detectors.training import EpochResult, train
from detray.errors import DetrayError
from detray.evaluate.scores import class_scores
from detray.schema import from_columns
from detray.store import PARTIAL, Json
from detray.tune.bench import Bench

Status = Literal["completed", "stopped", "failed"]
Report = Callable[[int, list[float | None]], None]
"""Called after each epoch with its number and every class's AP, None without ground truth."""

CHECKPOINTS, MODELS = "checkpoints", "models"
"""Folders of the running stage: a folder a trial."""

AP50, AP75 = 0, 5
"""Positions of these among the ten IoU thresholds."""


@dataclass(frozen=True)
class Trial:
    """A configuration to train. ``phase``: search on the configured seed, or proof on a fresh one."""

    trial_id: str
    phase: Literal["search", "proof"]
    settings: TrainSettings
    is_baseline: bool = False

    def epoch_shard(self, epoch: int) -> str:
        return f"{self.trial_id}-epoch-{epoch:05d}"


def run_trial(bench: Bench, trial: Trial, report: Report = lambda epoch, ap: None) -> Json:
    """Run ``trial``, or what is left of it, and return the receipt of its end.

    A search trial leaves its model in ``_partial/models/<trial_id>``; a proof trial, in its receipt,
    the AP without each group of images.
    """
    stage = bench.stage
    before = _epochs(bench, trial)
    for number, facts in enumerate(before, 1):
        report(number, facts["ap"])
    if (receipt := stage.old_receipt(trial.trial_id)) is not None:
        return receipt
    start = perf_counter() - (before[-1]["seconds"] if before else 0.0)

    def on_epoch(result: EpochResult) -> bool:
        if result.epoch <= len(before):
            return True
        is_last = trial.phase == "proof" and result.epoch == trial.settings.epochs
        scores = class_scores(bench.truth, result.detections, bench.class_ids, bench.image_groups if is_last else None)
        ap = as_json(scores.ap.mean(axis=1))
        facts = {"ap": ap, "ap50": as_json(scores.ap[:, AP50]), "seconds": perf_counter() - start}
        if is_last:
            facts["left_out"] = [as_json(row) for row in scores.left_out]
        rows = from_columns(
            "trial_class_metrics",
            {
                "trial_id": [trial.trial_id] * len(ap),
                "epoch": [result.epoch] * len(ap),
                "category_id": bench.class_ids,
                "category_name": [bench.classes[number] for number in bench.class_ids],
                "ap": ap,
                "ap50": facts["ap50"],
                "ap75": as_json(scores.ap[:, AP75]),
                "class_loss": [result.class_loss] * len(ap),
                "box_loss": [result.box_loss] * len(ap),
                "seconds": [facts["seconds"]] * len(ap),
            },
            run=bench.run,
        )
        stage.write(trial.epoch_shard(result.epoch), {"trial_class_metrics": rows}, facts)
        report(result.epoch, ap)
        return True

    try:
        model = train(
            bench.train_data,
            bench.val_data,
            bench.detector,
            trial.settings,
            bench.trained,
            predict=bench.predict,
            on_epoch=on_epoch,
            checkpoint=_checkpoint_folder(bench, trial),
        )
        if trial.phase == "search":
            for name, data in model.files().items():
                stage.store.write_bytes(data, stage.name, PARTIAL, MODELS, trial.trial_id, name)
    except DetrayError as error:
        return conclude(bench, trial, "failed", error=str(error))
    except Exception as error:  # whatever it was, the other trials go on
        return conclude(bench, trial, "failed", error=f"{type(error).__name__}: {str(error).strip()[:500]}")
    return conclude(bench, trial, "completed")


def conclude(bench: Bench, trial: Trial, status: Status, error: str | None = None) -> Json:
    """Write the receipt of the trial's end: its status and the result of its last whole epoch.

    Facts: trial_id, phase, config, status, error, epochs, seconds, gpu_seconds, ap and ap50 by class
    (None where there was no epoch), and of a completed proof trial left_out.
    """
    epochs = _epochs(bench, trial)
    last: Json = epochs[-1] if epochs else {"ap": None, "ap50": None, "seconds": 0.0}
    whole = {
        "trial_id": trial.trial_id,
        "phase": trial.phase,
        "config": msgspec.to_builtins(trial.settings),
        "status": status,
        "epochs": len(epochs),
        "gpu_seconds": bench.gpus * last["seconds"],
        "error": error,
    }
    bench.stage.store.delete(bench.stage.name, PARTIAL, CHECKPOINTS, trial.trial_id)
    return bench.stage.write(trial.trial_id, {}, whole | last)


def _epochs(bench: Bench, trial: Trial) -> list[Json]:
    """The facts of the trial's whole epochs."""
    found: list[Json] = []
    for epoch in count(1):
        receipt = bench.stage.old_receipt(trial.epoch_shard(epoch))
        if receipt is None:
            return found
        found.append(receipt["facts"])
    raise AssertionError


def _checkpoint_folder(bench: Bench, trial: Trial) -> Path | None:
    """Where the training keeps its state; on an object store a trial that was cut off starts anew."""
    store = bench.stage.store
    return Path(store.path(bench.stage.name, PARTIAL, CHECKPOINTS, trial.trial_id)) if store.is_local else None


def as_json(values: Sequence[float] | Floats) -> list[float | None]:
    """NaN becomes None."""
    return [None if math.isnan(value) else float(value) for value in values]


def as_array(values: Sequence[float | None]) -> Floats:
    """None becomes NaN."""
    return np.array([np.nan if value is None else value for value in values])
