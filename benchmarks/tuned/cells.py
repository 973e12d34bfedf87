"""BCCD with Platelets thinned to 20 boxes in training: what the diagnosis' space gains on fresh seeds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from planted.data import blood_cells
from planted.plant import drop_labels, setting
from planted.runs import Bench

from tuned.search import tune

BOXES = 20
FOCUS = "Platelets"


def report(folder: Path, trials: int, epochs: int, seeds: int, work: Path, tell: Callable[[str], None]) -> None:
    """Print the figures."""
    data = blood_cells(folder)
    document = data.documents["train"]
    (number,) = [entry["id"] for entry in document["categories"] if entry["name"] == FOCUS]
    count = sum(row["category_id"] == number for row in document["annotations"])
    case = Bench(work, work).clean(data, 0)
    for plant in (drop_labels("train", FOCUS, 1 - BOXES / count), setting("train", epochs=epochs)):
        case = plant(case, np.random.default_rng(0))
    settings = {"focus": [FOCUS], "trials": trials, "proof_seeds": seeds}
    found = tune(data, case, settings, work, "cells", ray=True)
    tell(found.manifest["facts"]["sentence"])
    tell("| class | AP before | AP after | change | interval | fell by over the guard's .02 |")
    tell("|---|---|---|---|---|---|")
    for row in found.deltas:
        ends = ("–", "–") if row["delta_low"] is None else (f"{row['delta_low']:+.3f}", f"{row['delta_high']:+.3f}")
        risk = "–" if row["guard_risk"] is None else f"{row['guard_risk']:.1%}"
        tell(
            f"| {row['category_name']} | {row['baseline_ap']:.3f} | {row['best_ap']:.3f} | {row['delta']:+.3f} |"
            f" {ends[0]} to {ends[1]} | {risk} |"
        )
