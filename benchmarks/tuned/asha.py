"""What asynchronous halving saves: the same trials with and without it."""

from collections.abc import Callable
from pathlib import Path

from planted.data import drawn
from planted.runs import Bench

from tuned.search import smaller, tune

SPACE = {
    "focal_gamma": {"low": 0.5, "high": 3.0},
    "learning_rate": {"low": 3.0e-4, "high": 1.0e-2, "log": True},
    "oversample": [2, 4, 8],
    "augmentation": ["none", "strong"],
}
LIMIT = 0.4
"""Of the epochs."""


def report(trials: int, pictures: int, epochs: int, seeds: int, work: Path, tell: Callable[[str], None]) -> None:
    """Print the figures; ``seeds`` of the proof, whose interval says how far two trials are apart by chance."""
    data = drawn(work / "drawn")
    case = smaller(Bench(work, work).clean(data, 0), pictures, epochs=epochs)
    settings = {"focus": ["target"], "trials": trials, "search": "random", "space": SPACE, "proof_split": "val"}
    found = {
        scheduler: tune(
            *(data, case, settings | {"scheduler": scheduler, "proof_seeds": count}, work, scheduler), ray=True
        )
        for scheduler, count in (("none", seeds), ("asha", 0))
    }
    whole, part = found["none"], found["asha"]
    aps = {row["trial_id"]: row["objective"] for row in whole.trials}
    (focus,) = [row for row in whole.deltas if row["is_focus"]]
    half = (focus["delta_high"] - focus["delta_low"]) / 2
    tell(f"epochs: {part.epochs} of {whole.epochs}, {part.epochs / whole.epochs:.2f} (at most {LIMIT})")
    same = sum(row["status"] == "completed" for row in part.trials)
    tell(f"{trials} trials of {epochs} epochs, {pictures} pictures; of those with ASHA {same} ran to their end")
    tell(f"winner without: {whole.best['trial_id']}, objective {whole.best['objective']:.3f}")
    tell(
        f"winner with: {part.best['trial_id']}, objective {aps[part.best['trial_id']]:.3f} in the search without; half"
        f" of the proof's interval: {half:.3f}"
    )
