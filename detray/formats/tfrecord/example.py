"""tf.train.Example (tensorflow/core/example/example.proto and feature.proto), without TensorFlow.

Importing TensorFlow costs a worker 2 s and 400 MB; protobuf alone needs the message's description. The map of features
is described as its entries, which are the same bytes: they keep their order, and names that are no UTF-8 are read.
"""

from functools import lru_cache
from typing import Any

Value = list[int] | list[float] | list[bytes]


class BrokenExample(ValueError):
    """Bytes that are no tf.train.Example."""


def parse_example(data: bytes) -> dict[str, Value]:
    """The features of an Example by name: lists of int, of float, or of bytes.

    Raises:
        BrokenExample: the bytes are something else, or cut off.
    """
    from google.protobuf.message import DecodeError

    try:
        found = message("Example").FromString(data)
    except DecodeError:
        raise BrokenExample("its data is no tf.train.Example") from None
    return {entry.key.decode("utf-8", "replace"): _values(entry.value) for entry in found.features.feature}


def _values(feature: Any) -> Value:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


@lru_cache(maxsize=8)
def message(name: str) -> Any:
    """The class of a message: Example, Entry (a feature and its name), or RawExample, whose entries are bytes."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"detray.{name}"))


@lru_cache(maxsize=1)
def _pool() -> Any:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

    kinds = FieldDescriptorProto
    file = FileDescriptorProto(name="example.proto", package="detray", syntax="proto3")
    names = ["BytesList", "FloatList", "Int64List", "Feature", "Entry", "Features", "Example"]
    names += ["RawFeatures", "RawExample"]
    messages = {name: file.message_type.add(name=name) for name in names}

    def add(message: str, name: str, number: int, type: Any, *, repeated: bool = False, **more: Any) -> None:
        label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        inner = {"type": kinds.TYPE_MESSAGE, "type_name": f".detray.{type}"} if type in names else {"type": type}
        messages[message].field.add(name=name, number=number, label=label, **inner, **more)

    messages["Feature"].oneof_decl.add(name="kind")
    lists = (("bytes", "BytesList", kinds.TYPE_BYTES), ("float", "FloatList", kinds.TYPE_FLOAT))
    for number, (kind, name, type) in enumerate((*lists, ("int64", "Int64List", kinds.TYPE_INT64)), 1):
        add(name, "value", 1, type, repeated=True)
        add("Feature", f"{kind}_list", number, name, oneof_index=0)
    add("Entry", "key", 1, kinds.TYPE_BYTES)
    add("Entry", "value", 2, "Feature")
    add("Features", "feature", 1, "Entry", repeated=True)
    add("Example", "features", 1, "Features")
    add("RawFeatures", "feature", 1, kinds.TYPE_BYTES, repeated=True)
    add("RawExample", "features", 1, "RawFeatures")
    pool = DescriptorPool()
    pool.Add(file)
    return pool
