"""Label maps in protobuf's text format.

Its own parser stops at the first error, passes over unknown names ("items"), and does not tell the lines of
what it has read.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from detray.formats.label_map.entries import Entry, Problem

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


def from_pbtxt(text: str) -> tuple[list[Entry], list[Problem]]:
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


def write_label_map(names: Mapping[int, str]) -> str:
    """A label map in protobuf's text format, as the TF Object Detection API reads it."""
    return "".join(
        f"item {{\n  id: {number}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for number, name in sorted(names.items())
    )
