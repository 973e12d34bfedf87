"""Detections of a base model: the AP of the classes that are diagnosed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from detray.diagnose.steps.sources import file_source
from detray.diagnose.steps.work import ShardTask, Work, image_set, read_tables
from detray.evaluate.kernel import match
from detray.evaluate.kernel.accumulate import average_precision
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.meaning.settle import Stated

Aps = dict[int, tuple[float, float]]
"""AP and AP50 by class."""

MATCHED = pa.schema(
    [
        ("category", pa.int64()),
        ("score", pa.float64()),
        ("image", pa.int64()),
        ("rank", pa.int64()),
        ("matched", pa.int16()),
        ("ignored", pa.int16()),
    ]
)


class BoxCounts(msgspec.Struct, frozen=True):
    """Boxes of the classes in question, by class."""

    boxes: dict[int, int]


@dataclass(frozen=True)
class OtherShard(ShardTask):
    """A shard with other detections; ``classes``: the ids in question."""

    classes: frozenset[int]


def match_others(work: Work, task: OtherShard, tables: Mapping[str, pa.Table]) -> Output[BoxCounts]:
    """Match the detections of a shard; the rows of the classes in question are kept."""
    images = image_set(tables)
    gt, dt, found = images.gt, images.dt, match(images.gt, images.dt)
    rows = np.flatnonzero(found.kept & np.isin(dt.category, list(task.classes)))
    columns = (dt.category, dt.score, dt.image, dt.rank, found.matched[:, 0], found.ignored[:, 0])
    kept = pa.table([column[rows] for column in columns], schema=MATCHED)
    ids, n = np.unique(gt.category[~gt.crowd], return_counts=True)
    boxes = {k: count for k, count in zip(ids.tolist(), n.tolist(), strict=True) if k in task.classes}
    return Output(BoxCounts(boxes), kept={"matched": kept})


MATCH_OTHERS = Step(
    "match-others",
    match_others,
    BoxCounts,
    (Keep("matched", MATCHED),),
    read=read_tables,
    label="match other detections",
    streams=True,
)


class ClassAps(msgspec.Struct, frozen=True):
    """AP and AP50 by class."""

    aps: Aps


@dataclass(frozen=True)
class Averaging:
    """Matched detections; ``classes``: from ids there to ids here, ``boxes``: how many of each there."""

    shards: tuple[Kept, ...]
    classes: Mapping[int, int]
    boxes: Mapping[int, int]


def average_others(work: Work, task: Averaging) -> Output[ClassAps]:
    """AP and AP50 of the classes that have boxes."""
    rows = pa.concat_tables([MATCHED.empty_table(), *(kept.read() for kept in task.shards)])
    category, *columns = (rows[key].to_numpy() for key in MATCHED.names)
    aps = {}
    for there, here in task.classes.items():
        n = task.boxes.get(there, 0)
        if n:
            score, image, rank, matched, ignored = (column[category == there] for column in columns)
            levels = average_precision(score, image, rank, matched, ignored, n)
            aps[here] = (float(levels.mean()), float(levels[0]))
    return Output(ClassAps(aps))


AVERAGE_OTHERS: Step[Work, Averaging, ClassAps] = Step(
    "average-others", average_others, ClassAps, label="average other detections"
)


def aps_of_file(flow: Flow, work: Work, there: Work, path: str, prefix: str, stated: Stated) -> tuple[Aps, int]:
    """AP and AP50, by weak class, of the detections of a file, and how many of its rows cannot be used.

    Args:
        flow, work: of the split that is diagnosed.
        there: of the split that the file is of.
        path: of the file.
        prefix: starts the keys of the tasks.
        stated: of the file's class ids.
    """
    source, lost = file_source(flow, path, there.split, prefix, stated)
    by_name = {name: k for k, name in sorted(there.names.items(), reverse=True)}
    wanted = {by_name.get(name, k): k for k, name in work.names.items() if k in work.weak}
    keys, asked = flow.data.shards([there.split]), frozenset(wanted)
    tasks = {f"{prefix}-{key.name}": OtherShard(key, source, asked) for key in keys}
    matched = flow.map(MATCH_OTHERS, there, tasks)
    boxes: Counter[int] = Counter()
    for facts in matched.facts:
        boxes.update(facts.boxes)
    task = Averaging(tuple(matched.kept("matched").values()), wanted, dict(boxes))
    return flow.reduce(AVERAGE_OTHERS, there, task, prefix).facts.aps, lost
