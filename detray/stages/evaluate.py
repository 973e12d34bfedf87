"""The stage ``evaluate``: images matched shard by shard, metrics reduced class by class.

In steps of parallel tasks: *match* matches the images of a shard and leaves the match table and,
in scratch, what the metrics need, sorted by class; *classes* reads the rows of some classes from
all shards; *images* counts the errors of each image at the scores found; *ranks* puts images in
order; *summary* puts a split together.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.errors import DetrayError
from detray.evaluate import images
from detray.evaluate.api import TABLES
from detray.evaluate.classes import ClassRows
from detray.evaluate.inputs import no_known_image
from detray.evaluate.matching import SCRATCH, match_shard
from detray.evaluate.metrics import Names, class_tables
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.summary import confusion_table, summary_metrics
from detray.stages.base import Context, Outcome, StageDefinition, Table
from detray.store import Json, ShardKey, Stage

MIN_GROUP_ROWS, MAX_GROUP_ROWS = 50_000, 1_000_000
"""Detections of the classes that one task reduces: at most about 300 MB, but for one huge class."""
MAX_CLASSES_SHOWN = 40


@dataclass(frozen=True)
class Work:
    """What every task needs; it crosses processes."""

    stage: Stage
    run: str
    model: str
    settings: EvaluateSettings

    def names(self, split: str) -> Names:
        categories = self.stage.store.read("categories", filters=[("split", "=", split)])
        return Names(self.run, split, self.model, tables.class_names(categories))


@dataclass(frozen=True)
class Group:
    """Some classes of a split, by rising id, and the shards that hold their rows."""

    name: str
    split: str
    ids: tuple[int, ...]
    shards: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """A shard's images, and the rank of its first image with each number of errors."""

    shard: str
    first: dict[int, int]


@dataclass(frozen=True)
class Whole:
    """A split: all its shards and groups of classes."""

    name: str
    split: str
    shards: tuple[str, ...]
    groups: tuple[str, ...]


def run(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
    """Evaluate the predictions of the splits of ``predict.splits``."""
    config, store = context.config, context.store
    manifest = store.manifest("predict") or {}
    work = Work(stage, config.name, manifest.get("facts", {}).get("model", "detections"), config.evaluate)
    keys = store.shards(config.predict.splits)
    matched = context.run_tasks("match", partial(_match, work), {f"match-{key.name}": key for key in keys}, done)
    left_out = _refuse_strangers(context, matched)

    splits = list(dict.fromkeys(key.split for key in keys))
    groups = [
        group
        for number, split in enumerate(splits)
        for group in _groups(number, split, [r for r in matched if r["facts"]["split"] == split], context)
    ]
    classes = context.run_tasks("classes", partial(_reduce, work), {group.name: group for group in groups}, done)
    names = {split: tuple(group.name for group in groups if group.split == split) for split in splits}
    counting = {f"images-{key.name}": (key, names[key.split]) for key in keys}
    counted = context.run_tasks("images", partial(_count, work), counting, done)
    rankings = {
        f"ranks-{receipt['shard']}": Ranking(receipt["shard"], first)
        for split in splits
        for receipt, first in _first_ranks([r for r in counted if r["facts"]["split"] == split])
    }
    ranked = context.run_tasks("ranks", partial(_rank, work), rankings, done)
    wholes = {
        f"summary-{number:03d}": Whole(
            f"summary-{number:03d}", split, tuple(key.name for key in keys if key.split == split), names[split]
        )
        for number, split in enumerate(splits)
    }
    summaries = context.run_tasks("summary", partial(_summarise, work), wholes, done)
    n = sum(receipt["facts"]["detections"] for receipt in matched)
    return Outcome(
        [*matched, *classes, *counted, *ranked, *summaries],
        counts={"in": n + left_out["detections of an unknown image"], "kept": n, "quarantined": 0},
        facts={"model": work.model, "left_out": left_out},
        seeds={"bootstrap": config.evaluate.seed},
        summary=[_numbers_table(summaries), *(_classes_table(receipt) for receipt in summaries)],
        notes=[f"{count} {what} {_FATE.get(what, 'take no part')}" for what, count in left_out.items() if count],
    )


_FATE = {
    "detections of a class that ground truth lacks": "count nowhere but in the match table: such a class has no AP",
    "detections over max_detections": "of an image and class are left out",
}


def _match(work: Work, key: ShardKey) -> Json:
    shard = work.stage.store.read_shard(key, predictions=True)
    found = match_shard(shard, work.settings, run=work.run, model=work.model)
    for name in SCRATCH:
        work.stage.write_scratch(f"{name}/{key.name}", getattr(found, name))
    detected, boxed = (tables.numpy(part, "category_id") for part in (found.detections, found.boxes))
    ids = np.union1d(detected, boxed)
    n_rows = np.searchsorted(detected, ids, side="right") - np.searchsorted(detected, ids)
    facts = {
        "split": key.split,
        "key": key.name,
        "classes": list(zip(ids.tolist(), n_rows.tolist(), strict=True)),
        "detections": found.detections.num_rows,
        "left_out": found.left_out,
    }
    return work.stage.write(f"match-{key.name}", {"matches": found.matches}, facts)


def _refuse_strangers(context: Context, matched: Sequence[Json]) -> Counter[str]:
    """How many rows were left out, by reason.

    Raises:
        DetrayError: there are detections, and none names an image of the data set.
    """
    left_out: Counter[str] = Counter()
    for receipt in matched:
        left_out.update(receipt["facts"]["left_out"])
    if not any(receipt["facts"]["detections"] for receipt in matched):
        strangers = left_out["detections of an unknown image"]
        for part in context.store.files("quarantine", "predict"):
            reasons = context.store.read_files([part], "quarantine", ["reason"])["reason"]
            strangers += pc.sum(pc.equal(reasons, "unknown-image")).as_py() or 0
        if strangers:
            raise DetrayError(no_known_image(", ".join(context.config.predict.splits), strangers))
    return left_out


def _groups(number: int, split: str, matched: Sequence[Json], context: Context) -> list[Group]:
    """The classes of a split in groups of about equally many detections."""
    categories = context.store.read("categories", columns=["category_id"], filters=[("split", "=", split)])
    rows: Counter[int] = Counter(dict.fromkeys(categories["category_id"].drop_null().to_pylist(), 0))
    for receipt in matched:
        rows.update(dict(receipt["facts"]["classes"]))
    share = sum(rows.values()) / (2 * context.executor.workers)
    limit = min(max(share, MIN_GROUP_ROWS), MAX_GROUP_ROWS)
    shards = tuple(receipt["facts"]["key"] for receipt in matched)
    ids = sorted(rows)
    groups, low, held = [], 0, 0
    for place, number_of_class in enumerate(ids):
        held += rows[number_of_class]
        if held >= limit or place == len(ids) - 1:
            # the name says which classes, so that a run that goes on takes up only the same groups
            name = f"classes-{number:03d}-{low:06d}-{place:06d}"
            groups.append(Group(name, split, tuple(ids[low : place + 1]), shards))
            low, held = place + 1, 0
    return groups


def _reduce(work: Work, group: Group) -> Json:
    parts = {
        name: pa.concat_tables(
            [_of_classes(work.stage.read_scratch(f"{name}/{shard}"), group) for shard in group.shards]
        )
        for name in ("detections", "boxes", "repairs")
    }
    rows = ClassRows.of(np.array(group.ids, np.int64), **parts)
    found = class_tables(rows, work.names(group.split), work.settings)
    work.stage.write_scratch(f"numbers/{group.name}", found.numbers)
    work.stage.write_scratch(f"metrics/{group.name}", found.class_metrics)
    return work.stage.write(
        group.name,
        {"class_metrics": found.class_metrics, "pr_curves": found.pr_curves, "errors": found.errors},
    )


def _of_classes(rows: pa.Table, group: Group) -> pa.Table:
    """The rows, sorted by class, from the group's first class to its last."""
    ids = tables.numpy(rows, "category_id")
    low = np.searchsorted(ids, group.ids[0])
    return rows.slice(low, np.searchsorted(ids, group.ids[-1], side="right") - low)


def _count(work: Work, task: tuple[ShardKey, tuple[str, ...]]) -> Json:
    key, groups = task
    metrics = pa.concat_tables([work.stage.read_scratch(f"metrics/{name}") for name in groups])
    found, histogram = images.image_rows(
        work.stage.store.read_range("images", key, ("image_id", "file_name")),
        work.names(key.split),
        work.stage.read_scratch(f"detections/{key.name}"),
        work.stage.read_scratch(f"boxes/{key.name}"),
        metrics,
    )
    name = f"images-{key.name}"
    work.stage.write_scratch(name, found)
    return work.stage.write(name, {}, {"split": key.split, "histogram": sorted(histogram.items())})


def _first_ranks(counted: Sequence[Json]) -> list[tuple[Json, dict[int, int]]]:
    histograms = [dict(receipt["facts"]["histogram"]) for receipt in counted]
    return list(zip(counted, images.first_ranks(histograms), strict=True))


def _rank(work: Work, task: Ranking) -> Json:
    rows = images.ranked(work.stage.read_scratch(task.shard), task.first)
    return work.stage.write(f"ranks-{task.shard}", {"image_metrics": rows})


def _summarise(work: Work, whole: Whole) -> Json:
    names = work.names(whole.split)
    numbers = pa.concat_tables([work.stage.read_scratch(f"numbers/{name}") for name in whole.groups])
    confusion = [work.stage.read_scratch(f"confusion/{name}") for name in whole.shards]
    metrics = pa.concat_tables([work.stage.read_scratch(f"metrics/{name}") for name in whole.groups])
    found = summary_metrics(numbers, names)
    weakest = metrics.filter(pc.equal(metrics["area_range"], "all")).sort_by([("ap", "ascending")])
    facts = {
        "split": whole.split,
        "values": dict(zip(found["metric"].to_pylist(), found["value"].to_pylist(), strict=True)),
        "n_classes": weakest.num_rows,
        "classes": weakest.slice(0, MAX_CLASSES_SHOWN).select(list(_SHOWN)).to_pylist(),
    }
    written = {"summary_metrics": found, "confusion": confusion_table(confusion, names, work.settings)}
    return work.stage.write(whole.name, written, facts)


_SHOWN = {
    "category_name": "class",
    "n_ground_truth": "boxes",
    "n_detections": "detections",
    "ap": "AP",
    "ap_low": "low",
    "ap_high": "high",
    "ap50": "AP50",
    "recall50": "recall50",
    "best_f1_threshold": "best score",
}


def _numbers_table(summaries: Sequence[Json]) -> Table:
    metrics = list(summaries[0]["facts"]["values"]) if summaries else []
    rows = [[r["facts"]["split"], *(_rounded(r["facts"]["values"][name]) for name in metrics)] for r in summaries]
    return Table("COCO numbers", ("split", *metrics), rows)


def _classes_table(receipt: Json) -> Table:
    facts = receipt["facts"]
    rows = [[_rounded(entry[name]) for name in _SHOWN] for entry in facts["classes"]]
    shown = "" if len(rows) == facts["n_classes"] else f", the weakest {len(rows)} of {facts['n_classes']}"
    return Table(f"Classes of {facts['split']}{shown}", tuple(_SHOWN.values()), rows)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


STAGE = StageDefinition(
    name="evaluate",
    tables=TABLES,
    sections=("evaluate",),
    run=run,
    needs=lambda config: ("ingest", "predict"),
)
