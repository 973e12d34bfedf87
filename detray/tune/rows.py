"""The tables that a tuning leaves, from the ends of its trials."""

import json
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.detectors.settings import TrainSettings
from detray.store import PARTIAL, Json, Stage
from detray.tune.bench import Bench
from detray.tune.finals import Candidate
from detray.tune.search import Search
from detray.tune.trial import Trial, as_json

STRENGTHS = {"none": 0.0, "default": 1.0, "strong": 2.0}
"""The column augmentation_strength."""


def trials(search: Search, finals: Sequence[Json], best: Trial) -> pa.Table:
    """The table trials: those of the search, then the finals, whose ends are given."""
    ends = [*(search.ends[trial.trial_id] for trial in search.trials), *finals]
    total = sum(end["seconds"] for end in ends) or 1.0
    scores = {trial.trial_id: search.objective(trial) for trial in search.trials}
    focus = [search.bench.classes[number] for number in search.bench.focus]
    rows = []
    for end in ends:
        settings = msgspec.convert(end["config"], TrainSettings)
        rows.append(
            {
                "trial_id": end["trial_id"],
                "phase": end["phase"],
                "status": end["status"],
                "seed": settings.seed,
                "focal_alpha": settings.focal_alpha,
                "focal_gamma": settings.focal_gamma,
                "freeze_units": settings.freeze_units,
                "augmentation_strength": STRENGTHS[settings.augmentation],
                "oversample_factor": max(settings.oversample.get(name, 1.0) for name in focus),
                "config": msgspec.json.encode(settings).decode(),
                "epochs": end["epochs"],
                "seconds": end["seconds"],
                "gpu_seconds": end["gpu_seconds"],
                "cost_share": end["seconds"] / total,
                "objective": scores.get(end["trial_id"]),
                "is_baseline": end["trial_id"] == search.baseline.trial_id,
                "is_best": end["trial_id"] == best.trial_id,
                "error": end["error"],
            }
        )
    return schema.from_rows("trials", rows, run=search.bench.run)


def trial_class_metrics(stage: Stage) -> pa.Table:
    """The table trial_class_metrics: the epochs of all trials, each of which wrote a part of its own."""
    parts = [
        part
        for receipt in map(json.loads, stage.receipts().values())
        for part in receipt["tables"].get("trial_class_metrics", [])
    ]
    files = [{"file": f"{stage.name}/{PARTIAL}/trial_class_metrics/{part['file']}"} for part in parts]
    rows = stage.store.read_files(files, "trial_class_metrics")
    return rows.sort_by([("trial_id", "ascending"), ("epoch", "ascending"), ("category_id", "ascending")])


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
            "guard_kept": [
                None if np.isnan(low) else bool(kept)
                for low, kept in zip(deltas.low, candidate.proof.kept, strict=True)
            ],
        },
        run=bench.run,
    )
