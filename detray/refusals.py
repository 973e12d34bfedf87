"""Which value a declared type refuses, and what it takes there.

msgspec says so in an English sentence only. Here a refused value and its type are walked side by side,
and msgspec judges each part of them alone, so that the two never disagree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta, inspect
from msgspec.inspect import Type, type_info

_MAX_SHOWN = 60
_NAMES: dict[type[inspect.Type], str] = {
    inspect.AnyType: "anything",
    inspect.BoolType: "bool",
    inspect.DictType: "object",
    inspect.FloatType: "float",
    inspect.IntType: "int",
    inspect.ListType: "array",
    inspect.NoneType: "null",
    inspect.StrType: "str",
    inspect.StructType: "object",
    inspect.TupleType: "array",
    inspect.VarTupleType: "array",
}
_LIMITS = {
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "multiple_of": "a multiple of",
    "min_length": "of length >=",
    "max_length": "of length <=",
}


@dataclass(frozen=True)
class Refusal:
    """The first value that is refused.

    Attributes:
        path: the keys that lead to it.
        reason: what is expected and what stands there, with a small initial.
        meaning: the description of the innermost field that has one, or "".
        known: where the last key of ``path`` is unknown, the keys that are known beside it.
    """

    path: tuple[str, ...]
    reason: str
    meaning: str
    known: tuple[str, ...] | None = None


def find_refusal(value: object, kind: Any) -> Refusal | None:
    """Why ``msgspec.convert(value, kind)`` fails: the first refused part of ``value``; None if it does not fail.

    A text with the character NUL is refused whatever its type: every question about such a path raises an error.
    """
    return _refusal(value, kind, (), "")


def _refusal(value: object, kind: Any, path: tuple[str, ...], meaning: str) -> Refusal | None:
    plain = kind
    while get_origin(plain) is Annotated:
        plain, *about = get_args(plain)
        meaning = next((meta.description for meta in about if isinstance(meta, Meta) and meta.description), meaning)
    for member in get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,):
        while get_origin(member) is Annotated:
            member = get_args(member)[0]
        for key, part, part_kind in _parts(value, member):
            at = path if key is None else (*path, key)
            if part_kind is None:
                return Refusal(at, "unknown key", meaning, member.__struct_encode_fields__)
            if inner := _refusal(part, part_kind, at, meaning):
                return inner
    if isinstance(value, str) and "\0" in value:
        return Refusal(path, "holds the character NUL, which no file and no class is named with", meaning)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        own = error.__cause__  # what a __post_init__ has raised
        return Refusal(
            path, str(own) if own else f"expected {_expected(type_info(kind))}, got {_shown(value)}", meaning
        )
    return None


def _parts(value: object, kind: Any) -> Iterator[tuple[str | None, object, Any]]:
    """Key, value and type of what ``value`` holds, if it is a container of ``kind``; the type of an unknown key
    is None."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        yield from ((str(key), part, types.get(key)) for key, part in value.items())
    elif isinstance(value, dict) and origin is dict:
        for key, part in value.items():
            yield str(key), key, inner[0]
            yield str(key), part, inner[1]
    elif isinstance(value, list | tuple) and origin in (list, tuple):
        yield from ((None, part, inner[0]) for part in value)


def _expected(kind: Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _expected(kind.type)
    if isinstance(kind, inspect.UnionType):
        return " | ".join(map(_expected, kind.types))
    if isinstance(kind, inspect.LiteralType):
        return " | ".join(map(repr, kind.values))
    is_float = isinstance(kind, inspect.FloatType)
    limits = [
        f"{sign} {float(limit) if is_float else limit}"
        for name, sign in _LIMITS.items()
        if (limit := getattr(kind, name, None)) is not None
    ]
    return f"`{_NAMES[type(kind)]}` {' and '.join(limits)}".rstrip()


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
