"""The tasks of the stage evaluate: plain functions that write their own shards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.errors import DetrayError
from detray.evaluate import images
from detray.evaluate.classes import ClassRows
from detray.evaluate.comparisons import comparison_table, mean_gain
from detray.evaluate.matching import SCRATCH, ShardMatches, match_shard
from detray.evaluate.metrics import Names, class_numbers, class_tables
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.slice_columns import Slice, survey
from detray.evaluate.slices import slice_table
from detray.evaluate.summary import confusion_table, summary_metrics
from detray.flow.pieces import Piece
from detray.store import Json, ShardKey, Stage, Store
from detray.verbs.evaluate_summary import MAX_IMAGES_SHOWN, WORST, of_classes
from detray.verbs.precomputed import Checking, checked

REDUCED = ("detections", "boxes", "repairs")
SLICED = ("sliced_detections", "sliced_boxes")
BY_CLASS = (*REDUCED, *SLICED)
"""Scratch tables that are sorted by class."""
BATCH_ROWS = 4096
"""Their rows that are read in one go."""
MATCH, OTHER = "match", "other"
"""What the names of shards and scratch begin with: matches of the model's detections, and of the other's."""


@dataclass(frozen=True)
class Other:
    """The other model: its name, and the folder of its run; None where its detections are a file's."""

    model: str
    folder: str | None


@dataclass(frozen=True)
class Work:
    """What every task needs; it crosses processes."""

    stage: Stage
    run: str
    model: str
    settings: EvaluateSettings
    slices: tuple[Slice, ...]
    other: Other | None

    def names(self, split: str) -> Names:
        categories = self.stage.store.read("categories", filters=[("split", "=", split)])
        return Names(self.run, split, self.model, tables.class_names(categories))


@dataclass(frozen=True)
class Group:
    """Some classes of a split, by rising id, and the pieces that hold the rows of either model."""

    name: str
    split: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    other_pieces: tuple[str, ...]


@dataclass(frozen=True)
class Counting:
    """Images to be counted, and the groups that hold their split's classes."""

    piece: Piece
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """Counted images, and the rank of the first with each number of errors."""

    split: str
    counted: str
    first: images.Histogram


@dataclass(frozen=True)
class Whole:
    """A split: all its pieces and groups of classes."""

    name: str
    split: str
    pieces: tuple[str, ...]
    groups: tuple[str, ...]


def look_for_slices(stage: Stage, names: tuple[str, ...], key: ShardKey) -> Json:
    """What a shard tells of the columns that slice."""
    images, annotations = (stage.store.read_range(table, key) for table in ("images", "annotations"))
    return stage.write(f"columns-{key.name}", {}, {"survey": survey(images, annotations, names)})


def match(work: Work, piece: Piece) -> Json:
    """Match the detections of a piece: the match table, and scratch for the steps that follow."""
    store = work.stage.store
    shard = replace(piece.read(store), predictions=store.read_range("predictions", piece.key(store)))
    found = match_shard(shard, work.settings, work.slices, run=work.run, model=work.model)
    return _keep(work.stage, MATCH, piece, found, SCRATCH, {"matches": found.matches})


def match_other(work: Work, other: Other, task: tuple[Piece, Checking | None]) -> Json:
    """Match the other model's detections of a piece: scratch, and rows of a file that are left out."""
    piece, checking = task
    stage, written, account = work.stage, {}, None
    if checking is None:
        predictions = Store(str(other.folder)).read_range("predictions", piece.key(stage.store))
    else:
        predictions, written["quarantine"], account = checked(stage, work.run, other.model, checking)
    shard = replace(piece.read(stage.store), predictions=predictions)
    found = match_shard(shard, work.settings, run=work.run, model=other.model)
    return _keep(stage, OTHER, piece, found, REDUCED, written, account)


def _keep(
    stage: Stage,
    step: str,
    piece: Piece,
    found: ShardMatches,
    parts: Sequence[str],
    written: Mapping[str, pa.Table],
    account: Json | None = None,
) -> Json:
    """Write tables, keep ``parts`` of the matches as scratch, and say how many rows of each class these have."""
    for name in parts:
        stage.write_scratch(f"{step}-{name}/{piece.name}", getattr(found, name), batch_rows=BATCH_ROWS)
    columns = {name: tables.numpy(getattr(found, name), "category_id") for name in BY_CLASS}
    ids = np.union1d(columns["detections"], columns["boxes"])
    held = {
        name: (np.searchsorted(column, ids, side="right") - np.searchsorted(column, ids)).tolist()
        for name, column in columns.items()
    }
    facts = {
        "split": piece.shard.split,
        "piece": piece.name,
        "ids": ids.tolist(),
        "held": held,
        "detections": found.detections.num_rows,
        "left_out": found.left_out,
        "account": account,
    }
    return stage.write(f"{step}-{piece.name}", written, facts)


def reduce(work: Work, group: Group) -> Json:
    """The tables about some classes, from the rows of all pieces."""
    ids, names = np.array(group.ids, np.int64), work.names(group.split)
    rows = ClassRows.of(ids, **_of_group(work.stage, group.ids, MATCH, group.pieces, REDUCED))
    found = class_tables(rows, names, work.settings)
    work.stage.write_scratch(f"numbers/{group.name}", found.numbers)
    work.stage.write_scratch(f"metrics/{group.name}", found.class_metrics)
    sliced = _of_group(work.stage, group.ids, MATCH, group.pieces, SLICED)
    written = {
        "class_metrics": found.class_metrics,
        "pr_curves": found.pr_curves,
        "errors": found.errors,
        "slices": slice_table(sliced["sliced_detections"], sliced["sliced_boxes"], names),
    }
    if work.other is not None:
        others = ClassRows.of(ids, **_of_group(work.stage, group.ids, OTHER, group.other_pieces, REDUCED))
        numbers = class_numbers(others, work.settings)
        work.stage.write_scratch(f"other-numbers/{group.name}", numbers)
        written["comparisons"] = comparison_table(found.numbers, numbers, names, work.other.model)
    compared = written.get("comparisons", schema.empty("comparisons"))
    shown = of_classes(found.class_metrics, found.errors, written["slices"], compared)
    return work.stage.write(group.name, written, {"split": group.split, "n_classes": len(ids)} | shown)


def _of_group(
    stage: Stage, ids: Sequence[int], step: str, pieces: Sequence[str], parts: Sequence[str]
) -> dict[str, pa.Table]:
    """The rows of the classes ``ids`` of scratch tables that are sorted by class; no others are read."""
    found: dict[str, list[pa.Table]] = {part: [] for part in parts}
    for piece in pieces:
        receipt = stage.receipt(f"{step}-{piece}")
        if receipt is None:
            raise DetrayError(f"{stage.name}: the receipt of {step}-{piece} is gone; run the stage again")
        facts = json.loads(receipt)["facts"]
        first, last = np.searchsorted(facts["ids"], ids[0]), np.searchsorted(facts["ids"], ids[-1], side="right")
        for part in parts:
            ends = np.cumsum([0, *facts["held"][part]])
            low, high = int(ends[first]), int(ends[last])
            batches = range(low // BATCH_ROWS, -(-high // BATCH_ROWS)) if high > low else ()
            rows = stage.read_scratch(f"{step}-{part}/{piece}", batches=batches)
            found[part].append(rows.slice(low % BATCH_ROWS, high - low))
    return {part: pa.concat_tables(rows) for part, rows in found.items()}


def count(work: Work, task: Counting) -> Json:
    """Count the errors of images at the scores found for the classes."""
    piece, stage = task.piece, work.stage
    split = piece.shard.split
    found, histogram = images.image_rows(
        stage.store.read_range("images", piece.key(stage.store), ("image_id", "file_name")),
        work.names(split),
        stage.read_scratch(f"{MATCH}-detections/{piece.name}"),
        stage.read_scratch(f"{MATCH}-boxes/{piece.name}"),
        pa.concat_tables([stage.read_scratch(f"metrics/{name}") for name in task.groups]),
    )
    name = f"images-{piece.name}"
    stage.write_scratch(name, found)
    return stage.write(name, {}, {"split": split, "histogram": sorted(histogram.items())})


def rank(work: Work, task: Ranking) -> Json:
    """Write counted images with their ranks in the split."""
    rows = images.ranked(work.stage.read_scratch(task.counted), task.first)
    worst = rows.filter(pc.less_equal(rows["rank"], MAX_IMAGES_SHOWN)).select(WORST).to_pylist()
    return work.stage.write(f"ranks-{task.counted}", {"image_metrics": rows}, {"split": task.split, "worst": worst})


def summarise(work: Work, whole: Whole) -> Json:
    """Put a split together; the receipt holds what the verb's summary shows."""
    names, stage = work.names(whole.split), work.stage

    def of_groups(prefix: str) -> pa.Table:
        return pa.concat_tables([stage.read_scratch(f"{prefix}/{name}") for name in whole.groups])

    confusion = [stage.read_scratch(f"{MATCH}-confusion/{name}") for name in whole.pieces]
    found = summary_metrics(of_groups("numbers"), names)
    values, gain = [(work.model, _values(found))], None
    if work.other is not None:
        other_numbers = of_groups("other-numbers")
        values.append((work.other.model, _values(summary_metrics(other_numbers, names))))
        gain = mean_gain(of_groups("numbers"), other_numbers)
    facts = {"split": whole.split, "values": values, "gain": gain}
    written = {"summary_metrics": found, "confusion": confusion_table(confusion, names, work.settings)}
    return stage.write(whole.name, written, facts)


def _values(summary: pa.Table) -> Json:
    return dict(zip(summary["metric"].to_pylist(), summary["value"].to_pylist(), strict=True))
