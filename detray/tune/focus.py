"""The classes of a tuning, and which of them it is for."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.flow.data import Data
from detray.tables import class_names, own_classes


@dataclass(frozen=True)
class Classes:
    """Category_id to name: ``trained`` of the training split, ``all`` these and those of the validation split."""

    trained: dict[int, str]
    all: dict[int, str]


def read_classes(data: Data) -> Classes:
    """The classes of both splits."""
    categories = data.read("categories")
    trained = class_names(own_classes(categories.filter(pc.equal(categories["split"], TRAIN))))
    is_judged = pc.and_(pc.equal(categories["split"], VAL), pc.not_equal(categories["source"], "predictions"))
    return Classes(trained, class_names(categories.filter(is_judged)) | trained)


def find_focus(data: Data, named: tuple[str, ...], classes: Mapping[int, str]) -> tuple[int, ...]:
    """The ids of the classes to tune for: those named, else those diagnosed; sorted.

    Raises:
        UsageError: a class that is named is not there.
    """
    if not named:
        found = data.read("diagnoses", columns=["split", "category_id", "ap"])
        found = found.filter(pc.and_(pc.equal(found["split"], VAL), pc.is_valid(found["ap"])))
        return tuple(sorted(set(found["category_id"].to_pylist()) & set(classes)))
    for name in named:
        if name not in classes.values():
            near = difflib.get_close_matches(name, classes.values(), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the classes are {', '.join(classes.values())}"
            raise UsageError(f"tune.focus names the class '{name}', which the data set does not have; {hint}")
    return tuple(sorted(number for number, name in classes.items() if name in named))
