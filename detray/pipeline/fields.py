"""Messages declared as dataclasses, and from them protobuf's own descriptors: one declaration for both.

A field is annotated with its number and type in the API's .proto files; its default is the file's. Protobuf reads
the text, so that what it refuses here is refused by the API.
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

PACKAGE = "object_detection.protos"
FLOAT_DIGITS = 7
"""Digits of a number that a float32 holds; the rest is noise of its conversion."""


@dataclass(frozen=True)
class In:
    """Where a field stands in its .proto: its number, and what Python's type does not tell.

    Attributes:
        number: of the field.
        kind: the scalar type; None: int32, float, bool or string, as Python's type says.
        one_of: the oneof that it is a member of.
        enum: names of an enumeration's values, which count from 0.
    """

    number: int
    kind: str | None = None
    one_of: str | None = None
    enum: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """One field of a message.

    Attributes:
        name, place, default: as declared.
        type: the Python type of one value.
        repeated: whether there may be several.
        optional: whether None stands for an absent message.
    """

    name: str
    place: In
    type: Any
    repeated: bool
    optional: bool
    default: Any

    @property
    def is_message(self) -> bool:
        return is_dataclass(self.type)


@cache
def declared(message: type) -> dict[str, Declared]:
    """The fields of a message, by name."""
    hints = get_type_hints(message, include_extras=True)
    return {field.name: _field(field.name, hints[field.name], field) for field in fields(message)}


def _field(name: str, hint: Any, field: Any) -> Declared:
    kind, place = get_args(hint)
    repeated = get_origin(kind) is tuple
    parts = get_args(kind)
    optional = type(None) in parts
    inner = parts[0] if parts else kind
    default = field.default if field.default is not MISSING else None
    return Declared(name, place, inner, repeated, optional, default)


_SCALARS = {int: "int32", float: "float", bool: "bool", str: "string"}


@cache
def message_class(root: type) -> Any:
    """Protobuf's class for ``root``, made from the declarations."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="pipeline.proto", package=PACKAGE, syntax="proto2")
    for message in _messages(root):
        _describe(message, file.message_type.add(name=message.__name__))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{root.__name__}"))


def _messages(root: type) -> Iterator[type]:
    """``root`` and every message below it, each once."""
    seen: dict[type, None] = {}
    left = [root]
    while left:
        message = left.pop()
        if message not in seen:
            seen[message] = None
            left += [field.type for field in declared(message).values() if field.is_message]
    yield from seen


def _describe(message: type, into: Any) -> None:
    one_ofs: list[str] = []
    for field in declared(message).values():
        made = into.field.add(name=field.name, number=field.place.number)
        made.label = made.LABEL_REPEATED if field.repeated else made.LABEL_OPTIONAL
        if field.is_message:
            made.type, made.type_name = made.TYPE_MESSAGE, f".{PACKAGE}.{field.type.__name__}"
        elif field.place.enum:
            made.type, made.type_name = made.TYPE_ENUM, f".{PACKAGE}.{message.__name__}.{field.name}_values"
            values = into.enum_type.add(name=f"{field.name}_values")
            for number, name in enumerate(field.place.enum):
                values.value.add(name=name, number=number)
        else:
            made.type = getattr(made, f"TYPE_{(field.place.kind or _SCALARS[field.type]).upper()}")
        if field.place.one_of is not None:
            if field.place.one_of not in one_ofs:
                one_ofs.append(field.place.one_of)
                into.oneof_decl.add(name=field.place.one_of)
            made.oneof_index = one_ofs.index(field.place.one_of)


def from_protobuf(message: type, read: Any) -> Any:
    """What protobuf read, as the dataclass; fields that are not stated have their defaults."""
    known = declared(message)
    values: dict[str, Any] = {}
    for described, value in read.ListFields():
        field = known[described.name]
        values[field.name] = tuple(_one(field, each) for each in value) if field.repeated else _one(field, value)
    return message(**values)


def _one(field: Declared, value: Any) -> Any:
    if field.is_message:
        return from_protobuf(field.type, value)
    if field.place.enum:
        return field.place.enum[value]
    is_short = field.type is float and field.place.kind != "double"
    return float(f"{value:.{FLOAT_DIGITS}g}") if is_short else value
