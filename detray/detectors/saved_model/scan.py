"""What the graph of a SavedModel would do: a SavedModel is a program, and a stranger's program is read before it runs.

Ops are allowed by name (``ops.txt``): computation on tensors and the model's own variables, control flow, strings,
tables of constants, decoding of pictures and Examples. All others are refused, those that a later TensorFlow brings
too: files, network, Python, devices, data sets, summaries, queues, and custom ops, whose library may do anything.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from detray.errors import UsageError

_DOES: Mapping[str, tuple[str, ...]] = {
    "reads files": (
        *("ReadFile", "MatchingFiles", "Restore", "RestoreV2", "RestoreSlice", "WholeFileReaderV2", "TextLineReaderV2"),
        *("InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "ImmutableConst", "LoadAndRemapMatrix"),
        *("TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset", "FixedLengthRecordDatasetV2", "LMDBDataset"),
        *("GenerateVocabRemapping", "TFRecordReaderV2", "RecordInput"),
    ),
    "writes files": (
        *(
            "WriteFile",
            "Save",
            "SaveV2",
            "SaveSlices",
            "MergeV2Checkpoints",
            "ShardedFilename",
            "PrintV2",
            "SaveDatasetV2",
        ),
        *("CreateSummaryFileWriter", "CreateSummaryDbWriter", "WriteSummary", "DatasetToTFRecord"),
        "DebugIdentityV2",
    ),
    "reaches the network": (
        *("DataServiceDatasetV4", "RpcServerStart", "RpcCall", "TryRpc", "Rpc", "_Send", "_Recv", "RemoteCall"),
        *("BigQueryReader", "DebugIdentity", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"),
    ),
    "runs Python": ("PyFunc", "PyFuncStateless", "EagerPyFunc"),
}
SHOWN = 4
_REASONS = {op: does for does, ops in _DOES.items() for op in ops}


def require_harmless(graph: Any, path: str) -> None:
    """Refuse a MetaGraph that has an op beyond those that are allowed, in its graph or in any of its functions.

    Raises:
        UsageError: naming the ops and what they do.
    """
    refused = sorted({node.op for node in _nodes(graph)} - allowed_ops())
    if not refused:
        return
    by_what: dict[str, list[str]] = {}
    for op in refused:
        by_what.setdefault(_REASONS.get(op, "has ops that detectors are not made of"), []).append(op)
    told = " and ".join(f"{what} ({', '.join(ops[:SHOWN])})" for what, ops in by_what.items())
    raise UsageError(f"{path}: its graph {told}; --trust-model runs it all the same")


def without_saver(graph: Any) -> Any:
    """A copy of a MetaGraph without the functions that save and restore variables.

    Every SavedModel has them, loading calls none, and what is not there cannot run.
    """
    copy = type(graph)()
    copy.CopyFrom(graph)
    entries = {copy.saver.save.partition(":")[0], copy.saver.restore.partition(":")[0]} - {""}
    functions = {name for node in copy.graph.nodes if node.name in entries for name in called(node)}
    _remove(copy.graph.nodes, lambda node: node.name in entries and bool(functions & set(called(node))))
    _remove(copy.graph.library.functions, lambda function: function.signature.name in functions)
    return copy


def ops_of(graph: Any, function: str) -> set[str]:
    """The ops of a function and of all that it calls; of the whole graph where there is no such function."""
    functions = {entry.signature.name: entry.nodes for entry in graph.graph.library.functions}
    if function not in functions:
        return {node.op for node in _nodes(graph)}
    found: set[str] = set()
    seen, left = {function}, [function]
    while left:
        for node in functions[left.pop()]:
            found.add(node.op)
            further = {name for name in called(node) if name in functions} - seen
            seen |= further
            left += further
    return found


def called(node: Any) -> Iterator[str]:
    """The functions that a node's attributes name."""
    for attr in node.attrs:
        if attr.value.HasField("function"):
            yield attr.value.function.name
        for function in attr.value.list.functions:
            yield function.name


@lru_cache(maxsize=1)
def allowed_ops() -> frozenset[str]:
    """The names of the ops that run without trust."""
    return frozenset(resources.files(__package__).joinpath("ops.txt").read_text("utf-8").split())


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.graph.nodes
    for function in graph.graph.library.functions:
        yield from function.nodes


def _remove(nodes: Any, goes: Any) -> None:
    kept = [node for node in nodes if not goes(node)]
    del nodes[:]
    nodes.extend(kept)
