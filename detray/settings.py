"""How configuration is declared, loaded, overridden and refused.

Each section is a `Section` declared beside the code that uses it; ``detray.verbs.config`` puts
them together. A field's range, unit and meaning stand in its annotation, and the error that refuses
a value is made from them::

    class TrainSettings(Section, frozen=True):
        focal_alpha: Annotated[float, Meta(ge=0, le=1, description="weight of the positives")] = 0.25
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from detray.errors import UsageError
from detray.files import open_file
from detray.keys import Key, keys
from detray.refusals import Refusal, find_refusal

MAX_CONFIG_BYTES = 1 << 20
S = TypeVar("S", bound="Section")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the configuration: immutable, every field with a default, unknown keys refused."""


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (an alias bomb is a few lines) and without duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed here", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key}' stands twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 3e-3 as text; people mean the number
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, source: str) -> Any:
    """The value of hostile YAML ``text``; ``source`` names it in errors.

    Raises:
        UsageError: it is not YAML, or uses aliases, duplicate keys or too much nesting.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{source}{line}: not readable as YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{source}: not readable as YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise UsageError(f"{source}: nested too deeply to be a configuration") from None


def read_yaml(path: Path) -> Any:
    """The value of the YAML file ``path``.

    Raises:
        UsageError: it is not there, not text, too large, or not YAML.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        UsageError: it is not there, not text or too large.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise UsageError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes, so not a configuration file")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None


def override(values: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """``values`` with each ``key.path=yaml`` of ``assignments`` set.

    Raises:
        UsageError: an assignment has no ``=``, or its path runs through a value.
    """
    result = msgspec.to_builtins(dict(values))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {assignment}: write it as key.path=value")
        said = f"--set {assignment}"
        result = put(result, path, parse_yaml(text, said) if text else None, said)
    return result


def flag_value(key: Key, text: str, said: str) -> object:
    """What the text of a flag means: names with commas between, a text as it is, else YAML."""
    if key.is_list_of_text:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text if key.is_text else parse_yaml(text, said)


def put(values: Mapping[str, Any], path: str, value: object, said: str) -> dict[str, Any]:
    """``values`` with one at a ``path`` of keys with dots; ``said`` is how it was stated.

    Raises:
        UsageError: the path runs through a value.
    """
    result: dict[str, Any] = msgspec.to_builtins(dict(values))
    keys = path.split(".")
    place = result
    for key in keys[:-1]:
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise UsageError(f"{said}: '{key}' is a value, not a section")
    place[keys[-1]] = value
    return result


def convert(
    values: object, section: type[S], source: str, prefix: str = "", said: Mapping[str, str] | None = None
) -> S:
    """``values`` validated as ``section``; ``source`` names the file and ``prefix`` the place in errors.

    ``said`` has by key how it was stated on the command line, which errors about it begin with.

    Raises:
        UsageError: an unknown key (with the nearest known one) or a value out of its range (with
            its meaning and range).
    """
    if refusal := find_refusal(values, section):
        key = ".".join([part for part in (prefix, *refusal.path) if part])
        stated = [how for path, how in (said or {}).items() if f"{key}.".startswith(f"{path}.")]
        stated = stated[-1:] or [how for path, how in (said or {}).items() if path.startswith(f"{key}.")]
        sentence = _sentence(refusal, key, section, with_known=bool(stated))
        raise UsageError(f"{', '.join(stated) or source}: {sentence}")
    return msgspec.convert(values, section)


def _sentence(refusal: Refusal, key: str, section: type[S], *, with_known: bool) -> str:
    if refusal.known is None:
        return f"{key or 'the file'}: {refusal.reason}{f' ({refusal.meaning})' if refusal.meaning else ''}"
    last = refusal.path[-1]
    elsewhere = [one.path for one in keys(section) if one.path.endswith(f".{last}")]
    near = elsewhere[:1] or difflib.get_close_matches(last, refusal.known, 1, 0.5)
    hint = f"did you mean '{near[0]}'?" if near else ""
    known = f"known keys: {', '.join(refusal.known)}" if with_known or not near else ""
    return f"unknown key '{key}'; {'; '.join(filter(None, (hint, known)))}"


def to_yaml(values: object) -> str:
    """``values`` (a Section or builtins) as YAML text that `parse_yaml` reads back."""
    return yaml.safe_dump(msgspec.to_builtins(values), sort_keys=False, allow_unicode=True)
