"""A program's own configuration: which settings it has places for, and a copy with a trial's values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.files import open_file
from detray.settings import parse_yaml, read_text, to_yaml
from detray.tune.command.placeholders import fill_all, names_in
from detray.tune.command.settings import CommandSettings
from detray.tune.dotted import DETECTOR, OWN, get, put
from detray.tune.trial import Trial

SAMPLING = ("oversample", "undersample", "repeat_factor")
"""Settings that are a list of pictures, in which some stand several times."""


class Configuration(Protocol):
    """A file of a program."""

    @property
    def name(self) -> str:
        """What its copies are called."""
        ...

    def refusal(self, lever: str, value: Any) -> str | None:
        """As `TrainerKind.refusal`."""
        ...

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        """As `TrainerKind.baseline`."""
        ...

    def own(self, name: str) -> Any:
        """As `TrainerKind.own`."""
        ...

    def text(self, trial: Trial, baseline: TrainSettings, files: Mapping[str, str], records: Sequence[str]) -> str:
        """A copy with a trial's values; ``files`` by placeholder, and the records to train on, none: those stated."""
        ...

    def names(self) -> set[str]:
        """The placeholders in it."""
        ...


@dataclass(frozen=True)
class NoConfiguration:
    """A program that is told everything by its arguments."""

    run: Sequence[str]
    name: str = ""

    def refusal(self, lever: str, value: Any) -> str | None:
        return unnamed(lever, names_in(self.run), "no argument of tune.command.run holds it")

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        return settings

    def own(self, name: str) -> Any:
        raise UsageError(f"tune.space: {name}: there is no tune.command.config whose value it could be")

    def text(self, trial: Trial, baseline: TrainSettings, files: Mapping[str, str], records: Sequence[str]) -> str:
        return ""

    def names(self) -> set[str]:
        return set()


def unnamed(lever: str, names: set[str], otherwise: str) -> str | None:
    """None where a setting stands in braces, or is a list of pictures and that does; else ``otherwise``."""
    return None if lever in names or (lever in SAMPLING and "samples" in names) else otherwise


@dataclass(frozen=True)
class Structured:
    """JSON or YAML: a mapping, with a key for each setting that stands in ``levers``."""

    name: str
    values: Mapping[str, Any]
    levers: Mapping[str, str]
    run: Sequence[str]

    def refusal(self, lever: str, value: Any) -> str | None:
        if lever in self.levers or lever.startswith(OWN):
            return None
        listed = ", ".join(self.levers) or "none"
        return unnamed(
            lever, names_in(self.run) | self.names(), f"tune.command.levers states no key of {self.name} for it"
            f" ({listed} have one)"
        )  # fmt: skip

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        for lever, key in self.levers.items():
            found = _at(self.values, key)
            if found is None or lever.startswith(DETECTOR):
                continue
            try:
                settings = put(settings, lever, found)
            except (ValueError, msgspec.ValidationError) as error:
                raise UsageError(
                    f"{self.name}: {key} is {found}, which is no value of train.{lever}: {error}"
                ) from None
        return settings

    def own(self, name: str) -> Any:
        key = name.removeprefix(OWN)
        found = _at(self.values, key)
        if found is None:
            raise UsageError(f"tune.space: {name}: {self.name} has no key {key}")
        return found

    def text(self, trial: Trial, baseline: TrainSettings, files: Mapping[str, str], records: Sequence[str]) -> str:
        filled = fill_all(msgspec.to_builtins(dict(self.values)), placeholders(trial, files))
        for lever, key in self.levers.items():
            _put(filled, key, msgspec.to_builtins(setting(trial, lever)))
        for name, value in trial.own.items():
            _put(filled, name.removeprefix(OWN), value)
        return to_yaml(filled) if self.name.endswith((".yaml", ".yml")) else json.dumps(filled, indent=2)

    def names(self) -> set[str]:
        return names_in(_texts(self.values))


def setting(trial: Trial, lever: str) -> Any:
    """The value that a setting, by its dotted name, has in a trial."""
    if lever.startswith(DETECTOR):
        return get(trial.detector, lever.removeprefix(DETECTOR))
    return get(trial.settings, lever)


def placeholders(trial: Trial, files: Mapping[str, str]) -> Mapping[str, Any]:
    """What names in braces stand for in a trial."""
    names = [*TrainSettings.__struct_fields__, *(DETECTOR + one for one in DetectorSettings.__struct_fields__)]
    return {name: setting(trial, name) for name in names} | dict(files)


def read_structured(path: str, settings: CommandSettings) -> Structured:
    """The JSON or YAML file at ``path``.

    Raises:
        UsageError: it is not there, or holds no mapping.
    """
    values = _read_json(path) if path.endswith(".json") else parse_yaml(read_text(Path(path)), path)
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected a mapping of keys to values, got {type(values).__name__}")
    return Structured(Path(path).name, values, settings.levers, settings.run)


def _read_json(path: str) -> Any:
    try:
        with open_file(path) as stream:
            return json.load(stream)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check tune.command.config") from None
    except ValueError as error:
        raise UsageError(f"{path}: not readable as JSON: {error}") from None


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *way, last = key.split(".")
    for part in way:
        if not isinstance(values.get(part), dict):
            values[part] = {}
        values = values[part]
    values[last] = value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]
