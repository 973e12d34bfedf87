"""Where detections come from: the table of predictions, or a file, as it was written, that the flow has read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.arrays import Ints
from detray.diagnose.mapping.pairing import Pairing
from detray.diagnose.observation.columns import from_arrow, join, take, to_arrow
from detray.diagnose.observation.image_set import read_detections, sort_detections
from detray.evaluate.kernel import Detections
from detray.flow.data import Data, unseen_images
from detray.flow.flow import Flow, Results
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.formats.detections.file import read_file
from detray.formats.detections.ids import with_classes, with_unknown_images
from detray.formats.detections.meaning import meaning_of
from detray.meaning.settle import Meaning, Stated
from detray.store import Json, ShardKey

DETECTION_COLUMNS = ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")


@dataclass(frozen=True)
class KeptPart:
    """Detections that a step kept, by image; ``low`` and ``high`` are the first and the last image."""

    kept: Kept
    low: int
    high: int

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

    data: Data
    split: str
    parts: tuple[KeptPart, ...] | None = None

    def of(self, key: ShardKey) -> Detections:
        """The detections that name images of a shard, or ids between them."""
        if self.parts is None:
            return read_detections(self.data.read_range("predictions", key, DETECTION_COLUMNS))
        return joined([part.of(key) for part in self.parts if part.meets(key)])

    def unseen(self, key: ShardKey) -> pa.ChunkedArray:
        """The images of a shard that the detector could not read."""
        return unseen_images(self.data, key)["image_id"]

    def naming(self, images: Ints) -> Detections:
        """The detections that name some images."""
        return joined([take(rows, np.isin(rows.image, images)) for rows in self.all()])

    def all(self) -> Iterator[Detections]:
        """All detections, some at a time."""
        return map(self.read, self.stored())

    def stored(self) -> Sequence[KeptPart | Json]:
        """What they lie in: parts that steps kept, or those of the table of predictions."""
        if self.parts is not None:
            return self.parts
        files = self.data.files("predictions", "predict")
        return [file for file in files if file.get("split", self.split) == self.split]

    def read(self, part: KeptPart | Json) -> Detections:
        """The detections of one of `stored`, by image and rank."""
        if isinstance(part, KeptPart):
            return from_arrow(Detections, part.kept.read())
        filters = [("split", "=", self.split)]
        return read_detections(self.data.read_files([part], "predictions", DETECTION_COLUMNS, filters))


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

    low: int
    high: int
    lost: int


@dataclass(frozen=True)
class Converting:
    """Raw rows of a file of detections: its chunk ``number``."""

    number: int
    rows: Kept


def convert(meaning: Meaning, task: Converting) -> Output[Extent]:
    """Keep the rows that have a score, an image, a class and a finite box; ``meaning``: of their class ids."""
    given = task.rows.read()
    rows = with_unknown_images(with_classes(given, meaning))
    rows = rows.filter(pc.and_(pc.greater_equal(rows["score"], 0.0), pc.less_equal(rows["score"], 1.0)))
    found = read_detections(rows)
    found = replace(found, rank=found.rank + (task.number << 32))
    return _kept(found, given.num_rows - len(found))


@dataclass(frozen=True)
class Renaming:
    """By which images detections are to be renamed: columns source and target."""

    source: DetectionSource
    pairing: Kept


def rename(work: Renaming, part: KeptPart | Json) -> Output[Extent]:
    """Keep detections under the images that they mean."""
    rows, found = work.pairing.read(), work.source.read(part)
    pairing = Pairing("", rows["source"].to_numpy(), rows["target"].to_numpy())
    renamed = replace(found, image=pairing.rename(found.image))
    return _kept(sort_detections(take(renamed, renamed.image >= 0)))


def _kept(found: Detections, lost: int = 0) -> Output[Extent]:
    ends = (int(found.image[0]), int(found.image[-1])) if len(found) else (0, -1)
    return Output(Extent(*ends, lost), kept={"detections": to_arrow(found)})


DETECTIONS = Keep("detections")
CONVERT: Step[Meaning, Converting, Extent] = Step(
    "take-over", convert, Extent, (DETECTIONS,), label="take detections over"
)
RENAME: Step[Renaming, KeptPart | Json, Extent] = Step("rename", rename, Extent, (DETECTIONS,), label="rename images")


def file_source(flow: Flow, path: str, split: str, prefix: str, stated: Stated) -> tuple[DetectionSource, int]:
    """A file of detections of a split, as it was written, and how many of its rows cannot be used.

    ``prefix`` starts the keys of the tasks; ``stated``: of the file's class ids.
    """
    file = read_file(flow, path, split, f"{prefix}-")
    meaning = meaning_of(flow, path, file, split, stated, f"{prefix}-")
    tasks = {f"{prefix}-{n:06d}": Converting(n, chunk.kept) for n, chunk in enumerate(file.chunks)}
    found = flow.map(CONVERT, meaning, tasks)
    return DetectionSource(flow.data, split, _parts(found)), sum(facts.lost for facts in found.facts)


def renamed_source(flow: Flow, source: DetectionSource, prefix: str, pairing: Kept) -> DetectionSource:
    """The detections of a source under the images that they mean."""
    tasks = {f"{prefix}-{n:06d}": part for n, part in enumerate(source.stored())}
    return replace(source, parts=_parts(flow.map(RENAME, Renaming(source, pairing), tasks)))


def _parts(found: Results[Extent]) -> tuple[KeptPart, ...]:
    parts = [KeptPart(result["detections"], result.facts.low, result.facts.high) for result in found.values()]
    return tuple(part for part in parts if part.low <= part.high)
