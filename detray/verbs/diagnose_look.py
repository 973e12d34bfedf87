"""Shards matched and observed: their rows by class in scratch, their counts in receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from detray.diagnose.columns import from_arrow, join, take, to_arrow
from detray.diagnose.evidence.counts import ClassCounts
from detray.diagnose.evidence.observe import observe
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.rows import BoxRows, DetectionRows
from detray.diagnose.evidence.shapes import box_shapes
from detray.diagnose.image_set import ImageSet, subset
from detray.diagnose.mapping.pairing import hit_boxes, sample_images
from detray.diagnose.mapping.repairs import MappingRepairs
from detray.store import Json, ShardKey
from detray.verbs.base import Context
from detray.verbs.diagnose_sources import Source, Work, read_shard

GIVEN = "given"
"""The round in which nothing is repaired."""


@dataclass(frozen=True)
class Look:
    """A shard, to be looked at with some faults repaired."""

    key: ShardKey
    round: str
    source: Source
    repairs: MappingRepairs


def _shard_name(work: Work, round: str, key: ShardKey) -> str:
    return f"{work.prefix}-look-{round}-{key.name}"


def look(work: Work, task: Look) -> Json:
    """Observe a shard; its rows go to scratch by class, its counts into the receipt."""
    scene = task.repairs.apply(read_shard(work, task.key, task.source))
    seen = observe(scene, np.array(work.weak, np.int64), floors=work.floors)
    name = _shard_name(work, task.round, task.key)
    for kind, rows in (("boxes", seen.boxes), ("found", seen.detections)):
        order = np.argsort(rows.category, kind="stable")
        work.stage.write_scratch(f"{name}-{kind}", to_arrow(take(rows, order)))
    facts: Json = {"tally": seen.counts.to_json()}
    if task.round == GIVEN:
        facts |= {"sample": _sampled(scene), "shapes": box_shapes(scene).to_json()}
    return work.stage.write(name, {}, facts)


def _sampled(scene: ImageSet) -> list[list[int]]:
    """Of the shard's images that a sample may take: id, boxes, and boxes that something hits."""
    sample = subset(scene, sample_images(scene.gt))
    images, first, n = np.unique(sample.gt.image[~sample.gt.crowd], return_index=True, return_counts=True)
    hit = hit_boxes(sample.gt, sample.dt)[~sample.gt.crowd]
    hits = np.add.reduceat(hit.astype(np.int64), first) if len(images) else n
    return np.stack([images, n, hits], axis=1).tolist()


def look_at_all(
    context: Context,
    work: Work,
    keys: Sequence[ShardKey],
    done: dict[str, bytes],
    round: str,
    source: Source,
    repairs: MappingRepairs,
) -> tuple[list[Json], ClassCounts]:
    """One round over all shards of the split: receipts, and all counts."""
    tasks = {_shard_name(work, round, key): Look(key, round, source, repairs) for key in keys}
    receipts = context.run_tasks("look", partial(look, work), tasks, done)
    tally = ClassCounts()
    for receipt in receipts:
        tally.add(ClassCounts.from_json(receipt["facts"]["tally"]))
    return receipts, tally


def rows_of_classes(work: Work, shards: Sequence[str], classes: Sequence[int]) -> tuple[BoxRows, DetectionRows]:
    """The rows of some classes from all shards, in the order of images."""

    def read(kind: type[Any], name: str) -> Any:
        parts = []
        for shard in shards:
            rows = work.stage.read_scratch(f"{shard}-{name}")
            own = rows["category"].to_numpy()
            low, high = np.searchsorted(own, classes[0]), np.searchsorted(own, classes[-1], side="right")
            parts.append(from_arrow(kind, rows.slice(low, high - low)))
        whole = join(parts)
        return take(whole, np.lexsort((whole.rank if kind is DetectionRows else whole.annotation_row, whole.image)))

    return read(BoxRows, "boxes"), read(DetectionRows, "found")


def view_of(rows: tuple[BoxRows, DetectionRows], category: int) -> ClassResult:
    boxes, found = rows
    return ClassResult(take(boxes, boxes.category == category), take(found, found.category == category))
