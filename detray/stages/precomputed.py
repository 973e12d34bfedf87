"""Detections from another tool's file: read by byte range, put in the order of the images, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.errors import UsageError
from detray.formats import detections
from detray.formats.json_rows import WrongCut
from detray.formats.label_map import read_category_map
from detray.stages.base import Context, Outcome, Table
from detray.store import Json, ShardKey, Stage, Store
from detray.tables import class_names, own_classes


@dataclass(frozen=True)
class Reading:
    """The task that reads one part of the file into scratch, sorted by image."""

    name: str
    part: detections.Part


@dataclass(frozen=True)
class Checking:
    """The task that checks the detections of one shard's images. ``parts``: scratch that may hold some,
    each with how many rows of the file stand before it; ``unnamed``: also the rows without an image."""

    key: ShardKey
    parts: tuple[tuple[str, int], ...]
    unnamed: bool


def take_over(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
    """Write the detections of the file ``detector.path`` as predictions of the one split of ``predict.splits``."""
    config, store = context.config, context.store
    path, splits = config.detector.path, config.predict.splits
    if path is None:
        raise UsageError("detector.kind is predictions, so detector.path must name the file of detections")
    if len(splits) != 1:
        raise UsageError(f"a file of detections is of one split, but predict.splits names {len(splits)}")
    readings = read_file(context, stage, done, path)
    model, keys = Path(path).stem, store.shards(splits)
    classes = read_category_map(config.predict.category_map, names_of(store, splits[0]))
    check = partial(check_shard, stage, config.name, model, classes)
    tasks = {key.name: checking(readings, key, unnamed=key is keys[0]) for key in keys}
    receipts = context.run_tasks("check detections", check, tasks, done)
    counts = {name: sum(receipt["facts"][name] for receipt in receipts) for name in ("in", "kept")}
    return Outcome(
        [*readings, *receipts],
        counts=counts | {"quarantined": counts["in"] - counts["kept"]},
        facts={"model": model},
        summary=[Table("detections", ("model", "read", "kept"), [[model, counts["in"], counts["kept"]]])],
    )


def read_file(context: Context, stage: Stage, done: dict[str, Json], path: str) -> list[Json]:
    """Keep a file of detections as scratch; the receipts of its parts, in the order of the file."""
    readings = _read(context, stage, done, path, exact=False)
    if any(receipt["facts"]["is_wrong_cut"] for receipt in readings):
        readings = _read(context, stage, done, path, exact=True)
    return readings


def _read(context: Context, stage: Stage, done: dict[str, Json], path: str, *, exact: bool) -> list[Json]:
    prefix = "read-exactly" if exact else "read"
    names = {f"{prefix}-{number:06d}": part for number, part in enumerate(detections.plan(path, exact=exact))}
    tasks = {name: Reading(name, part) for name, part in names.items()}
    return context.run_tasks("read detections", partial(read_part, stage), tasks, done)


def read_part(stage: Stage, task: Reading) -> Json:
    """Keep a part's rows as scratch, stably sorted by image, those without an image first."""
    try:
        rows = detections.read(task.part)
    except WrongCut:
        return stage.write(task.name, {}, {"is_wrong_cut": True})
    order = pc.sort_indices(rows, [("image_id", "ascending", "at_start"), ("rank", "ascending")])
    stage.write_scratch(task.name, rows.take(order))
    ends = pc.min_max(rows["image_id"])
    facts = {
        "is_wrong_cut": False,
        "rows": rows.num_rows,
        "unnamed": rows["image_id"].null_count,
        "low": ends["min"].as_py(),
        "high": ends["max"].as_py(),
    }
    return stage.write(task.name, {}, facts)


def checking(readings: list[Json], key: ShardKey, *, unnamed: bool) -> Checking:
    """The task for the images of ``key``, with the parts of `read_file` that may hold some."""
    parts, before = [], 0
    for receipt in readings:
        facts = receipt["facts"]
        is_near = facts["low"] is not None and (
            (key.low is None or facts["high"] >= key.low) and (key.high is None or facts["low"] < key.high)
        )
        if is_near or (unnamed and facts["unnamed"]):
            parts.append((receipt["shard"], before))
        before += facts["rows"]
    return Checking(key, tuple(parts), unnamed)


def names_of(store: Store, split: str) -> dict[int, str]:
    """The classes of a split by id."""
    return class_names(own_classes(store.read("categories", filters=[("split", "=", split)])))


def check_shard(stage: Stage, run: str, model: str, classes: Mapping[int, int], task: Checking) -> Json:
    """Write the predictions of a shard's images, sorted by image and then as in the file; and what is left out."""
    raw, predictions, quarantine = checked(stage, run, model, task, classes)
    return stage.write(
        task.key.name,
        {"predictions": predictions, "quarantine": quarantine},
        {"in": raw.num_rows, "kept": predictions.num_rows},
    )


def checked(
    stage: Stage, run: str, model: str, task: Checking, classes: Mapping[int, int] = MappingProxyType({})
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The rows of a shard's images, their predictions, and what is left out; ``classes`` as in
    `detections.with_classes`."""
    store, key = stage.store, task.key
    raw = pa.concat_tables(
        [_slice(stage, name, before, task) for name, before in task.parts] or [detections.RAW.empty_table()]
    )
    raw = detections.with_classes(raw, classes)
    raw = raw.take(pc.sort_indices(raw, [("image_id", "ascending"), ("rank", "ascending")]))
    predictions, quarantine = detections.validate(
        raw,
        store.read_range("images", key, ("image_id", "file_name")),
        store.read("categories", filters=[("split", "=", key.split)]),
        run=run,
        model=model,
        split=key.split,
        stage=stage.name,
    )
    return raw, predictions, quarantine


def _slice(stage: Stage, name: str, before: int, task: Checking) -> pa.Table:
    """The rows of one scratch table that belong to a task, ranked through the whole file."""
    rows = stage.read_scratch(name)
    unnamed = rows["image_id"].null_count
    ids = rows["image_id"].slice(unnamed).to_numpy()
    low = 0 if task.key.low is None else int(np.searchsorted(ids, task.key.low))
    high = len(ids) if task.key.high is None else int(np.searchsorted(ids, task.key.high))
    found = rows.slice(unnamed + low, high - low)
    if task.unnamed:
        found = pa.concat_tables([rows.slice(0, unnamed), found])
    ranks = pc.add(found["rank"].cast(pa.int64()), before).cast(pa.int32())
    return found.set_column(rows.column_names.index("rank"), detections.RAW.field("rank"), ranks)
