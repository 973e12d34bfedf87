"""Values of hostile files as numbers and names; what cannot be taken as it stands is a defect.

A defect costs its own field: the value becomes None, the row stays.
"""

import json
import math
from functools import lru_cache
from typing import Any

import msgspec

MAX_OBSERVED = 200
_MAX_DIGITS = 400

Defect = dict[str, str]
Row = dict[str, Any]


class Defects(list[Defect]):
    """The defects of one row, as the column ``defects`` holds them."""

    def note(self, rule: str, field: str, observed: object) -> None:
        """Add one: ``rule`` is the code of the audit's rule, ``observed`` the value as read."""
        self.append(_defect(rule, field, describe(observed)))

    def or_none(self) -> "Defects | None":
        return self or None


@lru_cache(maxsize=4096)
def _defect(rule: str, field: str, observed: str) -> Defect:
    """One object for equal defects: millions of rows may share one fault."""
    return {"rule": rule, "field": field, "observed": observed}


def describe(value: object) -> str:
    """A value as text of at most `MAX_OBSERVED` characters."""
    if isinstance(value, list | dict):
        if len(value) > MAX_OBSERVED:
            return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):
            text = f"a deeply nested {type(value).__name__}"
    elif value is None or isinstance(value, bool):
        text = json.dumps(value)
    elif isinstance(value, str):
        text = value[:MAX_OBSERVED]
    else:
        text = str(value)
    return clean(text)[:MAX_OBSERVED]


def clean(text: str) -> str:
    """``text`` as UTF-8 can hold it: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def as_json(value: object, field: str, defects: Defects) -> str:
    """``value`` as JSON text; NaN and Infinity in it become null and are noted."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        defects.note("not-finite", field, value)
        return msgspec.json.encode(value).decode()  # writes null for what is not finite


def number(value: object, field: str, defects: Defects) -> float | None:
    """A finite float. Numbers as text are read and noted; NaN and Infinity are noted as not-finite."""
    if isinstance(value, str):
        defects.note("wrong-type", field, value)
        found = parse_number(value)
        return found if found is not None and math.isfinite(found) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        defects.note("wrong-type", field, value)
        return None
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        defects.note("not-finite", field, value)
        return None
    return found


def written_number(text: str | None, field: str, defects: Defects) -> float | None:
    """A finite float from a format whose numbers are text (XML, CSV); None, noted, where it is none."""
    if text is None or not text.strip():
        defects.note("missing-field", field, "")
        return None
    found = parse_number(text)
    if found is None:
        defects.note("wrong-type", field, text)
    elif not math.isfinite(found):
        defects.note("not-finite", field, text)
        return None
    return found


def written_integer(text: str | None, field: str, defects: Defects) -> int | None:
    """An int64 from a format whose numbers are text; ``640.0`` is 640."""
    found = written_number(text, field, defects)
    if found is None:
        return None
    if not found.is_integer() or not -(2**63) < found < 2**63:
        defects.note("wrong-type", field, text)
        return None
    return int(found)


def parse_number(text: str) -> float | None:
    """The number that ``text`` writes, without Python's own freedoms (underscores); None if none."""
    if len(text) > _MAX_DIGITS or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def integer(value: object, field: str, defects: Defects) -> int | None:
    """An int64. JSON has one type of number, so 3.0 is 3; integers as text are read and noted."""
    if isinstance(value, str):
        defects.note("wrong-type", field, value)
        text = value.strip()
        if not (text.isascii() and text.lstrip("+-").isdigit() and len(text) < 20):
            return None
        value = int(text)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, float) and not math.isfinite(value):
        defects.note("not-finite", field, value)
        return None
    elif isinstance(value, bool) or not isinstance(value, int):
        defects.note("wrong-type", field, value)
        return None
    if not -(2**63) < value < 2**63:  # the lowest stands for no id where rows are compared
        defects.note("wrong-type", field, value)
        return None
    return value


def flag(value: object, field: str, defects: Defects) -> bool:
    """Whether a flag that is written as 0 or 1 is set; what is neither is noted."""
    if value is None or isinstance(value, bool):
        return bool(value)
    found = integer(value, field, defects)
    if found is not None and found not in (0, 1):
        defects.note("wrong-type", field, value)
    return bool(found)


def side(value: int | None, field: str, defects: Defects) -> int | None:
    """A stated width or height of a picture, at least 1 px; None, noted, where it is less."""
    if value is None or value >= 1:
        return value
    defects.note("wrong-type", field, value)
    return None


def text(value: object, field: str, defects: Defects) -> str | None:
    """A string; anything else, and one of no character, is noted and not taken.

    Characters that no text file holds, NUL and halves of surrogate pairs (which bytes that are no UTF-8
    are read as), are noted.
    """
    if not isinstance(value, str):
        defects.note("wrong-type", field, value)
        return None
    if not value:
        defects.note("missing-field", field, "")
        return None
    if not is_text(value):
        defects.note("wrong-type", field, value)
    return clean(value)


def is_text(value: str) -> bool:
    """Whether ``value`` is of characters that a text file can hold: no NUL, no half of a surrogate pair."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def has(row: Row, field: str, defects: Defects) -> bool:
    """Whether ``row`` has a value under ``field``; where not, or null, that is noted."""
    if row.get(field) is None:
        defects.note("missing-field", field, "null" if field in row else "")
        return False
    return True


def integer_of(row: Row, field: str, defects: Defects) -> int | None:
    """`integer` of a required field."""
    return integer(row[field], field, defects) if has(row, field, defects) else None


def number_of(row: Row, field: str, defects: Defects) -> float | None:
    """`number` of a required field."""
    return number(row[field], field, defects) if has(row, field, defects) else None


def text_of(row: Row, field: str, defects: Defects) -> str | None:
    """`text` of a required field."""
    return text(row[field], field, defects) if has(row, field, defects) else None


def box_of(row: Row, field: str, defects: Defects) -> tuple[float | None, ...]:
    """A required box as four numbers, each None where it cannot be read."""
    nothing = (None,) * 4
    if not has(row, field, defects):
        return nothing
    box = row[field]
    if not isinstance(box, list):
        defects.note("wrong-type", field, box)
        return nothing
    if len(box) != 4:
        defects.note("box-arity", field, box)
        return nothing
    return tuple(number(value, f"{field}[{index}]", defects) for index, value in enumerate(box))
