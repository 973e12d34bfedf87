"""Values as text for the page. Everything is escaped by the template engine; this is about being readable."""

import unicodedata

from markupsafe import Markup

NONE = "–"
"""What stands for a value that cannot be computed."""

# they reorder the text around them, so that a name could read as something else
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_KEPT = frozenset("\t\n")


def visible(value: object) -> object:
    """Text with control, direction and surrogate characters written as their code points.

    Applied to everything that a template puts out; markup and other values stay as they are.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return "".join(_visible_character(character) for character in value)


def _visible_character(character: str) -> str:
    hidden = character in _BIDI or (unicodedata.category(character) in ("Cc", "Cs") and character not in _KEPT)
    return f"[U+{ord(character):04X}]" if hidden else character


def number(value: float | None, digits: int = 3) -> str:
    """A share or metric: ``0.412``."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A change: ``+0.073`` or ``−0.020``."""
    return NONE if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: int | None) -> str:
    """A count: ``12,345``."""
    return NONE if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share as a percentage: ``41%``."""
    return NONE if value is None else f"{value:.0%}"


def compact(value: object) -> object:
    """A number with as many digits as it needs, at most four; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE if value is None else value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def names(sentence: str) -> list[tuple[str, bool]]:
    """The parts of a sentence, and whether each is a name, which stands in backquotes: ```ring` is absent``."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:  # a lone backquote is one
        parts[-2:] = ["`".join(parts[-2:])]
    return [(part, bool(index % 2)) for index, part in enumerate(parts) if part]


def duration(seconds: float | None) -> str:
    """A time: ``0.8 s``, ``42 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


FILTERS = {
    "number": number,
    "signed": signed,
    "count": count,
    "percent": percent,
    "compact": compact,
    "names": names,
    "duration": duration,
}
