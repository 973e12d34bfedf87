"""Label maps: which number means which class.

``.pbtxt`` is the TF Object Detection API's StringIntLabelMap (object_detection/protos/
string_int_label_map.proto) in protobuf's text format; ``.yaml``, ``.json`` and ``.txt`` hold names, ``.csv`` Open
Images' class descriptions.
Positions count from 1, as everywhere in detray; a mapping's own numbers are kept, also under ``names``.
A YOLO data file, which has train, val, test, nc or path beside ``names`` or is called data.yaml, counts from 0:
its class k has the id k + 1, as in the reader of YOLO labels.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from detray.errors import DetrayError, UsageError
from detray.files import open_file
from detray.formats.values import clean, describe, is_text
from detray.formats.yolo_data import DATA_FILES, SPLITS
from detray.settings import parse_yaml

MAX_BYTES = 16 << 20
_PLACEHOLDER = "???"  # TensorFlow Lite's label files mark unused numbers so
_YOLO_KEYS = frozenset(("path", "nc", *(key for keys in SPLITS.values() for key in keys)))
_NUMBERED = re.compile(r"(-?\d+)\s*[:,\s]\s*(\S.*)")


@dataclass(frozen=True)
class Entry:
    """One class; ``name`` is what annotations and TFRecords call it, ``display_name`` the words for people."""

    id: int | None
    name: str | None
    display_name: str | None = None
    line: int | None = None

    @property
    def label(self) -> str | None:
        """The words for people, else the name."""
        return self.display_name or self.name


@dataclass(frozen=True)
class Problem:
    """Something that makes a label map unusable as it stands: ``line`` from 1, ``observed``, and what is expected."""

    line: int | None
    observed: str
    expected: str


@dataclass(frozen=True)
class LabelMap:
    """The classes of a label map in their order, and what is wrong with it."""

    path: str
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def names(self) -> dict[int, str]:
        """Label by id, the first of each id; entries without id or name are left out."""
        found: dict[int, str] = {}
        for entry in self.entries:
            if entry.id is not None and entry.label is not None:
                found.setdefault(entry.id, entry.label)
        return found

    @property
    def ids(self) -> dict[str, int]:
        """Id by display name and by name; a name that several entries share (as 'NA') names none of them."""
        found: dict[str, int] = {}
        for kind in ("display_name", "name"):
            shared = Counter(getattr(entry, kind) for entry in self.entries)
            for entry in self.entries:
                name = getattr(entry, kind)
                if entry.id is not None and name is not None and shared[name] == 1:
                    found.setdefault(name, entry.id)
        return found


def read_label_map(path: str | Path) -> LabelMap:
    """The label map ``path``, read by its suffix (.pbtxt, .pbtxt-like .txt, .yaml, .yml, .json, .txt, .names).

    Raises:
        UsageError: the file is not there, is no text, or is not what its suffix says.
        DetrayError: it holds no class at all.
    """
    text = _text(Path(path))
    suffix = Path(path).suffix.lower()
    if suffix in (".pbtxt", ".pbt", ".prototxt") or re.match(r"\s*(#[^\n]*\n\s*)*item\s*:?\s*[{<\[]", text):
        entries, problems = _from_pbtxt(text)
    elif suffix in (".yaml", ".yml"):
        entries, problems = _from_value(parse_yaml(text, str(path)), str(path))
    elif suffix == ".csv":
        entries, problems = _from_descriptions(text)
    elif suffix == ".json":
        value, repeated = _json(text, str(path))
        entries, problems = _from_value(value, str(path))
        problems = [*repeated, *problems]
    else:
        entries, problems = _from_lines(text)
    if not entries and not problems:
        raise DetrayError(f"{path}: names no class; check that it is a label map")
    return LabelMap(str(path), tuple(entries), (*problems, *_check(entries)))


def read_category_map(stated: Mapping[int, int] | str | None, names: Mapping[int, str]) -> dict[int, int]:
    """The data set's class id of each id that a detector uses; ids that stay are left out.

    Args:
        stated: the mapping itself, or a file: a mapping of ids (.yaml, .json), or a label map, whose
            names are looked up among the data set's.
        names: the data set's classes by id.

    Raises:
        UsageError: the file cannot be read.
        DetrayError: it names no class of the data set.
    """
    if stated is None or not isinstance(stated, str):
        return dict(stated or {})
    ids = {name: number for number, name in sorted(names.items(), reverse=True)}
    folded = {name.casefold(): number for name, number in ids.items()}
    found: dict[int, int] = {}
    for entry in read_label_map(stated).entries:
        for label in (entry.display_name, entry.name):
            meant = None if label is None else ids.get(label, folded.get(label.casefold(), _integer(label)))
            if entry.id is not None and meant is not None and meant in names:
                found.setdefault(entry.id, meant)
    if not found:
        raise DetrayError(f"{stated}: names no class of the data set, which has {', '.join(list(names.values())[:5])}")
    return found


def write_label_map(names: Mapping[int, str]) -> str:
    """A label map in protobuf's text format, as the TF Object Detection API reads it."""
    return "".join(
        f"item {{\n  id: {number}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for number, name in sorted(names.items())
    )


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not a label map")
        return clean("\n".join(data.decode("utf-8-sig").splitlines()))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text, so not a label map") from None


def _json(text: str, source: str) -> tuple[Any, list[Problem]]:
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


def _check(entries: list[Entry]) -> Iterator[Problem]:
    """What no label map may have, however it is written."""
    ids = Counter(entry.id for entry in entries)
    labels = Counter(entry.label for entry in entries)
    for entry in entries:
        if entry.id is None:
            yield Problem(entry.line, f"class {entry.label!r} has no id", "an id from 1 for each class")
        elif entry.id < 0:
            yield Problem(entry.line, f"id {entry.id}", "an id from 1 for each class")
        elif ids[entry.id] > 1:
            yield Problem(entry.line, f"id {entry.id} stands {ids[entry.id]} times", "each id once")
        if entry.label is None:
            yield Problem(entry.line, f"id {entry.id} has no name", "a name for each class")
        elif labels[entry.label] > 1:
            yield Problem(entry.line, f"name {entry.label!r} stands {labels[entry.label]} times", "each name once")
        for name in dict.fromkeys((entry.name, entry.display_name)):
            if name is not None and not is_text(name):
                yield Problem(entry.line, f"name {name!r}", "a name without the character NUL")


# names in YAML, JSON and text


def _from_value(value: Any, source: str) -> tuple[list[Entry], list[Problem]]:
    """Names, mappings of numbers and names either way, COCO categories, or a YOLO data file."""
    if isinstance(value, dict) and isinstance(value.get("names"), list | dict):
        names = value["names"]
        is_yolo = not _YOLO_KEYS.isdisjoint(value) or Path(source).name in DATA_FILES
        if isinstance(names, dict) and is_yolo:
            return _pairs(((_integer(index), name) for index, name in names.items()), lambda number: number + 1)
        value = names
    if isinstance(value, dict) and isinstance(value.get("categories"), list):
        value = value["categories"]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _pairs((_integer(item.get("id")), item.get("name")) for item in value)
    if isinstance(value, list):
        return _pairs(enumerate(value, 1))
    if isinstance(value, dict) and value:
        if all(_integer(key) is not None for key in value):
            return _pairs((_integer(key), name) for key, name in value.items())
        return _pairs((_integer(number), name) for name, number in value.items())
    raise UsageError(f"{source}: holds no names: a list of names, or a mapping of ids to names, is expected")


def _from_descriptions(text: str) -> tuple[list[Entry], list[Problem]]:
    """Open Images' class descriptions: machine id and words, a line a class, with or without a header."""
    entries: list[Entry] = []
    csv.field_size_limit(MAX_BYTES)
    for line, row in enumerate(csv.reader(text.splitlines()), 1):
        if len(row) >= 2 and row[0] != "LabelName":
            entries.append(Entry(len(entries) + 1, row[0].strip(), row[1].strip(), line))
    return entries, []


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}\s*", value):
        return int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _pairs(pairs: Any, shift: Callable[[int], int] = lambda number: number) -> tuple[list[Entry], list[Problem]]:
    entries, problems = [], []
    for number, name in pairs:
        if not isinstance(name, str):
            if name is None or isinstance(name, list | dict):
                problems.append(Problem(None, f"{describe(name)} as the name of id {number}", "a name"))
                name = None
            else:
                name = str(name)  # YAML reads the names no, 7 and 1.5 as other things than text
        entries.append(Entry(None if number is None else shift(number), name and clean(name)))
    return entries, problems


def _from_lines(text: str) -> tuple[list[Entry], list[Problem]]:
    """One name a line, or one number and name a line."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for _, line in lines]
    if lines and all(numbered):
        entries = [
            Entry(_integer(match[1]), match[2].strip(), line=line)
            for (line, _), match in zip(lines, numbered, strict=True)
            if match
        ]
    else:
        entries = [Entry(position, name, line=line) for position, (line, name) in enumerate(lines, 1)]
    return [entry for entry in entries if entry.name != _PLACEHOLDER], []


# protobuf's text format, whose own parser stops at the first error, passes over unknown names ("items"), and does not
# tell the lines of what it has read

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[-+]?[A-Za-z0-9_./]+)
    |(?P<mark>[{}<>:;,\[\]])
    |(?P<other>.)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))")
_INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,18})")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    line: int


def _tokens(text: str) -> list[_Token]:
    line, found = 1, []
    for match in _TOKEN.finditer(text):
        if match.lastgroup is not None:
            found.append(_Token(match.lastgroup, match[0], line))
        line += match[0].count("\n")
    return found


def _unquote(literals: Sequence[str]) -> str:
    """The value of quoted strings one behind the other, which protobuf joins.

    Octal and hexadecimal escapes are bytes of UTF-8.
    """
    data = bytearray()
    for text in literals:
        end = 1
        for match in _ESCAPE.finditer(text, 1, len(text) - 1):
            data += text[end : match.start()].encode()
            if match[1] or match[2]:
                data.append((int(match[1], 8) if match[1] else int(match[2], 16)) & 0xFF)
            else:
                data += _ESCAPES.get(match[3], match[3]).encode()
            end = match.end()
        data += text[end:-1].encode()
    return bytes(data).decode("utf-8", "replace")


def _int32(text: str) -> int | None:
    """The int32 that protobuf reads from a literal, which may be hexadecimal or octal; None if it is none."""
    if _INTEGER.fullmatch(text) is None:
        return None
    digits = text.lstrip("-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    found = int(digits, base) * (-1 if text.startswith("-") else 1)
    return found if -(2**31) <= found < 2**31 else None


def _from_pbtxt(text: str) -> tuple[list[Entry], list[Problem]]:
    """Items of a label map. Of a field that an item has several times the last counts, as for protobuf."""
    tokens = _tokens(text)
    entries: list[Entry] = []
    problems: list[Problem] = []
    index = 0
    in_list = False  # item: [{...}, {...}]
    while index < len(tokens):
        token = tokens[index]
        if token.value in (",", ";") or (in_list and token.value == "]"):
            in_list = in_list and token.value != "]"
            index += 1
            continue
        opening = index if in_list else _behind_name(tokens, index)
        if opening is not None and not in_list and tokens[opening].value == "[":
            in_list, index = True, opening + 1
            continue
        if opening is None or tokens[opening].value not in ("{", "<"):
            problems.append(Problem(token.line, token.value[:200], "item { ... }"))
            behind = index + (not in_list)  # within a list an item may begin here
            in_list = False
            index = next((i for i in range(behind, len(tokens)) if tokens[i].value == "item"), len(tokens))
            continue
        index, fields = _item(tokens, opening + 1, problems)
        entries.append(_entry(fields, token.line, problems))
    return entries, problems


def _behind_name(tokens: Sequence[_Token], index: int) -> int | None:
    """Where what is called ``item`` at ``index`` begins; None if something else stands there."""
    if tokens[index].value != "item":
        return None
    index += 1 + (index + 1 < len(tokens) and tokens[index + 1].value == ":")
    return index if index < len(tokens) else None


_Field = tuple[str, list[_Token]]


def _item(tokens: Sequence[_Token], index: int, problems: list[Problem]) -> tuple[int, list[_Field]]:
    """The fields of the item whose inside begins at ``index``, and the position behind it.

    A field's value is its tokens: one, or several texts that are joined. What stands in a list or in a
    message within the item (keypoints) is passed over.
    """
    fields: list[_Field] = []
    depth, start = 1, tokens[index - 1].line
    while index < len(tokens):
        token = tokens[index]
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.value in ("{", "<", "["):
            depth += 1
        elif token.value in ("}", ">", "]"):
            depth -= 1
            if depth == 0:
                return index + 1, fields
        elif token.kind == "word" and token.value == "item" and following and following.value in ("{", ":"):
            break
        elif depth == 1 and token.kind == "word" and following and following.value == ":":
            value = _value(tokens, index + 2)
            if value:
                fields.append((token.value, value))
            # what opens a list or a message is met next
            index += 1 + (0 if value and value[0].kind == "mark" else len(value))
        elif depth == 1 and token.value not in (",", ";") and not (following and following.value in ("{", "<")):
            problems.append(Problem(token.line, token.value[:200], "name: 'value'"))
        index += 1
    problems.append(Problem(start, "an item without its closing brace", "item { ... }"))
    return index, fields


def _value(tokens: Sequence[_Token], index: int) -> list[_Token]:
    """The tokens of a value that begins at ``index``: a word, texts, or what opens a list or a message."""
    if index >= len(tokens):
        return []
    first = tokens[index]
    if first.kind == "text":
        return list(takewhile(lambda token: token.kind == "text", islice(tokens, index, None)))
    return [first] if first.kind == "word" or first.value in ("[", "{", "<") else []


def _entry(fields: list[_Field], line: int, problems: list[Problem]) -> Entry:
    counts = Counter(name for name, _ in fields if name in ("id", "name", "display_name"))
    if repeated := {name: count for name, count in counts.items() if count > 1}:
        said = " and ".join(f"{count} times '{name}'" for name, count in repeated.items())
        problems.append(Problem(line, f"one item holds {said}", "one item for each class"))
    last = dict(fields)
    number = None
    if "id" in last:
        token = last["id"][0]
        number = _int32(token.value)
        if number is None:
            problems.append(Problem(token.line, f"id {token.value[:200]}", "a whole number as id"))
    names = {}
    for field in ("name", "display_name"):
        if field in last:
            token = last[field][0]
            is_text = token.kind == "text"
            names[field] = _unquote([literal.value for literal in last[field]]) if is_text else token.value
            if not is_text:
                problems.append(Problem(token.line, f"{field}: {token.value[:200]}", "a name in quotes"))
    return Entry(number, names.get("name"), names.get("display_name"), line)
