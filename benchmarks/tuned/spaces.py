"""The space that follows from the diagnosis, a fixed one, and plain random over all levers, with equal budgets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from planted.data import drawn
from planted.plant import Plant, drop_pictures, keep_pictures, loosen, setting
from planted.runs import Bench

from tuned.search import smaller, tune

FOCUS = "cross"
"""The weakest of the drawn classes that has enough boxes for its AP to be told from chance: of the rare one, target,
so short a training leaves AP below .05."""

FIXED = {
    "focal_alpha": [0.4, 0.6],
    "focal_gamma": [1.0, 1.5],
    "freeze_units": [1, 2],
    "augmentation": ["none", "strong"],
    "oversample": [4],
}
"""What ``auto`` was before it read any diagnosis, but for x8: a class that most pictures hold would train five times as
long."""

ALL = {
    "focal_alpha": {"low": 0.1, "high": 0.9},
    "focal_gamma": {"low": 0.0, "high": 4.0},
    "box_loss_weight": {"low": 0.25, "high": 8.0, "log": True},
    "class_weights": ["inverse_frequency", "effective_number"],
    "label_smoothing": {"low": 0.0, "high": 0.2},
    "freeze_units": {"low": 0, "high": 5},
    "augmentation": ["none", "default", "strong"],
    "oversample": [2, 4],
    "learning_rate": {"low": 1.0e-4, "high": 1.0e-1, "log": True},
    "weight_decay": {"low": 1.0e-6, "high": 1.0e-2, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": ["sgd", "rmsprop"],
    "detector.input_height": [96, 160, 192],
}


@dataclass(frozen=True)
class Weakness:
    """What is planted, one change after the other."""

    name: str
    plants: tuple[Plant, ...]


WEAKNESSES = (
    Weakness("imbalance", (drop_pictures("train", FOCUS, 0.8),)),
    Weakness("overfit", (keep_pictures("train", 40), setting("train", epochs=60, augmentation="none"))),
    Weakness("small objects", (setting("detector", input_height=64, input_width=64),)),
    Weakness("too large objects", (setting("detector", top_level=5, anchors={"sizes": [[4.0]], "aspects": [1.0]}),)),
    Weakness("gamma 0", (setting("train", focal_gamma=0.0),)),
    Weakness("frozen too deep", (setting("train", freeze_units=5),)),
    Weakness("little data, no augmentation", (keep_pictures("train", 60), setting("train", augmentation="none"))),
    Weakness("rate too high", (setting("train", learning_rate=0.1),)),
    Weakness("loose boxes", (loosen("train", FOCUS, 0.3),)),
    Weakness("weights lost", (setting("train", learning_rate=1.0e-4),)),
)
"""Of lost weights the small network has none: it starts so slowly as one that has lost them."""

AFTER = (4, 8, 16)


def report(trials: int, only: list[str], pictures: int, epochs: int, work: Path, tell: Callable[[str], None]) -> None:
    """Print a table: focus AP gained on the search's own seed and split."""
    data = drawn(work / "drawn")
    steps = [count for count in AFTER if count <= trials]
    tell(f"| weakness | space | {' | '.join(f'after {count}' for count in steps)} |")
    tell("|---|---|" + "---|" * len(steps))
    for weakness in WEAKNESSES:
        if only and weakness.name not in only:
            continue
        case = smaller(Bench(work, work).clean(data, 0), pictures, epochs=epochs)
        for plant in weakness.plants:
            case = plant(case, np.random.default_rng(crc32(weakness.name.encode())))
        folder = work / weakness.name.replace(" ", "-")
        for name, change in (
            ("diagnosis", {"space": "auto"}),
            ("fixed", {"space": FIXED}),
            ("random over all", {"space": ALL, "search": "random"}),
        ):
            settings = {"focus": [FOCUS], "trials": trials, "scheduler": "none", "proof_seeds": 0} | change
            found = tune(data, case, settings | {"proof_split": "val"}, folder, name.replace(" ", "-"))
            tell(f"| {weakness.name} | {name} | {' | '.join(f'{found.gain(count):+.3f}' for count in steps)} |")
