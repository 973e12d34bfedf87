"""The keys of the configuration as they are declared: what each means, which values it takes, and its flag."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

FLAG = "flag"
"""In the ``extra`` of a field's `msgspec.Meta`: its flag on the command line."""


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes:
        path: with dots; NAME stands for a name that people choose.
        kind: its type without annotations.
        values: which values it takes, in words.
        default: the value where it is not stated.
        meaning: its description, or "".
        flag: how it is called on the command line (``--epochs``), or None.
    """

    path: str
    kind: Any
    values: str
    default: object
    meaning: str
    flag: str | None

    @property
    def default_text(self) -> str:
        """The default as JSON."""
        return msgspec.json.encode(self.default).decode()

    @property
    def is_list_of_text(self) -> bool:
        """Whether it takes names."""
        return get_origin(self.kind) is tuple and not self.values.startswith(("list of list", "list of number"))

    @property
    def is_text(self) -> bool:
        """Whether it takes any text as it is."""
        return str in (get_args(self.kind) if get_origin(self.kind) in (Union, UnionType) else (self.kind,))


def keys(section: Any, prefix: str = "") -> Iterator[Key]:
    """All keys of a section, in the order of their declaration."""
    for field in msgspec.structs.fields(section):
        kind, meta = _unwrap(field.type)
        if hasattr(kind, "__struct_fields__"):
            yield from keys(kind, f"{prefix}{field.name}.")
            continue
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        flag = (meta.extra or {}).get(FLAG)
        yield Key(f"{prefix}{field.name}", kind, _values(kind, meta), default, meta.description or "", flag)
        inner = next((arg for arg in get_args(kind) if hasattr(arg, "__struct_fields__")), None)
        if inner is not None:
            place = f"{prefix}{field.name}"
            yield from keys(inner, f"{place}.NAME." if get_origin(kind) is dict else f"{place}.")


def _unwrap(kind: Any) -> tuple[Any, msgspec.Meta]:
    if get_origin(kind) is Annotated:
        inner, *extra = get_args(kind)
        return inner, next((meta for meta in extra if isinstance(meta, msgspec.Meta)), msgspec.Meta())
    return kind, msgspec.Meta()


def _values(kind: Any, meta: msgspec.Meta) -> str:
    ends = []
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("multiple_of", "a multiple of")):
        bound = getattr(meta, name)
        if bound is not None:
            ends.append(f"{sign} {bound:g}" if bound < 1_000_000 else f"{sign} {bound:,}")
    return ", ".join([_type_name(kind), *ends])


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _values(*_unwrap(kind))
    if get_origin(kind) is Literal:
        return " / ".join(str(value) for value in get_args(kind))
    if get_origin(kind) is Union or type(kind).__name__ == "UnionType":
        return " or ".join(_type_name(part) for part in get_args(kind))
    if kind is type(None):
        return "null"
    if hasattr(kind, "__struct_fields__"):
        return "mapping"
    origin = get_origin(kind)
    if origin is tuple or origin is list:
        return f"list of {_type_name(get_args(kind)[0])}"
    if origin is dict:
        return f"mapping to {_type_name(get_args(kind)[1])}"
    names = {str: "text", int: "integer", float: "number", bool: "true / false", Any: "value"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))
