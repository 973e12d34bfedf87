"""The tables that a tuning leaves, from the ends of its trials."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.detectors.augmentation.settings import AugmentationSettings
from detray.tune.bench import Bench
from detray.tune.dotted import DETECTOR, differences
from detray.tune.finals import Candidate
from detray.tune.live import epoch_rows
from detray.tune.search import Search
from detray.tune.trial import End, Trial, as_json, epochs

STRENGTHS = {"none": 0.0, "default": 1.0, "strong": 2.0}
"""The column augmentation_strength; NULL where the augmentation is written out."""


def trials(search: Search, finals: Sequence[End], best: Trial) -> pa.Table:
    """The table trials: those of the search, then the finals, whose ends are given."""
    ends = [*(search.ends[trial.trial_id] for trial in search.trials), *finals]
    total = sum(end.last.seconds for end in ends) or 1.0
    front = search.front()
    scores = {trial.trial_id: search.objective(trial) for trial in search.trials}
    rows: list[dict[str, object]] = [
        {
            "trial_id": end.trial.trial_id,
            "phase": end.trial.phase,
            "status": end.status,
            "seed": end.trial.settings.seed,
            "focal_alpha": end.trial.settings.focal_alpha,
            "focal_gamma": end.trial.settings.focal_gamma,
            "freeze_units": end.trial.settings.freeze_units,
            "augmentation_strength": _strength(end.trial.settings.augmentation),
            "oversample_factor": max(end.trial.settings.oversample.get(name, 1.0) for name in search.bench.focus_names),
            "changes": msgspec.json.encode(_changes(search, end.trial)).decode(),
            "config": msgspec.json.encode(end.trial.settings).decode(),
            "epochs": end.epochs,
            "kept_epoch": end.kept_epoch or None,
            "seconds": end.last.seconds,
            "epoch_seconds": end.last.seconds / end.epochs if end.epochs else None,
            "gpu_seconds": end.gpu_seconds,
            "cost_share": end.last.seconds / total,
            "objective": scores.get(end.trial.trial_id),
            "last_objective": search.last_objective(end.trial) if end.trial.phase == "search" else None,
            "inference_ms": end.milliseconds,
            "is_on_front": end.trial in front if search.bench.is_timed and end.trial.phase == "search" else None,
            "is_baseline": end.trial.trial_id == search.baseline.trial_id,
            "is_best": end.trial.trial_id == best.trial_id,
            "error": end.error,
        }
        for end in ends
    ]
    return schema.from_rows("trials", rows, run=search.bench.run)


def _changes(search: Search, trial: Trial) -> dict[str, Any]:
    found = differences(search.space.baseline, trial.settings)
    found.pop("seed", None)  # it has a column, and is no change
    return found | differences(search.space.detector, trial.detector, DETECTOR) | trial.own


def _strength(chosen: str | AugmentationSettings) -> float | None:
    return STRENGTHS[chosen] if isinstance(chosen, str) else None


def trial_class_metrics(bench: Bench, ends: Iterable[End]) -> pa.Table:
    """The table trial_class_metrics: every whole epoch of the trials with these ``ends``."""
    rows: list[dict[str, object]] = [
        row
        for end in sorted(ends, key=lambda end: end.trial.trial_id)
        for number, epoch in enumerate(epochs(bench, end.trial), 1)
        for row in epoch_rows(bench, end.trial.trial_id, number, epoch, is_kept=number == end.kept_epoch)
    ]
    return schema.from_rows("trial_class_metrics", rows, run=bench.run)


def class_deltas(bench: Bench, candidate: Candidate | None) -> pa.Table:
    """The table class_deltas: the candidate against the baseline; empty without one."""
    if candidate is None:
        return schema.empty("class_deltas")
    deltas = candidate.proof.classes
    n = len(bench.classes)
    return schema.from_columns(
        "class_deltas",
        {
            "category_id": bench.class_ids,
            "category_name": [bench.classes[number] for number in bench.class_ids],
            "baseline_ap": as_json(candidate.baseline.ap.mean(axis=0)),
            "best_ap": as_json(candidate.runs.ap.mean(axis=0)),
            "baseline_ap50": as_json(candidate.baseline.ap50.mean(axis=0)),
            "best_ap50": as_json(candidate.runs.ap50.mean(axis=0)),
            "delta": as_json(deltas.delta),
            "delta_low": as_json(deltas.low),
            "delta_high": as_json(deltas.high),
            "seeds": [len(candidate.seeds)] * n,
            "verdict": deltas.verdicts(),
            "is_focus": bench.is_focus,
            "guard_risk": as_json(candidate.proof.fell),
            "guard_kept": [
                None if np.isnan(low) else bool(kept)
                for low, kept in zip(deltas.low, candidate.proof.kept, strict=True)
            ],
        },
        run=bench.run,
    )
