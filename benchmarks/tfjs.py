"""Graph models of TF.js (a JSON graph and binary shards of its weights) as SavedModels of plain TensorFlow ops."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef

FUSED = {
    "_FusedConv2D": "Conv2D",
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
"""Ops that TF.js fuses, with what they begin with; a bias and an activation follow."""
LAYOUT = ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings", "transpose_a", "transpose_b")
"""Attributes that go on to the op that a fused one begins with."""


def read_graph(file: Path) -> GraphDef:
    """The graph of a model, its weights in it as constants."""
    model = json.loads(file.read_bytes())
    weights = dict(_weights(model["weightsManifest"], file.parent))
    topology = {key: value for key, value in model["modelTopology"].items() if key in ("node", "library", "versions")}
    graph = json_format.ParseDict(topology, GraphDef(), ignore_unknown_fields=True)
    nodes = []
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            value = weights[node.name]
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
            node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        nodes += _unfused(node) if node.op in FUSED else [node]
    whole = GraphDef(library=graph.library, versions=graph.versions)
    whole.node.extend(nodes)
    return whole


def save(graph: GraphDef, folder: Path, taken: tuple[str, tf.TensorSpec], given: Mapping[str, str]) -> None:
    """Write a SavedModel.

    Args:
        graph: as `read_graph` gives it.
        folder: of the model.
        taken: the tensor that pictures go into, and what the signature takes.
        given: tensor by the name of the output.
    """
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    tensor = wrapped.graph.as_graph_element
    pruned = wrapped.prune(tensor(taken[0]), {name: tensor(place) for name, place in given.items()})
    module = tf.Module()
    module.pruned = pruned
    detect: Callable[..., Any] = tf.function(lambda pictures: pruned(pictures), input_signature=[taken[1]])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": detect})


def _weights(manifest: list[dict[str, Any]], folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for weight in group["weights"]:
            stored = weight.get("quantization", {})
            dtype = np.dtype(stored.get("dtype", weight["dtype"]))
            values = np.frombuffer(data, dtype, int(np.prod(weight["shape"])), start)
            start += values.nbytes
            if "scale" in stored:
                values = values * np.float32(stored["scale"]) + np.float32(stored["min"])
            yield weight["name"], values.astype(weight["dtype"]).reshape(weight["shape"])


def _unfused(node: NodeDef) -> Iterator[NodeDef]:
    """A fused op as the op that it begins with, and one op for each that follows."""
    steps = [name.decode() for name in node.attr["fused_ops"].list.s]
    names = [f"{node.name}/step_{number}" for number in range(len(steps))] + [node.name]
    first = NodeDef(name=names[0], op=FUSED[node.op], input=node.input[:2])
    for key in LAYOUT:
        if key in node.attr:
            first.attr[key].CopyFrom(node.attr[key])
    first.attr["T"].type = tf.float32.as_datatype_enum
    yield first
    further = iter(node.input[2:])
    for step, name, before in zip(steps, names[1:], names, strict=False):
        following = NodeDef(name=name, op=step, input=[before, *([next(further)] if step == "BiasAdd" else [])])
        following.attr["T"].type = tf.float32.as_datatype_enum
        if step == "LeakyRelu":
            following.attr["alpha"].f = node.attr["leakyrelu_alpha"].f
        yield following
