"""The folder of a SavedModel: what lies there, and saved_model.pb, read without loading the model."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from detray.detectors.archive import MAX_UNPACKED
from detray.detectors.saved_model.proto import saved_model
from detray.errors import DamagedError, UsageError
from detray.mirror import content
from detray.remote import join
from detray.store import Store

GRAPH = "saved_model.pb"
INDEX = "variables/variables.index"
MAX_TEXT = 1 << 20
_SHARD = re.compile(r"variables/variables\.data-\d{5}-of-(\d{5})")
_OURS = re.compile(r"saved_model\.pb|(variables|assets)/.+")
"""What a loader reads; debugging information, Keras's own files and fingerprints are left where they are."""


@dataclass(frozen=True)
class Package:
    """A SavedModel at ``path``, local or a URI. ``graph``: its MetaGraph for serving; ``files``: size in bytes by name.

    Names are relative to the folder.
    """

    path: str
    graph: Any
    files: dict[str, int]

    @property
    def is_of_tf2(self) -> bool:
        """Whether objects and functions are stored, and not only a graph as TensorFlow 1 did."""
        return bool(self.graph.HasField("objects"))

    def text(self, name: str) -> str | None:
        """A small text file beside the model; None where there is none."""
        if not 0 <= self.files.get(name, -1) <= MAX_TEXT:
            return None
        try:
            return (Store(self.path).read_bytes(*name.split("/")) or b"").decode("utf-8-sig")
        except UnicodeDecodeError:
            return None

    @contextmanager
    def copied(self, graph: Any | None) -> Iterator[str]:
        """A local folder with the files that a loader reads; ``graph``: in place of the model's own."""
        store = Store(self.path)
        with tempfile.TemporaryDirectory(prefix="detray-model-") as folder:
            for name in filter(_OURS.fullmatch, self.files):
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                if name == GRAPH and graph is not None:
                    target.write_bytes(saved_model()(meta_graphs=[graph]).SerializeToString())
                elif store.is_local:
                    target.symlink_to(store.path(*name.split("/")))
                else:
                    target.write_bytes(content(join(self.path, name), MAX_UNPACKED))
            yield folder


def read_package(path: str) -> Package:
    """The SavedModel at ``path``, a folder.

    Raises:
        UsageError: there is none, or it is not whole: its graph is cut off, variables or assets are missing, lie
            outside the folder, or are larger than `MAX_UNPACKED` together.
    """
    files = _files(path)
    if GRAPH not in files:
        inner = sorted(name.removesuffix(f"/{GRAPH}") for name in files if name.endswith(f"/{GRAPH}"))
        hint = f"one lies in {path.rstrip('/')}/{inner[0]}" if inner else "detector.path names a folder that holds it"
        raise UsageError(f"{path}: no SavedModel, it has no {GRAPH}; {hint}")
    total = sum(size for name, size in files.items() if _OURS.fullmatch(name))
    if total > MAX_UNPACKED:
        raise UsageError(
            f"{path}: holds {total / (1 << 30):,.1f} GiB, and {MAX_UNPACKED >> 30} GiB is the most that is read"
        )
    package = Package(path, _serving(path), files)
    _require_variables(package)
    for asset in package.graph.assets:
        if f"assets/{asset.filename}" not in files:
            raise UsageError(f"{path}: its asset {asset.filename!r} is not in the folder; export the model again")
    return package


def _files(path: str) -> dict[str, int]:
    """Sizes by name of the regular files below ``path`` that lie there, links followed."""
    store = Store(path)
    info = store.fs.get_file_info(store.path())
    if info.type != pafs.FileType.Directory:
        there = "not there" if info.type == pafs.FileType.NotFound else "a file"
        raise UsageError(f"{path}: {there}; a SavedModel is a folder with {GRAPH}")
    if store.is_local:
        root = Path(store.path()).resolve()
        local = (place for place in root.rglob("*") if place.is_file() and place.resolve().is_relative_to(root))
        return {place.relative_to(root).as_posix(): place.stat().st_size for place in local}
    below = store.fs.get_file_info(pafs.FileSelector(store.path(), recursive=True))
    return {entry.path.removeprefix(store.path()).lstrip("/"): entry.size for entry in below if entry.is_file}


def _serving(path: str) -> Any:
    from google.protobuf.message import DecodeError

    try:
        found = saved_model().FromString(Store(path).read_bytes(GRAPH) or b"")
    except (DecodeError, DamagedError):
        raise UsageError(f"{path}/{GRAPH}: cut off, or no SavedModel; export the model again") from None
    tagged = [graph for graph in found.meta_graphs if "serve" in graph.info.tags]
    if len(tagged) != 1:
        tags = ", ".join("+".join(graph.info.tags) or "none" for graph in found.meta_graphs) or "no graph"
        raise UsageError(f"{path}/{GRAPH}: holds {len(tagged)} graphs for serving (tags: {tags}); export one")
    return tagged[0]


def _require_variables(package: Package) -> None:
    """Refuse a model whose variables are not all there."""
    if not any(node.HasField("variable") for node in package.graph.objects.nodes):
        return
    shards = [match for match in map(_SHARD.fullmatch, package.files) if match]
    whole = int(shards[0][1]) if shards else 1
    missing = whole - len(shards)
    if INDEX not in package.files or missing:
        what = f"{missing} of {whole} files variables/variables.data" if missing else INDEX
        raise UsageError(f"{package.path}: its variables are missing ({what}); copy the whole folder of the model")
