"""Where the diagnosis reads boxes and detections from: tables, or a detections file as it was written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow.compute as pc

from detray import schema
from detray.arrays import Ints
from detray.diagnose.api import own_names
from detray.diagnose.columns import from_arrow, join, take, to_arrow
from detray.diagnose.image_set import ImageSet, read_detections, read_image_set, sort_detections
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.kernel import Detections
from detray.formats.detections import ids
from detray.store import Json, ShardKey, Stage
from detray.verbs import precomputed
from detray.verbs.base import Context


@dataclass(frozen=True)
class Work:
    """What every task of a split needs; it crosses processes. ``prefix`` starts the names of its shards."""

    stage: Stage
    run: str
    model: str
    settings: DiagnoseSettings
    split: str
    prefix: str
    weak: tuple[int, ...]
    floors: Mapping[int, float]
    """By class that is not weak: the score from which its detections are looked at."""

    def names(self) -> dict[int, str]:
        return own_names(self.stage.store.read("categories", filters=[("split", "=", self.split)]))


@dataclass(frozen=True)
class Part:
    """Detections in scratch, sorted by image; ``low`` and ``high`` are the first and the last image."""

    name: str
    low: int
    high: int

    def of(self, stage: Stage, low: int | None, high: int | None) -> Detections:
        """Those of the images from ``low`` up to, not including, ``high``."""
        rows = stage.read_scratch(self.name)
        images = rows["image"].to_numpy()
        start = 0 if low is None else int(np.searchsorted(images, low))
        end = len(images) if high is None else int(np.searchsorted(images, high))
        return from_arrow(Detections, rows.slice(start, max(end - start, 0)))


@dataclass(frozen=True)
class Source:
    """Where a split's detections lie: in parts in scratch, or, without any, in ``predictions``."""

    work: Work
    parts: tuple[Part, ...] | None = None

    def of(self, key: ShardKey) -> Detections:
        """The detections that name the images of a shard."""
        if self.parts is None:
            return read_detections(self.work.stage.store.read_range("predictions", key, DETECTION_COLUMNS))
        near = [part for part in self.parts if _meets(part, key)]
        return joined([part.of(self.work.stage, key.low, key.high) for part in near])

    def naming(self, images: Ints) -> Detections:
        """The detections that name some images."""
        found = [take(rows, np.isin(rows.image, images)) for rows in self.all()]
        return joined(found)

    def all(self) -> Iterator[Detections]:
        """All detections, part by part."""
        if self.parts is not None:
            for part in self.parts:
                yield part.of(self.work.stage, None, None)
            return
        store = self.work.stage.store
        for file in store.files("predictions", "predict"):
            if file.get("split", self.work.split) == self.work.split:
                filters = [("split", "=", self.work.split)]
                yield read_detections(store.read_files([file], "predictions", DETECTION_COLUMNS, filters))


DETECTION_COLUMNS = ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")
IMAGE_COLUMNS = ("image_id", "file_name", "width", "height", "image_row")
BOX_COLUMNS = (
    *("annotation_id", "annotation_row", "image_id", "category_id", "x", "y", "width", "height"),
    *("area", "is_crowd"),
)


def _meets(part: Part, key: ShardKey) -> bool:
    return (key.low is None or part.high >= key.low) and (key.high is None or part.low < key.high)


def joined(parts: Sequence[Detections]) -> Detections:
    if not parts:
        return read_detections(schema.empty("predictions"))
    return sort_detections(join(parts))


def convert_part(stage: Stage, classes: Mapping[int, int], task: tuple[str, int, str]) -> Json:
    """Keep the rows of a part of a detections file that have a score, an image, a class and a finite box;
    ``classes`` as in `ids.with_classes`."""
    name, number, part = task
    given = stage.read_scratch(part)
    rows = ids.with_unknown_images(ids.with_classes(given, classes))
    rows = rows.filter(pc.and_(pc.greater_equal(rows["score"], 0.0), pc.less_equal(rows["score"], 1.0)))
    found = read_detections(rows)
    found = replace(found, rank=found.rank + (number << 32))
    return stage.write(name, {}, keep_part(stage, name, found) | {"lost": given.num_rows - len(found)})


def keep_part(stage: Stage, name: str, found: Detections) -> Json:
    stage.write_scratch(name, to_arrow(found))
    ends = (int(found.image[0]), int(found.image[-1])) if len(found) else (0, -1)
    return {"name": name, "low": ends[0], "high": ends[1]}


def parts_of(receipts: Sequence[Json]) -> tuple[Part, ...]:
    facts = [receipt["facts"] for receipt in receipts]
    return tuple(Part(f["name"], f["low"], f["high"]) for f in facts if f["low"] <= f["high"])


def read_file(
    context: Context,
    stage: Stage,
    done: dict[str, bytes],
    path: str,
    split: str,
    prefix: str,
    classes: Mapping[int, int],
) -> tuple[list[Json], tuple[Part, ...]]:
    """All parts of a file of detections on a split, in scratch, and the receipts; ``classes`` as in `convert_part`."""
    readings = precomputed.read_file(context, stage, done, path, split, f"{prefix}-")
    tasks = {
        name: (name, number, receipt["shard"])
        for number, receipt in enumerate(readings)
        for name in [f"{prefix}-part-{number:06d}"]
    }
    converted = context.run_tasks("take detections over", partial(convert_part, stage, classes), tasks, done)
    return [*readings, *converted], parts_of(converted)


def read_shard(work: Work, key: ShardKey, source: Source) -> ImageSet:
    """The scene of a shard."""
    shard = work.stage.store.read_shard(key, columns={"images": IMAGE_COLUMNS, "annotations": BOX_COLUMNS})
    scene = read_image_set(shard.images, shard.annotations, schema.empty("predictions"))
    found = source.of(key)
    return replace(scene, dt=take(found, np.isin(found.image, scene.images.id)))
