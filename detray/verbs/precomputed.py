"""Detections from another tool's file: read by byte range, put in the order of the images, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.flow.pieces import Piece
from detray.formats.detections import check, ids
from detray.formats.detections import rows as raw_rows
from detray.formats.json.rows import WrongCut
from detray.store import Json, ShardKey, Stage, Store
from detray.tables import class_names, own_classes
from detray.verbs.base import Context, Table

_LONG = re.compile(r"(\.\d\d)\d+")
"""More decimals than a summary shows."""


@dataclass(frozen=True)
class Reading:
    """The task that reads one part of the file into scratch, sorted by image."""

    name: str
    part: raw_rows.Part


@dataclass(frozen=True)
class Checking:
    """The task that checks the detections of some images. ``parts``: scratch that may hold some,
    each with how many rows of the file stand before it; ``unnamed``: also the rows without an image."""

    piece: Piece
    parts: tuple[tuple[str, int], ...]
    unnamed: bool


@dataclass(frozen=True)
class Account:
    """What became of the rows of a file of detections. ``counts`` as in `Old`; ``placed`` rows name an
    image of the data set, ``named`` ones by its file name; ``left_out`` are the rows of `tables`."""

    counts: dict[str, int]
    placed: int
    named: int
    left_out: list[list[Any]]

    @staticmethod
    def of(readings: list[Json], checks: list[Json]) -> "Account":
        """From the receipts of `read_file` and the facts of `checked` for all shards."""
        read, kept, placed = (sum(facts[name] for facts in checks) for name in ("in", "kept", "placed"))
        named = sum(receipt["facts"].get("named", 0) for receipt in readings)
        return Account({"in": read, "kept": kept, "quarantined": read - kept}, placed, named, _left_out(checks))

    def tables(self, title: str) -> list[Table]:
        """Why rows were left out; no table where none was."""
        return [Table(title, ("reason", "rows", "why", "first"), self.left_out)] if self.left_out else []

    def notes(self) -> list[str]:
        """What else there is to say of the rows."""
        return [f"{self.named:,} detections name their image by its file name"] if self.named else []


def _left_out(checks: list[Json]) -> list[list[Any]]:
    """Why rows were left out: reason, how many, what it means, and the first in the file."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for facts in checks:
        for reason, n, row, detail in facts["left_out"]:
            found.setdefault(reason, []).append((row, n, detail))
    rows = []
    for reason, words in check.REASONS.items():
        if reason in found:
            row, _, detail = min(found[reason])
            first = f"row {row}: " + _LONG.sub(r"\1", detail)
            rows.append([reason, sum(n for _, n, _ in found[reason]), words, first])
    return rows


def read_file(
    context: Context, stage: Stage, done: dict[str, bytes], path: str, split: str, prefix: str = ""
) -> list[Json]:
    """Keep a file of detections as scratch; the receipts of its parts, in the order of the file.

    Images of ``split`` may be named by their file names instead of ids. ``prefix`` starts the names of the
    shards, where a stage reads several files.
    """
    readings = _read(context, stage, done, path, f"{prefix}read", exact=False)
    if any(receipt["facts"]["is_wrong_cut"] for receipt in readings):
        readings = _read(context, stage, done, path, f"{prefix}read-exactly", exact=True)
    texts = [receipt["shard"] for receipt in readings if receipt["facts"]["texts"]]
    if not texts:
        return readings
    listing = f"{prefix}file-names"
    context.run_tasks("list file names", partial(list_names, stage, split), {listing: listing}, done)
    tasks = {f"{name}-named": name for name in texts}
    named = context.run_tasks("look file names up", partial(name_images, stage, listing), tasks, done)
    found = dict(zip(tasks.values(), named, strict=True))
    return [found.get(receipt["shard"], receipt) for receipt in readings]


def _read(context: Context, stage: Stage, done: dict[str, bytes], path: str, prefix: str, *, exact: bool) -> list[Json]:
    names = {f"{prefix}-{number:06d}": part for number, part in enumerate(raw_rows.plan(path, exact=exact))}
    tasks = {name: Reading(name, part) for name, part in names.items()}
    return context.run_tasks("read detections", partial(read_part, stage), tasks, done)


def read_part(stage: Stage, task: Reading) -> Json:
    """Keep a part's rows as scratch, stably sorted by image, those without an image first."""
    try:
        rows = raw_rows.read(task.part)
    except WrongCut:
        return stage.write(task.name, {}, {"is_wrong_cut": True})
    texts = len(rows) - ids.image_texts(rows).null_count if rows["image_id"].null_count else 0
    return _keep(stage, task.name, rows, {"texts": texts})


def list_names(stage: Stage, split: str, name: str) -> Json:
    """Keep the file names of a split's images as scratch."""
    filters = [("split", "=", split)]
    images = stage.store.read("images", columns=["image_id", "file_name"], filters=filters)
    stage.write_scratch(name, ids.image_names(images))
    return stage.write(name, {})


def name_images(stage: Stage, listing: str, part: str) -> Json:
    """Keep a part once more, with the ids of the images that its rows name by file names."""
    given = stage.read_scratch(part)
    rows = ids.with_image_names(given, stage.read_scratch(listing))
    return _keep(stage, f"{part}-named", rows, {"named": given["image_id"].null_count - rows["image_id"].null_count})


def _keep(stage: Stage, name: str, rows: pa.Table, facts: Json) -> Json:
    order = pc.sort_indices(rows, [("image_id", "ascending", "at_start"), ("rank", "ascending")])
    stage.write_scratch(name, rows.take(order))
    ends = pc.min_max(rows["image_id"])
    facts |= {
        "is_wrong_cut": False,
        "rows": rows.num_rows,
        "unnamed": rows["image_id"].null_count,
        "low": ends["min"].as_py(),
        "high": ends["max"].as_py(),
    }
    return stage.write(name, {}, facts)


def checking(readings: list[Json], piece: Piece, *, unnamed: bool) -> Checking:
    """The task for the images of ``piece``, with the parts of `read_file` that may hold some."""
    parts, before, key = [], 0, piece.shard
    for receipt in readings:
        facts = receipt["facts"]
        is_near = facts["low"] is not None and (
            (key.low is None or facts["high"] >= key.low) and (key.high is None or facts["low"] < key.high)
        )
        if is_near or (unnamed and facts["unnamed"]):
            parts.append((receipt["shard"], before))
        before += facts["rows"]
    return Checking(piece, tuple(parts), unnamed)


def names_of(store: Store, split: str) -> dict[int, str]:
    """The classes of a split by id."""
    return class_names(own_classes(store.read("categories", filters=[("split", "=", split)])))


def checked(
    stage: Stage, run: str, model: str, task: Checking, classes: Mapping[int, int] = MappingProxyType({})
) -> tuple[pa.Table, pa.Table, Json]:
    """The predictions of a piece's images, what is left out, and the facts for `Account`; ``classes`` as in
    `ids.with_classes`."""
    store, key = stage.store, task.piece.key(stage.store)
    raw = pa.concat_tables(
        [_slice(stage, name, before, key, unnamed=task.unnamed) for name, before in task.parts]
        or [raw_rows.RAW.empty_table()]
    )
    raw = ids.with_classes(raw, classes)
    raw = raw.take(pc.sort_indices(raw, [("image_id", "ascending"), ("rank", "ascending")]))
    images = store.read_range("images", key, ("image_id", "file_name"))
    predictions, quarantine = check.validate(
        raw,
        images,
        store.read("categories", filters=[("split", "=", key.split)]),
        run=run,
        model=model,
        split=key.split,
        stage=stage.name,
    )
    placed = predictions.num_rows
    if raw.num_rows and not placed:  # detections that cannot be scored may name images all the same
        known = pc.unique(images["image_id"]).drop_null()
        placed = pc.sum(pc.is_in(raw["image_id"], value_set=known)).as_py()
    left_out = [(k, v.rows, v.row, v.detail) for k, v in check.left_out(quarantine).items()]
    facts = {"in": raw.num_rows, "kept": predictions.num_rows, "placed": placed, "left_out": left_out}
    return predictions, quarantine, facts


def _slice(stage: Stage, name: str, before: int, key: ShardKey, *, unnamed: bool) -> pa.Table:
    """The rows of one scratch table about the images of ``key``, ranked through the whole file."""
    rows = stage.read_scratch(name)
    first = rows["image_id"].null_count
    ids = rows["image_id"].slice(first).to_numpy()
    low = 0 if key.low is None else int(np.searchsorted(ids, key.low))
    high = len(ids) if key.high is None else int(np.searchsorted(ids, key.high))
    found = rows.slice(first + low, high - low)
    if unnamed:
        found = pa.concat_tables([rows.slice(0, first), found])
    ranks = pc.add(found["rank"].cast(pa.int64()), before).cast(pa.int32())
    return found.set_column(rows.column_names.index("rank"), raw_rows.RAW.field("rank"), ranks)
