"""A figure from elsewhere: which number it is of, and the sentence that says what explains it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from detray.errors import UsageError
from detray.evaluate.protocol import CAPS, Protocol

CLOSE = 0.0015
"""Figures that differ by no more are the same: other rounding, other order of ties."""
SAME = 1e-9
"""Rules that move the number by no more do not matter here."""
_KINDS = (
    (r"at IoU \S+ alone", "at single IoU thresholds"),
    (r"with \S+ detections? an image and class", "with other numbers of detections an image and class"),
    (r"without detections under a score of \S+", "without detections under a minimum score"),
)
_ALIASES = {"map": "AP", "map5095": "AP", "map595": "AP", "map05095": "AP", "map50": "AP50", "map05": "AP50"}
_ALIASES |= {"map75": "AP75", "map075": "AP75", "mapsmall": "APs", "mapmedium": "APm", "maplarge": "APl"}
_KNOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "ARs", "ARm", "ARl", "APr", "APc", "APf")


@dataclass(frozen=True)
class Expectation:
    """A figure that another tool gave.

    Attributes:
        name: as it was given.
        metric: the number it is of.
        category: the class it is about; None: all.
        value: the figure, as a share.
        rounding: how much may have been rounded off.
    """

    name: str
    metric: str
    category: str | None
    value: float
    rounding: float

    @property
    def tolerance(self) -> float:
        """How far another figure may be from it."""
        return max(CLOSE, self.rounding)

    def distance(self, value: float) -> float:
        """How far a figure is from it, beyond what was rounded off."""
        return max(abs(value - self.value) - self.rounding, 0.0)

    @property
    def key(self) -> str:
        """What readings of it are stored by."""
        return self.metric if self.category is None else f"{self.metric}/{self.category}"


@dataclass(frozen=True)
class Reading:
    """What a number is by other rules, in words, and its value."""

    words: str
    value: float | None


def parse(name: str, value: float) -> Expectation:
    """What a figure is of: ``AP50``, ``mAP``, ``AP/person`` ...; over 1 it is in percent.

    Raises:
        UsageError: no number is called so.
    """
    stated, slash, category = name.strip().partition("/")
    plain = re.sub(r"[^a-z0-9]", "", stated.lower())
    known = {metric.lower(): metric for metric in (*_KNOWN, *(f"AR{cap}" for cap in CAPS.values()), "AP50_11point")}
    metric = _ALIASES.get(plain) or known.get(stated.lower()) or known.get(plain)
    if metric is None and re.fullmatch(r"ar[0-9]+", plain):
        metric = plain.upper()
    if metric is None:
        raise UsageError(
            f"--expect {name}: no number is called so; there are {', '.join(_KNOWN)}, and NAME/CLASS of a class"
        )
    digits = len(repr(value).partition(".")[2]) if "e" not in repr(value) else 6
    share = value / 100 if value > 1 else value
    if not 0 <= share <= 1:
        raise UsageError(f"--expect {name}={value:g}: is no share from 0 to 1, and no percentage")
    rounding = 0.5 * 10.0 ** -(digits + (2 if value > 1 else 0))
    return Expectation(name.strip(), metric, category if slash else None, share, min(rounding, 0.005))


def read_assignments(assignments: Sequence[str]) -> dict[str, float]:
    """``NAME=VALUE`` of the command line.

    Raises:
        UsageError: one is something else, or no number is called so.
    """
    found: dict[str, float] = {}
    for text in assignments:
        name, equals, value = text.rpartition("=")
        try:
            found[name] = float(value.strip().rstrip("%"))
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise UsageError(f"--expect {text}: write it as NAME=VALUE, for instance AP50=0.43")
        parse(name, found[name])
    return found


def explained(expected: Expectation, split: str, own: float | None, readings: Sequence[Reading]) -> str:
    """One sentence: whether the figure is the same, or which difference of rules explains it, or that none does."""
    given, here = f"{expected.name}={_shown(expected.value)}", _shown(own)
    if own is not None and abs(own - expected.value) <= expected.tolerance:
        return f"{given}: {split} gives {here}, the same"
    known = [one for one in readings if one.value is not None and (own is None or abs(one.value - own) > SAME)]
    ranked = sorted(known, key=lambda reading: expected.distance(reading.value or 0.0))
    fitting = [one for one in ranked if abs((one.value or 0.0) - expected.value) <= expected.tolerance]
    if fitting:
        best, *others = fitting
        also = f"; the same comes out {' or '.join(one.words for one in others[:2])}" if others else ""
        return f"{given}: {split} gives {here}, and {_shown(best.value)} {best.words}, which explains it{also}"
    tried = ", ".join(dict.fromkeys(_kind(reading.words) for reading in readings))
    nearest = f"; the nearest is {_shown(ranked[0].value)} {ranked[0].words}" if ranked else ""
    none = f"{given}: {split} gives {here}, and no known difference of rules explains it{nearest}"
    return f"{none}; tried: {tried}" if tried else none


def _kind(words: str) -> str:
    """What readings with different numbers have in common."""
    for pattern, kind in _KINDS:
        if re.fullmatch(pattern, words):
            return kind
    return words


def _shown(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4f}".rstrip("0").ljust(5, "0")


def metric_of(expected: Expectation, protocol: Protocol) -> str:
    """What the number is called by a protocol: its recall at the cap is called after it."""
    if expected.metric in {f"AR{cap}" for cap in CAPS.values()}:
        return f"AR{protocol.cap}"
    return expected.metric
