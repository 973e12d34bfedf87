"""The faults: what is planted in which data, which classes it harms, and which causes name it rightly."""

from collections.abc import Sequence
from dataclasses import dataclass

from planted.plant import (
    Plant,
    change_pictures,
    drop_labels,
    keep_pictures,
    loosen,
    relabel,
    setting,
    swap_names,
)

TRAINING_LABELS = "training labels"
"""Of a cause: right only if it says that it is the training labels that are at fault."""


@dataclass(frozen=True)
class Fault:
    """One fault. ``classes`` are those that it may harm, all where it is empty."""

    name: str
    data: str
    plant: Plant
    classes: tuple[str, ...]
    right: tuple[str, ...]
    """Causes of which the first of a harmed class must be one."""
    blames: str = ""
    """`TRAINING_LABELS`: the cause must be told of these."""
    in_training: bool = True
    """Else the model was trained on clean data."""


@dataclass(frozen=True)
class Trial:
    """One fault, or a pair in the same data."""

    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        return " + ".join(fault.name for fault in self.faults)

    @property
    def data(self) -> str:
        return self.faults[0].data

    def touching(self, category: str) -> list[Fault]:
        """The faults that may harm a class."""
        return [fault for fault in self.faults if not fault.classes or category in fault.classes]


MISSING, WRONG, NOISY = ("missing_labels",), ("label_id_mismatch", "wrong_labels"), ("noisy_boxes",)

IN_TRAINING = (
    Fault(
        "94% of training labels dropped",
        "cells",
        drop_labels("train", "WBC", 0.94),
        ("WBC",),
        MISSING,
        TRAINING_LABELS,
    ),
    Fault("class absent in training", "drawn", drop_labels("train", "cross", 1.0), ("cross",), ("absent_in_training",)),
    Fault(
        "names swapped in training",
        "drawn",
        swap_names("train", "square", "triangle"),
        ("square", "triangle"),
        WRONG,
    ),
    Fault(
        "60% relabelled in training",
        "drawn",
        relabel("train", "ring", "square", 0.6),
        ("ring", "square"),
        ("wrong_labels",),
        TRAINING_LABELS,
    ),
    Fault(
        "loose boxes in training",
        "drawn",
        loosen("train", "triangle", 0.35),
        ("triangle",),
        NOISY,
        TRAINING_LABELS,
    ),
    Fault("one epoch", "cells", setting("train", epochs=1), (), ("undertrained",)),
    Fault(
        "ten pictures, many epochs",
        "drawn",
        lambda case, random: setting("train", epochs=150)(keep_pictures("train", 10)(case, random), random),
        (),
        ("overfit", "few_examples", "absent_in_training"),
    ),
    Fault("small input", "cells", setting("detector", input_height=64, input_width=96), (), ("small_objects",)),
)

IN_EVALUATION = tuple(
    Fault(name, data, plant, classes, right, in_training=False)
    for name, data, plant, classes, right in (
        ("high score threshold", "cells", setting("predict", score_threshold=0.7), (), ("score_threshold",)),
        ("four detections an image", "cells", setting("predict", max_detections=4), (), ("max_detections",)),
        ("val inverted", "cells", change_pictures("inverted"), (), ("train_eval_shift",)),
        ("val darkened", "cells", change_pictures("darkened"), (), ("train_eval_shift",)),
        ("val blurred", "drawn", change_pictures("blurred"), (), ("train_eval_shift",)),
        ("65% of val labels missing", "cells", drop_labels("val", "WBC", 0.65), ("WBC",), MISSING),
        ("names swapped in val", "cells", swap_names("val", "WBC", "Platelets"), ("WBC", "Platelets"), WRONG),
        (
            "60% relabelled in val",
            "drawn",
            relabel("val", "cross", "triangle", 0.6),
            ("cross", "triangle"),
            ("wrong_labels",),
        ),
        ("loose boxes in val", "drawn", loosen("val", "ring", 0.35), ("ring",), NOISY),
        ("pictures halved, boxes not", "cells", change_pictures("halved"), (), ("box_format",)),
    )
)

FAULTS = {fault.name: fault for fault in (*IN_EVALUATION, *IN_TRAINING)}

PAIRS = (
    ("65% of val labels missing", "val darkened"),
    ("names swapped in val", "high score threshold"),
    ("loose boxes in val", "60% relabelled in val"),
    ("94% of training labels dropped", "four detections an image"),
    ("class absent in training", "loose boxes in val"),
    ("small input", "val inverted"),
)


def trials(only: Sequence[str] = ()) -> list[Trial]:
    """All single faults and pairs, those first that need no training of their own; ``only``: whose name has a part."""
    singles = [(fault,) for fault in FAULTS.values()]
    pairs = [tuple(FAULTS[name] for name in names) for names in PAIRS]
    found = [Trial(faults) for faults in (*singles, *pairs)]
    found.sort(key=lambda trial: any(fault.in_training for fault in trial.faults))
    return [trial for trial in found if not only or any(part in trial.name for part in only)]
