"""BCCD with Platelets thinned to 20 boxes in training: what a search gains on fresh seeds, of the space that follows
from the diagnosis by detray's own network, or of one that is written out by another program (`points.py`)."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from planted.data import blood_cells
from planted.plant import drop_labels, setting
from planted.runs import Bench

from tuned.search import tune

BOXES = 20
FOCUS = "Platelets"
SPACE = {"focal_gamma": [1.0, 1.5], "oversample": [2, 4, 8], "learning_rate": [1.0e-3, 4.0e-3]}
"""Of the program."""


def program(epochs: int, work: Path) -> dict[str, Any]:
    """The settings of a tuning of `points.py`."""
    work.mkdir(parents=True, exist_ok=True)
    config = work / "points.json"
    config.write_text(json.dumps({"epochs": epochs, "seed": 0, "rate": 2.0e-3, "gamma": 2.0}))
    words = [sys.executable, str(Path(__file__).with_name("points.py"))]
    words += [f"{{{name}}}" for name in ("config", "train", "samples", "detect", "output")]
    levers = {"focal_gamma": "gamma", "learning_rate": "rate", "epochs": "epochs", "seed": "seed"}
    command = {"run": words, "config": str(config), "levers": levers}
    return {"trainer": "command", "command": command, "space": SPACE}


def report(
    folder: Path,
    trials: int,
    epochs: int,
    seeds: int,
    size: list[int],
    by_command: bool,
    work: Path,
    tell: Callable[[str], None],
) -> None:
    """Print the figures; ``size`` is the input's height and width, px, of detray's network. The proof is judged on
    BCCD's split test."""
    data = blood_cells(folder, ("train", "val", "test"))
    document = data.documents["train"]
    (number,) = [entry["id"] for entry in document["categories"] if entry["name"] == FOCUS]
    count = sum(row["category_id"] == number for row in document["annotations"])
    case = Bench(work, work).clean(data, 0)
    plants = (
        drop_labels("train", FOCUS, 1 - BOXES / count),
        setting("train", epochs=epochs),
        setting("detector", input_height=size[0], input_width=size[1]),
    )
    for plant in plants:
        case = plant(case, np.random.default_rng(0))
    settings = {"focus": [FOCUS], "trials": trials, "proof_seeds": seeds}
    settings |= program(epochs, work) if by_command else {}
    found = tune(data, case, settings, work, "cells", ray=True)
    tell(found.manifest["facts"]["sentence"])
    for lever in found.manifest["facts"].get("levers", []):
        tell(f"{lever['name']}: {lever['values']} because {lever['because']}")
    tell("| class | AP before | AP after | change | interval | fell by over the guard's .02 |")
    tell("|---|---|---|---|---|---|")
    for row in found.deltas:
        ends = ("–", "–") if row["delta_low"] is None else (f"{row['delta_low']:+.3f}", f"{row['delta_high']:+.3f}")
        risk = "–" if row["guard_risk"] is None else f"{row['guard_risk']:.1%}"
        tell(
            f"| {row['category_name']} | {row['baseline_ap']:.3f} | {row['best_ap']:.3f} | {row['delta']:+.3f} |"
            f" {ends[0]} to {ends[1]} | {risk} |"
        )
