"""Names of classes in YAML, JSON, CSV and text: lists, or mappings of numbers and names either way."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from detray.errors import UsageError
from detray.formats.label_map.entries import MAX_BYTES, Entry, Problem
from detray.formats.values import clean, describe
from detray.formats.yolo.data_file import DATA_FILES, SPLITS

_PLACEHOLDER = "???"  # TensorFlow Lite's label files mark unused numbers so
_YOLO_KEYS = frozenset(("path", "nc", *(key for keys in SPLITS.values() for key in keys)))
_NUMBERED = re.compile(r"(-?\d+)\s*[:,\s]\s*(\S.*)")


def from_json_text(text: str, source: str) -> tuple[Any, list[Problem]]:
    """The value, in which a key that stands twice has its last value, and a problem for each such key."""
    problems: list[Problem] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        often = Counter(name for name, _ in pairs)
        said = (f"key {describe(name)!r} stands {count} times" for name, count in often.items() if count > 1)
        problems.extend(Problem(None, one, "each key once") for one in said)
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=mapping), problems
    except RecursionError:
        raise UsageError(f"{source}: nested too deeply to be a label map") from None
    except ValueError as error:
        raise UsageError(f"{source}: not readable as JSON: {error}") from None


def from_value(value: Any, source: str) -> tuple[list[Entry], list[Problem]]:
    """Names, mappings of numbers and names either way, COCO categories, or a YOLO data file."""
    if isinstance(value, dict) and isinstance(value.get("names"), list | dict):
        names = value["names"]
        is_yolo = not _YOLO_KEYS.isdisjoint(value) or Path(source).name in DATA_FILES
        if isinstance(names, dict) and is_yolo:
            return _pairs(((integer(index), name) for index, name in names.items()), shift=1)
        value = names
    if isinstance(value, dict) and isinstance(value.get("categories"), list):
        value = value["categories"]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _pairs((integer(item.get("id")), item.get("name")) for item in value)
    if isinstance(value, list):
        return _pairs(enumerate(value), shift=1)
    if isinstance(value, dict) and value:
        if all(integer(key) is not None for key in value):
            return _pairs((integer(key), name) for key, name in value.items())
        return _pairs((integer(number), name) for name, number in value.items())
    raise UsageError(f"{source}: holds no names: a list of names, or a mapping of ids to names, is expected")


def from_descriptions(text: str) -> tuple[list[Entry], list[Problem]]:
    """Open Images' class descriptions: machine id and words, a line a class, with or without a header."""
    entries: list[Entry] = []
    csv.field_size_limit(MAX_BYTES)
    for line, row in enumerate(csv.reader(text.splitlines()), 1):
        if len(row) >= 2 and row[0] != "LabelName":
            entries.append(Entry(len(entries) + 1, row[0].strip(), row[1].strip(), line, is_position=True))
    return entries, []


def integer(value: Any) -> int | None:
    """An int64, also where it is written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}\s*", value):
        return int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _pairs(pairs: Any, shift: int = 0) -> tuple[list[Entry], list[Problem]]:
    """Entries of numbers and names; with a ``shift`` the numbers are places, and become ids by it."""
    entries, problems = [], []
    for number, name in pairs:
        if not isinstance(name, str):
            if name is None or isinstance(name, list | dict):
                problems.append(Problem(None, f"{describe(name)} as the name of id {number}", "a name"))
                name = None
            else:
                name = str(name)  # YAML reads the names no, 7 and 1.5 as other things than text
        entries.append(Entry(None if number is None else number + shift, name and clean(name), is_position=shift > 0))
    return entries, problems


def from_lines(text: str) -> tuple[list[Entry], list[Problem]]:
    """One name a line, or one number and name a line."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for _, line in lines]
    if lines and all(numbered):
        entries = [
            Entry(integer(match[1]), match[2].strip(), line=line)
            for (line, _), match in zip(lines, numbered, strict=True)
            if match
        ]
    else:
        entries = [Entry(position, name, line=line, is_position=True) for position, (line, name) in enumerate(lines, 1)]
    return [entry for entry in entries if entry.name != _PLACEHOLDER], []
