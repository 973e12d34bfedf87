"""Changing values of a pipeline.config and nothing else of its text: comments, order and unknown fields stay."""

from collections.abc import Mapping, Sequence
from typing import Any

from detray.errors import UsageError
from detray.pipeline.fields import Declared, declared
from detray.pipeline.read import parse_pipeline
from detray.pipeline.schema import TrainEvalPipelineConfig
from detray.pipeline.text import Node, scan

INDENT = 2
ADDED = "[+]"

Value = bool | int | float | str | None | Mapping[str, Any] | Sequence[Any]
"""What a field is set to: a mapping is a message, a list several values, None takes the field away."""


def apply(text: str, overrides: Mapping[str, Value], path: str = "pipeline.config") -> str:
    """``text`` with values by their place, ``{"train_config.batch_size": 8}``; the rest is kept to the letter.

    A field that is not stated is added at the end of its section, sections that are not there are made. A field that
    repeats is replaced as a whole by the list that it is set to; with ``[+]`` behind its place the list is added to it.

    Raises:
        UsageError: a place that no schema knows, or a result that the API would refuse.
    """
    for place, value in overrides.items():
        names = place.removesuffix(ADDED).split(".")
        field = _declared(names)
        if place.endswith(ADDED):
            section, left = _section(scan(text, path), names)
            text = _add(text, section, _nested(left, _fields(left[-1], field, value)))
        else:
            text = _set(text, names, field, value, path)
    parse_pipeline(text, path)
    return text


def lines_of(place: str, value: Value) -> list[str]:
    """The lines that state a field, none where it is taken away."""
    names = place.removesuffix(ADDED).split(".")
    return [f"# take {names[-1]} out"] if value is None else _fields(names[-1], _declared(names), value)


def _declared(names: Sequence[str]) -> Declared:
    message: type = TrainEvalPipelineConfig
    field = None
    for number, name in enumerate(names):
        field = declared(message).get(name)
        if field is None or (number < len(names) - 1 and not field.is_message):
            raise UsageError(f"{'.'.join(names)}: a pipeline.config has no such field; check its place")
        message = field.type
    if field is None:
        raise UsageError("the name of a field of pipeline.config is empty; state its place")
    return field


def _set(text: str, names: Sequence[str], field: Declared, value: Value, path: str) -> str:
    section, left = _section(scan(text, path), names)
    found = [] if len(left) > 1 else _named(section, left[0], text, path)
    if not found:
        if value is None:
            return text
        return _add(text, section, _nested(left, _fields(left[-1], field, value)))
    lines = [] if value is None else _fields(left[0], field, value)
    for node in reversed(found[1:] if lines else found):
        text = _without(text, node)
    if not lines:
        return text
    first = found[0]
    if first.children is None and len(lines) == 1:  # only the value changes
        return text[: first.value_start] + lines[0].partition(": ")[2] + text[first.end :]
    indent = _indent(text, first.start)
    return text[: first.start] + f"\n{indent}".join(lines) + text[first.end :]


def _section(nodes: Sequence[Node], names: Sequence[str]) -> tuple[Node | None, Sequence[str]]:
    """The deepest stated section on the way to a field, None where that is the file, and the names from there."""
    section: Node | None = None
    for number, name in enumerate(names[:-1]):
        found = next((node for node in nodes if node.name == name and node.children is not None), None)
        if found is None:
            return section, names[number:]
        section, nodes = found, found.children or ()
    return section, names[-1:]


def _named(section: Node | None, name: str, text: str, path: str) -> list[Node]:
    nodes = scan(text, path) if section is None else section.children or ()
    return [node for node in nodes if node.name == name]


def _nested(names: Sequence[str], lines: list[str]) -> list[str]:
    """The lines of a field within the sections ``names[:-1]``, which are not there."""
    for name in reversed(names[:-1]):
        lines = [f"{name} {{", *(f"{' ' * INDENT}{line}" for line in lines), "}"]
    return lines


def _add(text: str, section: Node | None, lines: Sequence[str]) -> str:
    """``lines`` at the end of a section, on its own line if it has one."""
    if section is None:
        return text + ("" if not text or text.endswith("\n") else "\n") + "".join(f"{line}\n" for line in lines)
    end = section.end - 1  # its closing brace
    if "\n" not in text[section.value_start : end]:
        gap = "" if text[end - 1].isspace() else " "
        return text[:end] + gap + " ".join(line.strip() for line in lines) + " " + text[end:]
    children = section.children or ()
    if children and "\n" not in text[children[-1].end : end]:  # the brace stands behind the last field
        return text[:end].rstrip() + " " + " ".join(line.strip() for line in lines) + " " + text[end:]
    indent = _indent(text, children[-1].start) if children else _indent(text, section.start) + " " * INDENT
    start = text.rindex("\n", 0, end) + 1
    return text[:start] + "".join(f"{indent}{line}\n" for line in lines) + text[start:]


def _without(text: str, node: Node) -> str:
    """``text`` without a field, and without its line where nothing else stands there."""
    start, end = node.start, node.end
    if text[end : end + 1] in (",", ";"):
        end += 1
    before = text.rfind("\n", 0, start) + 1
    after = text.find("\n", end)
    after = len(text) if after < 0 else after + 1
    if not text[before:start].strip() and not text[end:after].strip():
        return text[:before] + text[after:]
    return text[:start] + text[end:].lstrip(" ")


def _indent(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip())]


def _fields(name: str, field: Declared, value: Any) -> list[str]:
    """The lines that state a field."""
    if field.is_message:
        several = value if field.repeated else [value]
        return [line for one in several for line in _message(name, field, one)]
    if field.repeated:
        return [f"{name}: [{', '.join(_scalar(field, one) for one in value)}]"]
    return [f"{name}: {_scalar(field, value)}"]


def _message(name: str, field: Declared, value: Any) -> list[str]:
    known = declared(field.type)
    lines = []
    for inner, one in value.items():
        if inner not in known:
            raise UsageError(f"{name}.{inner}: a pipeline.config has no such field; check its place")
        lines += _fields(inner, known[inner], one)
    if len(lines) <= 1:
        return [f"{name} {{ {lines[0]} }}" if lines else f"{name} {{ }}"]
    return [f"{name} {{", *(f"{' ' * INDENT}{line}" for line in lines), "}"]


def _scalar(field: Declared, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if field.type is str and not field.place.enum:
        escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return f"{value:.7g}" if isinstance(value, float) else str(value)
