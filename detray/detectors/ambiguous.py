"""A model that may be read in several ways: which fields its signature leaves open."""

from collections.abc import Sequence

from detray.detectors.io import Layout
from detray.errors import UsageError

FIELDS = ("resize", "input_range", "box_order", "box_unit")
"""Of a layout, those that a signature may leave open, by their keys in ``detector.io``."""


class AmbiguousError(UsageError):
    """A model that may be read as any of ``readings``; the sentence names what is to be set."""

    readings: tuple[Layout, ...] = ()

    @staticmethod
    def of(path: str, readings: Sequence[Layout]) -> "AmbiguousError":
        """The error of the model at ``path``."""
        values = {key: dict.fromkeys(getattr(reading, key) for reading in readings) for key in open_fields(readings)}
        choices = "; ".join(f"detector.io.{key} to {' or '.join(map(str, found))}" for key, found in values.items())
        error = AmbiguousError(f"{path}: {untold(readings)}; set {choices}")
        error.readings = tuple(readings)
        return error


def untold(readings: Sequence[Layout]) -> str:
    """That the model does not tell some fields."""
    keys = open_fields(readings)
    return f"its signature does not tell {' and '.join([', '.join(keys[:-1]), keys[-1]] if keys[1:] else keys)}"


def open_fields(readings: Sequence[Layout]) -> list[str]:
    """The `FIELDS` in which they differ."""
    return [field for field in FIELDS if len({getattr(reading, field) for reading in readings}) > 1]
