"""What stands in braces in a program's arguments and configuration."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.tune.dotted import DETECTOR

FILES = ("config", "output", "train", "val", "detect", "samples")
"""Files and folders: the trial's configuration, where the program writes, both splits as COCO JSON, the pictures to
detect on (COCO JSON without annotations), and the training pictures, a path a line, as often as an epoch shows each."""
KNOWN = (*FILES, "epochs", "seed")

_NAME = re.compile(r"\{([a-z_][a-z0-9_.]*)\}")


def names_in(words: Iterable[str]) -> set[str]:
    """The names in braces."""
    return {name for word in words for name in _NAME.findall(word)}


def find_unknown(word: str) -> str | None:
    """The first name that is neither a file nor a setting."""
    known = {
        *FILES,
        *TrainSettings.__struct_fields__,
        *(DETECTOR + name for name in DetectorSettings.__struct_fields__),
    }
    return next((str(name) for name in _NAME.findall(word) if name not in known), None)


def fill(word: str, values: Mapping[str, Any]) -> str:
    """``word`` with what the names stand for; of a name that ``values`` lacks it stays."""
    return _NAME.sub(lambda found: str(values.get(found[1], found[0])), word)


def fill_all(value: Any, values: Mapping[str, Any]) -> Any:
    """The same in all texts of a JSON value."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list):
        return [fill_all(one, values) for one in value]
    return {key: fill_all(one, values) for key, one in value.items()} if isinstance(value, dict) else value
