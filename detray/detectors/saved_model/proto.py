"""saved_model.pb (tensorflow/core/protobuf/saved_model.proto and what it holds), read without TensorFlow.

Importing TensorFlow costs seconds; protobuf alone needs the messages' description. Only the fields that are looked at
are described; all others stay in a message and are written back. Maps are described as their entries, which are the
same bytes.
"""

from functools import lru_cache
from typing import Any

STRING, BOOL, INT = 9, 8, 3
"""Numbers of protobuf's types: string, bool, int64; enums are read as the last, which are the same bytes."""

# message: {field: (number, type or message)}; a list stands for a repeated field
_MESSAGES: dict[str, dict[str, tuple[int, Any]]] = {
    "SavedModel": {"meta_graphs": (2, ["MetaGraph"])},
    "MetaGraph": {
        "info": (1, "Info"),
        "graph": (2, "Graph"),
        "saver": (3, "Saver"),
        "signatures": (5, ["SignatureEntry"]),
        "assets": (6, ["Asset"]),
        "objects": (7, "Objects"),
    },
    "Info": {"tags": (4, [STRING]), "version": (5, STRING)},
    "Graph": {"nodes": (1, ["Node"]), "library": (2, "Library")},
    "Node": {"name": (1, STRING), "op": (2, STRING), "attrs": (5, ["AttrEntry"])},
    "AttrEntry": {"key": (1, STRING), "value": (2, "Attr")},
    "Attr": {"list": (1, "AttrList"), "function": (10, "Called")},
    "AttrList": {"functions": (9, ["Called"])},
    "Called": {"name": (1, STRING)},
    "Library": {"functions": (1, ["Function"])},
    "Function": {"signature": (1, "FunctionSignature"), "nodes": (3, ["Node"])},
    "FunctionSignature": {"name": (1, STRING)},
    "Saver": {"save": (2, STRING), "restore": (3, STRING)},
    "SignatureEntry": {"key": (1, STRING), "value": (2, "Signature")},
    "Signature": {"inputs": (1, ["PortEntry"]), "outputs": (2, ["PortEntry"])},
    "PortEntry": {"key": (1, STRING), "value": (2, "Port")},
    "Port": {"name": (1, STRING), "dtype": (2, INT), "shape": (3, "Shape")},
    "Shape": {"sides": (2, ["Side"]), "unknown_rank": (3, BOOL)},
    "Side": {"size": (1, INT)},
    "Asset": {"filename": (2, STRING)},
    "Objects": {"nodes": (1, ["Object"])},
    "Object": {"variable": (7, "Variable")},
    "Variable": {},
}


@lru_cache(maxsize=1)
def saved_model() -> Any:
    """The class of the message SavedModel."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    kinds = FieldDescriptorProto
    file = FileDescriptorProto(name="saved_model.proto", package="detray", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, stated) in fields.items():
            label = kinds.LABEL_REPEATED if isinstance(stated, list) else kinds.LABEL_OPTIONAL
            kind = stated[0] if isinstance(stated, list) else stated
            inner = (
                {"type": kinds.TYPE_MESSAGE, "type_name": f".detray.{kind}"} if kind in _MESSAGES else {"type": kind}
            )
            message.field.add(name=field, number=number, label=label, **inner)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("detray.SavedModel"))
