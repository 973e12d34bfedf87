"""Settings by dotted names: ``focal_gamma`` and ``augmentation.flip.p`` of training, ``detector.input_height``."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec

from detray.detectors.augmentation.settings import written_out
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.refusals import find_refusal
from detray.settings import Section

DETECTOR, AUGMENTATION = "detector.", "augmentation."
OWN = "config."
"""How the names of values begin that stand in the trainer's own configuration, and that detray does not know."""

S = TypeVar("S", bound=Section)


def read(name: str, value: object) -> Any:
    """``value`` as the setting ``name`` takes it, be the other settings what they may.

    Raises:
        ValueError: there is no such setting, or it takes no such value.
    """
    kind: Any = DetectorSettings if name.startswith(DETECTOR) else TrainSettings
    for key in name.removeprefix(DETECTOR).split("."):
        types = {field.name: field.type for field in msgspec.structs.fields(_section(kind) or NoSettings)}
        if key not in types:
            known = f"; known there: {', '.join(types)}" if types else ""
            raise ValueError(f"{name}: there is no setting '{key}'{known}")
        kind = types[key]
    if found := find_refusal(value, kind):
        raise ValueError(f"{'.'.join((name, *found.path))}: {found.reason}")
    return msgspec.convert(value, kind)


class NoSettings(Section, frozen=True):
    """What a value holds that is no section."""


def _section(kind: Any) -> type[Section] | None:
    """The section that a field's type allows, if it does."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind
    return next((found for part in get_args(kind) if (found := _section(part)) is not None), None)


def put(settings: S, path: str, value: object) -> S:
    """``settings`` with the value at ``path``; a mixture of augmentations that has a name is written out before.

    Raises:
        ValueError: it does not go together with the others.
    """
    if path.startswith(AUGMENTATION) and isinstance(settings, TrainSettings):
        settings = msgspec.structs.replace(settings, augmentation=written_out(settings.augmentation))
    values = msgspec.to_builtins(settings)
    *keys, last = path.split(".")
    place = values
    for key in keys:
        place[key] = place[key] if isinstance(place[key], dict) else {}
        place = place[key]
    place[last] = msgspec.to_builtins(value)
    return msgspec.convert(values, type(settings))


def get(settings: Section, path: str) -> Any:
    """The value at ``path``; None where what holds it is not there."""
    if path.startswith(AUGMENTATION) and isinstance(settings, TrainSettings):
        settings = msgspec.structs.replace(settings, augmentation=written_out(settings.augmentation))
    found: Any = settings
    for key in path.split("."):
        found = getattr(found, key, None)
    return found


def differences(before: Section, after: Section, prefix: str = "") -> dict[str, Any]:
    """The values of ``after`` that differ, by dotted name, as JSON has them; None where there is none any more."""
    ours, theirs = (_flat(msgspec.to_builtins(one)) for one in (before, after))
    gone = {name: None for name in ours.keys() - theirs.keys() if not any(at.startswith(f"{name}.") for at in theirs)}
    changed = {name: value for name, value in theirs.items() if ours.get(name) != value}
    return {prefix + name: value for name, value in sorted((gone | changed).items())}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
