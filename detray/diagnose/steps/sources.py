"""Where detections come from: the table of predictions, or a file, as it was written, that the flow has read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import numpy as np
import pyarrow.compute as pc

from detray import schema
from detray.arrays import Ints
from detray.diagnose.mapping.pairing import Pairing
from detray.diagnose.observation.columns import from_arrow, join, take, to_arrow
from detray.diagnose.observation.image_set import read_detections, sort_detections
from detray.evaluate.kernel import Detections
from detray.flow.data import Data
from detray.flow.flow import Flow, Results
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.formats.detections.file import read_file
from detray.formats.detections.ids import with_classes, with_unknown_images
from detray.store import Json, ShardKey

DETECTION_COLUMNS = ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")


class StoredDetections(Protocol):
    """Some of a source's detections."""

    def read(self, data: Data, split: str) -> Detections:
        """By image and rank."""
        ...


@dataclass(frozen=True)
class TablePart:
    """A part of the table of predictions."""

    file: Json

    def read(self, data: Data, split: str) -> Detections:
        rows = data.read_files([self.file], "predictions", DETECTION_COLUMNS, [("split", "=", split)])
        return read_detections(rows)


@dataclass(frozen=True)
class KeptPart:
    """Detections that a step kept, by image; ``low`` and ``high`` are the first and the last image."""

    kept: Kept
    low: int
    high: int

    def read(self, data: Data, split: str) -> Detections:
        return from_arrow(Detections, self.kept.read())

    def meets(self, key: ShardKey) -> bool:
        """Whether it may hold detections of the shard's images."""
        return (key.low is None or self.high >= key.low) and (key.high is None or self.low < key.high)

    def of(self, key: ShardKey) -> Detections:
        """Those of the shard's images."""
        rows = self.kept.read()
        images = rows["image"].to_numpy()
        start = 0 if key.low is None else int(np.searchsorted(images, key.low))
        end = len(images) if key.high is None else int(np.searchsorted(images, key.high))
        return from_arrow(Detections, rows.slice(start, max(end - start, 0)))


@dataclass(frozen=True)
class DetectionSource:
    """A split's detections: in ``parts`` that steps kept, or, without any, in the table of predictions."""

    parts: tuple[KeptPart, ...] | None = None

    def of(self, data: Data, key: ShardKey) -> Detections:
        """The detections that name images of a shard, or ids between them."""
        if self.parts is None:
            return read_detections(data.read_range("predictions", key, DETECTION_COLUMNS))
        return joined([part.of(key) for part in self.parts if part.meets(key)])

    def naming(self, data: Data, split: str, images: Ints) -> Detections:
        """The detections that name some images."""
        return joined([take(rows, np.isin(rows.image, images)) for rows in self.all(data, split)])

    def all(self, data: Data, split: str) -> Iterator[Detections]:
        """All detections, some at a time."""
        return (one.read(data, split) for one in self.stored(data, split))

    def stored(self, data: Data, split: str) -> Sequence[StoredDetections]:
        """What the detections lie in."""
        if self.parts is not None:
            return self.parts
        return [TablePart(file) for file in data.files("predictions", "predict") if file.get("split", split) == split]


NO_DETECTIONS = DetectionSource(())


def joined(parts: Sequence[Detections]) -> Detections:
    """All of them, by image and rank."""
    return sort_detections(join(parts)) if parts else read_detections(schema.empty("predictions"))


# steps


class Extent(msgspec.Struct, frozen=True):
    """Detections that a task kept.

    Attributes:
        low, high: the first and the last image; none where high is less.
        lost: rows that cannot be used.
    """

    low: int = 0
    high: int = -1
    lost: int = 0


@dataclass(frozen=True)
class Converting:
    """Raw rows of a file of detections; ``number``: of the part that they are.

    ``classes`` say what its class ids mean.
    """

    number: int
    rows: Kept
    classes: Mapping[int, int]


def convert(work: None, task: Converting) -> Output[Extent]:
    """Keep the rows that have a score, an image, a class and a finite box."""
    given = task.rows.read()
    rows = with_unknown_images(with_classes(given, task.classes))
    rows = rows.filter(pc.and_(pc.greater_equal(rows["score"], 0.0), pc.less_equal(rows["score"], 1.0)))
    found = read_detections(rows)
    found = replace(found, rank=found.rank + (task.number << 32))
    return _kept(found, given.num_rows - len(found))


@dataclass(frozen=True)
class Renaming:
    """Detections, and by which images they are to be renamed: columns source and target."""

    split: str
    given: StoredDetections
    pairing: Kept


def rename(data: Data, task: Renaming) -> Output[Extent]:
    """Keep detections under the images that they mean."""
    rows = task.pairing.read()
    pairing = Pairing("", rows["source"].to_numpy(), rows["target"].to_numpy())
    found = task.given.read(data, task.split)
    renamed = replace(found, image=pairing.rename(found.image))
    return _kept(sort_detections(take(renamed, renamed.image >= 0)))


def _kept(found: Detections, lost: int = 0) -> Output[Extent]:
    ends = (int(found.image[0]), int(found.image[-1])) if len(found) else (0, -1)
    return Output(Extent(*ends, lost), kept={"detections": to_arrow(found)})


DETECTIONS = Keep("detections")
CONVERT: Step[None, Converting, Extent] = Step(
    "take-over", convert, Extent, (DETECTIONS,), label="take detections over"
)
RENAME: Step[Data, Renaming, Extent] = Step("rename", rename, Extent, (DETECTIONS,), label="rename images")


def file_source(
    flow: Flow, path: str, split: str, prefix: str, classes: Mapping[int, int]
) -> tuple[DetectionSource, int]:
    """A file of detections of a split, as it was written, and how many of its rows cannot be used.

    ``prefix`` starts the keys of the tasks; ``classes`` say what the file's class ids mean.
    """
    file = read_file(flow, path, split, f"{prefix}-")
    tasks = {f"{prefix}-{n:06d}": Converting(n, chunk.kept, classes) for n, chunk in enumerate(file.chunks)}
    found = flow.map(CONVERT, None, tasks)
    return _source(found), sum(facts.lost for facts in found.facts)


def renamed_source(flow: Flow, source: DetectionSource, split: str, prefix: str, pairing: Kept) -> DetectionSource:
    """The detections of a source under the images that they mean."""
    stored = source.stored(flow.data, split)
    tasks = {f"{prefix}-{n:06d}": Renaming(split, one, pairing) for n, one in enumerate(stored)}
    return _source(flow.map(RENAME, flow.data, tasks))


def _source(found: Results[Extent]) -> DetectionSource:
    parts = [(result["detections"], result.facts) for result in found.values()]
    return DetectionSource(tuple(KeptPart(kept, x.low, x.high) for kept, x in parts if x.low <= x.high))
