"""An export: what is suspected in an output folder, written for one tool."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

from detray import __version__
from detray.errors import UsageError
from detray.report.reader import Reader
from detray.report.review import items
from detray.review.canvas import Canvas, Canvases, labels
from detray.review.key import KeyWriter
from detray.review.tool import Export, Tool
from detray.store import Store

_READ = ("ingest", "audit", "predict", "evaluate", "diagnose", "folds")


UNSHOWN = frozenset(("missing-image", "corrupt-image"))
"""Rules whose pictures no tool can show: CVAT makes no task of a list that names one."""


@dataclass(frozen=True)
class Request:
    """What is to be exported.

    Attributes:
        most: suspects and findings at most, the most suspicious first.
        with_misses: boxes that the detector misses are asked about too.
        is_all: pictures that nothing is asked about are written too.
        prefix: see `Export`.
        min_score: suspects of a lower score are not asked about.
    """

    most: int = 5000
    with_misses: bool = False
    is_all: bool = False
    prefix: str | None = None
    min_score: float = 0.1

    @property
    def groups(self) -> tuple[str, ...]:
        return ("suspect", "finding", *(("miss",) if self.with_misses else ()))


@dataclass
class Written:
    """What went into an export, and what could not."""

    export: str
    pictures: int = 0
    boxes: int = 0
    asked: int = 0
    suggested: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def leave(self, what: str, count: int) -> None:
        if count:
            self.left_out[what] = self.left_out.get(what, 0) + count


def write(store: Store, run: str, tool: Tool, request: Request, into: Store) -> Written:
    """Write what is suspected in the output folder ``store`` for ``tool`` into another folder, and keep its key.

    Only pictures that something is asked about are read, shard by shard.

    Raises:
        UsageError: nothing is suspected, or the tool cannot open the pictures where they lie.
    """
    found = items.collect(Reader(store), request.most, request.groups, request.min_score)
    if not found.items and not request.is_all:
        raise UsageError(
            f"{store.path()}: nothing is suspected here that a tool could show; --all writes all pictures, and after"
            " detray diagnose there are suspects"
        )
    wanted: dict[tuple[str, int], list[items.Item]] = {}
    for item in found.items:
        wanted.setdefault((item.about.split, item.about.image_id), []).append(item)
    has_detections = tool.with_detections and store.manifest("predict") is not None
    splits = sorted({key.split for key in store.shards()})
    export = Export(
        _name(store, tool, request),
        run,
        {split: labels(store.read("categories", filters=[("split", "=", split)])) for split in splits},
        request.prefix,
        has_detections,
    )
    made = Written(export.name)
    made.leave("suspects and findings beyond --most or below --min-score", sum(found.left_out.values()))
    canvases = Canvases(store, wanted, request.is_all, has_detections)
    unshown = UNSHOWN if request.prefix is None else frozenset[str]()  # elsewhere they may be whole
    counted = _counted(_shown(canvases, tool, unshown, made), made)
    key = KeyWriter(store, export.name, lambda canvas: tool.picture(export, canvas))
    tool.write(export, key.over(counted), lambda name, pieces: _put(into, name, pieces))
    return made


def _put(into: Store, name: str, pieces: Iterable[bytes]) -> None:
    def fill(stream: Any) -> None:
        for piece in pieces:
            stream.write(piece)

    into.write(fill, name.replace("/", "_"))


def _shown(canvases: Iterable[Canvas], tool: Tool, unshown: frozenset[str], made: Written) -> Iterator[Canvas]:
    """The canvases that the tool can show; ``unshown``: what is asked about pictures that it cannot."""
    for canvas in canvases:
        if tool.by_share and not (canvas.width and canvas.height):
            made.leave("pictures of unknown size", 1)
        elif any(item.about.kind in unshown for item in canvas.asked):
            made.leave("pictures that are missing or damaged", 1)
        else:
            yield canvas


def _counted(canvases: Iterable[Canvas], made: Written) -> Iterator[Canvas]:
    for canvas in canvases:
        made.pictures += 1
        made.boxes += sum(not shape.is_suggested for shape in canvas.shapes)
        made.suggested += sum(shape.is_suggested for shape in canvas.shapes)
        made.asked += len({item.about for shape in canvas.shapes for item in shape.asked})
        made.leave("boxes without an area in their picture", canvas.not_drawn)
        made.leave("asked about such boxes: see report/review.html", canvas.not_asked)
        yield canvas


def _name(store: Store, tool: Tool, request: Request) -> str:
    """Of an export: of the same results for the same tool the same."""
    stages = {stage: (store.manifest(stage) or {}).get("id") for stage in _READ}
    asked = [tool.name, asdict(request), __version__]
    return blake2b(json.dumps([stages, asked]).encode(), digest_size=4).hexdigest()
