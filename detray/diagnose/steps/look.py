"""A look at all shards: boxes and detections with what they sit on, by class, and counts of all classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from detray.diagnose.mapping.pairing import hit_boxes, sample_images
from detray.diagnose.mapping.repairs import MappingRepairs
from detray.diagnose.observation.columns import from_arrow, join, take, to_arrow
from detray.diagnose.observation.counts import COUNTS, ClassCounts
from detray.diagnose.observation.image_set import ImageSet, subset
from detray.diagnose.observation.observe import observe
from detray.diagnose.observation.rows import BoxRows, DetectionRows
from detray.diagnose.observation.shapes import Shapes, box_shapes
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import ShardTask, Work, image_set, read_tables
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step
from detray.store import ShardKey

Rows = TypeVar("Rows", BoxRows, DetectionRows)
BATCH_ROWS = 1 << 14
"""Rows that are read together: those of a few classes need not bring all others."""


class SampledImage(msgspec.Struct, frozen=True, order=True):
    """An image that the sample may take: its boxes, crowds left out, and those that any detection hits."""

    image: int
    boxes: int
    hits: int


class Seen(msgspec.Struct, frozen=True):
    """How many images the shard has, and those that the sample may take; none where faults are repaired already."""

    sample: list[SampledImage] = []
    images: int = 0


@dataclass(frozen=True)
class Look(ShardTask):
    """A shard to look at, with faults repaired."""

    repairs: MappingRepairs
    is_first: bool


def look(work: Work, task: Look, tables: Mapping[str, pa.Table]) -> Output[Seen]:
    """Observe a shard; its rows are kept by class."""
    images = task.repairs.apply(image_set(tables))
    seen = observe(images, np.array(work.weak, np.int64), floors=work.floors, max_detections=work.max_detections)
    kept = {"boxes": _by_class(seen.boxes), "detections": _by_class(seen.detections), "counts": seen.counts.to_arrow()}
    if not task.is_first:
        return Output(Seen(images=len(images.images)), kept=kept)
    return Output(Seen(_sampled(images), len(images.images)), kept=kept | {"shapes": box_shapes(images).to_arrow()})


def _by_class(rows: BoxRows | DetectionRows) -> pa.Table:
    return to_arrow(take(rows, np.argsort(rows.category, kind="stable")))


def _sampled(images: ImageSet) -> list[SampledImage]:
    sample = subset(images, sample_images(images.gt))
    ids, first, n = np.unique(sample.gt.image[~sample.gt.crowd], return_index=True, return_counts=True)
    hit = hit_boxes(sample.gt, sample.dt)[~sample.gt.crowd]
    hits = np.add.reduceat(hit.astype(np.int64), first) if len(ids) else n
    return [SampledImage(*row) for row in np.stack([ids, n, hits], axis=1).tolist()]


LOOK = Step(
    "look",
    look,
    Seen,
    (
        Keep("boxes", batch_rows=BATCH_ROWS),
        Keep("detections", batch_rows=BATCH_ROWS),
        Keep("counts", COUNTS),
        Keep("shapes", COUNTS),
    ),
    read=read_tables,
    streams=True,
)


def count_shapes(work: Work, task: ShardTask, tables: Mapping[str, pa.Table]) -> Output[NoFacts]:
    """The shapes of the boxes of a training shard."""
    return Output(NoFacts(), kept={"shapes": box_shapes(image_set(tables)).to_arrow()})


COUNT_SHAPES = Step(
    "training",
    count_shapes,
    NoFacts,
    (Keep("shapes", COUNTS),),
    read=read_tables,
    label="count training boxes",
    streams=True,
)


@dataclass(frozen=True)
class ShardRows:
    """The rows of a shard by class, which tasks read for some classes."""

    boxes: Kept
    detections: Kept


@dataclass(frozen=True)
class Round:
    """A look at all shards of a split.

    Attributes:
        shards: their rows.
        counts: of all shards.
        sample: images that the sample may take, in the first round.
        shapes: of all boxes, in the first round.
        n_images: in all shards.
    """

    shards: tuple[ShardRows, ...]
    counts: ClassCounts
    sample: list[SampledImage]
    shapes: Shapes
    n_images: int


def look_at_all(
    flow: Flow,
    work: Work,
    keys: Sequence[ShardKey],
    source: DetectionSource,
    name: str,
    repairs: MappingRepairs | None = None,
) -> Round:
    """Look at all shards of a split; ``name`` says which round it is, ``repairs`` None that it is the first."""
    mend, is_first = repairs or MappingRepairs(), repairs is None
    seen = flow.map(LOOK, work, {f"{name}-{key.name}": Look(key, source, mend, is_first) for key in keys})
    return Round(
        tuple(ShardRows(result["boxes"], result["detections"]) for result in seen.values()),
        ClassCounts.sum(kept.read() for kept in seen.kept("counts").values()),
        sorted(image for facts in seen.facts for image in facts.sample),
        Shapes.sum(kept.read() for kept in seen.kept("shapes").values()),
        sum(facts.images for facts in seen.facts),
    )


def rows_of_classes(shards: Iterable[ShardRows], classes: Sequence[int]) -> tuple[BoxRows, DetectionRows]:
    """The rows of all classes from the first to the last of ``classes``, in the order of images."""
    parts = [(shard.boxes, shard.detections) for shard in shards]
    boxes = _joined(BoxRows, [kept for kept, _ in parts], classes)
    found = _joined(DetectionRows, [kept for _, kept in parts], classes)
    return (
        take(boxes, np.lexsort((boxes.annotation_row, boxes.image))),
        take(found, np.lexsort((found.rank, found.image))),
    )


def _joined(kind: type[Rows], parts: Iterable[Kept], classes: Sequence[int]) -> Rows:
    found = []
    for kept in parts:
        own = kept.read(["category"])["category"].to_numpy()
        low, high = np.searchsorted(own, classes[0]), np.searchsorted(own, classes[-1], side="right")
        found.append(from_arrow(kind, kept.slice(int(low), int(high))))
    return join(found)
