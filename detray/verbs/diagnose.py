"""The stage ``diagnose``: what is wrong with each weak class, and which boxes the detections contradict.

In steps of parallel tasks: *look* matches each shard and keeps its rows, by class, in scratch;
*mapping* searches a sample of images for faults of ids and formats, and where there are some the
shards are looked at again with these repaired; *classes* judges the causes class by class. Where
detections come from a file, those that the evaluation leaves out are looked at too: negative sizes
and unknown images are what tells of wrong formats and ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.diagnose.api import cases_of, is_weak, weak_classes
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import MAPPING, number
from detray.diagnose.evidence.counts import ClassCounts
from detray.diagnose.evidence.inputs import Inputs
from detray.diagnose.evidence.observe import Observation
from detray.diagnose.evidence.shapes import Shapes
from detray.diagnose.label_errors import label_errors
from detray.diagnose.mapping.label_map import label_map_of, miscounted
from detray.diagnose.mapping.repairs import MappingFaults, MappingRepairs
from detray.diagnose.rank import ranked, rows_of
from detray.formats.label_map import read_category_map, write_label_map
from detray.store import Json, ShardKey, Stage
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config
from detray.verbs.diagnose_look import GIVEN, look_at_all, rows_of_classes
from detray.verbs.diagnose_mapping import find_faults
from detray.verbs.diagnose_outside import lost_rows, outside_of
from detray.verbs.diagnose_sources import Part, Source, Work, read_file
from detray.verbs.precomputed import names_of

CLASSES_A_TASK = 16
MAX_CLASSES_SHOWN = 40
MANY = 10
"""Classes that share a fault of their file from which the summary has one row for all."""
OF_FILES = tuple(cause.name for cause in CAUSES if cause.group == MAPPING)
NAMED_BY = ["image_id", "annotation_row"]
"""What names an annotation where several source files number theirs alike."""
UNSEEN = ("nan-score", "not-finite-box", "unreadable-row", "score-out-of-range")
"""Reasons for which a row of a file of detections says nothing; others tell of wrong formats and ids."""


@dataclass(frozen=True)
class Judging:
    """Some classes, by rising id, and the shards that hold their rows as given and repaired."""

    name: str
    classes: tuple[int, ...]
    given: tuple[str, ...]
    repaired: tuple[str, ...]
    keys: tuple[ShardKey, ...]


@dataclass(frozen=True)
class Known:
    """What all classes of a split share."""

    given: ClassCounts
    repaired: ClassCounts
    faults: MappingFaults
    outside: Inputs


def judge(work: Work, known: Known, task: Judging) -> Json:
    """Write the diagnoses and the label errors of some classes."""
    names = work.names()
    weak = [k for k in task.classes if k in set(work.weak)]
    given = Observation(*rows_of_classes(work, task.given, task.classes), known.given)
    repaired = Observation(*rows_of_classes(work, task.repaired, task.classes), known.repaired)
    cases = cases_of(given, repaired, known.faults, names, weak, known.outside)
    marks = {"split": work.split, "model": work.model}
    judged = [(case, ranked(case)) for case in cases]
    rows = [
        marks | {"is_weak": is_weak(case.given.ap, case.given.ap50, work.settings)} | row
        for case, found in judged
        for row in rows_of(case, found)
    ]
    suspects = label_errors(
        repaired.boxes, repaired.detections, known.repaired, names, run=work.run, split=work.split, model=work.model
    )
    written = {
        "diagnoses": schema.from_rows("diagnoses", rows, run=work.run),
        "label_errors": _with_files(work, suspects, task.keys),
    }
    shown = [
        [row["category_name"], row["ap"], row["ap50"], row["rank"], row["cause"], row["d_ap"], row["sentence"]]
        for row in rows
    ]
    return work.stage.write(task.name, written, {"shown": shown, "suspects": _suspects(suspects)})


def _suspects(found: pa.Table) -> list[int]:
    """How many label errors are suspected, and how many of them are likelier than not."""
    return [found.num_rows, pc.sum(pc.greater_equal(found["score"], 0.5)).as_py() or 0]


def _with_files(work: Work, suspects: pa.Table, keys: Sequence[ShardKey]) -> pa.Table:
    """The suspects with the file names of their images, and the source files of their annotations."""
    ids = pc.unique(suspects["image_id"])
    if not len(ids):
        return suspects

    def read(table: str, columns: Sequence[str]) -> pa.Table:
        parts = (work.stage.store.read_range(table, key, columns) for key in keys)
        return pa.concat_tables([part.filter(pc.is_in(part["image_id"], value_set=ids)) for part in parts])

    named = suspects.select(NAMED_BY).append_column("place", pa.array(range(suspects.num_rows)))
    sources = (
        read("annotations", (*NAMED_BY, "source_file"))
        .group_by(NAMED_BY)
        .aggregate([("source_file", "min"), ("source_file", "max")])
    )
    pairs = named.join(sources, NAMED_BY).sort_by("place")
    is_one = pc.equal(pairs["source_file_min"], pairs["source_file_max"])
    columns = {
        "file_name": tables.lookup(
            suspects["image_id"], read("images", ("image_id", "file_name")), "image_id", "file_name"
        ),
        "source_file": pc.if_else(is_one, pairs["source_file_min"], None),
    }
    for name, values in columns.items():
        suspects = suspects.set_column(suspects.column_names.index(name), suspects.schema.field(name), values)
    return suspects


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Diagnose the weak classes of the splits of ``predict.splits``."""
    outcome = Old([])
    raw: tuple[Part, ...] | None = None
    if _is_left_out(context):
        path, split = context.config.detector.path or "", context.config.predict.splits[0]
        classes = read_category_map(context.config.predict.category_map, names_of(context.store, split))
        receipts, raw = read_file(context, stage, done, path, split, "detections", classes)
        outcome.receipts += receipts
        outcome.notes += _unseen(context)
    for place, split in enumerate(context.config.predict.splits):
        _diagnose_split(context, stage, done, outcome, f"s{place:03d}", split, raw)
    return outcome


def _is_left_out(context: Context) -> bool:
    """Whether the evaluation lacks detections of the file that they come from."""
    manifest = context.store.manifest("predict") or {}
    return context.config.detector.is_precomputed and manifest.get("counts", {}).get("quarantined", 0) > 0


def _unseen(context: Context) -> list[str]:
    """What to say of rows of the file that no cause can look at: those without a box, a score or an id."""
    facts = (context.store.manifest("predict") or {}).get("facts", {})
    rows = {reason: n for reason, n in facts.get("left_out", {}).items() if reason in UNSEEN}
    listed = ", ".join(f"{reason} {n:,}" for reason, n in rows.items())
    return [f"detections that no cause can look at, as if they were not there: {listed}"] if rows else []


def _diagnose_split(
    context: Context,
    stage: Stage,
    done: dict[str, bytes],
    outcome: Old,
    prefix: str,
    split: str,
    raw: tuple[Part, ...] | None,
) -> None:
    store = context.store
    metrics = _class_metrics(context)
    work = _work(context, stage, split, prefix, metrics)
    keys = store.shards([split])
    if not keys:
        return
    source = Source(work, raw)
    receipts, given = look_at_all(context, work, keys, done, GIVEN, source, MappingRepairs())
    outcome.receipts += receipts
    shapes = Shapes()
    for receipt in receipts:
        shapes.add(Shapes.from_json(receipt["facts"]["shapes"]))
    names = tuple(receipt["shard"] for receipt in receipts)

    found, outside = outside_of(context, work, done, metrics, shapes)
    outcome.receipts += found
    outcome.notes += lost_rows(found)
    faults, last, repaired = find_faults(
        context, work, keys, done, outcome, source, receipts, given, outside.class_lists
    )
    classes = sorted({*work.weak, *repaired.boxes, *repaired.detections})
    groups = [tuple(classes[start : start + CLASSES_A_TASK]) for start in range(0, len(classes), CLASSES_A_TASK)]
    tasks = {
        name: Judging(name, group, names, last, tuple(keys))
        for place, group in enumerate(groups)
        for name in [f"{prefix}-classes-{place:05d}"]
    }
    known = Known(given, repaired, faults, outside)
    judged = context.run_tasks("classes", partial(judge, work, known), tasks, done)
    outcome.receipts += judged
    shown = [row for receipt in judged for row in receipt["facts"]["shown"]]
    suspects, likely = (sum(receipt["facts"]["suspects"][place] for receipt in judged) for place in (0, 1))
    outcome.counts["in"] = outcome.counts.get("in", 0) + sum(given.detections.values())
    outcome.facts[split] = {"weak": len(work.weak), "diagnoses": len(shown), "label_errors": suspects}
    outcome.summary.append(_summary(split, shown))
    outcome.notes.append(
        f"{split}: {number(len(work.weak), 'class', 'classes')} diagnosed,"
        f" {number(suspects, 'label', 'labels')} suspected, {likely} of them likelier wrong than right"
    )
    outcome.notes += [f"{split}: {words}" for words in miscounted(given.detections, work.names(), outside.class_lists)]
    if faults.labels is not None:
        meant = label_map_of(faults.labels, work.names())
        name = "label_map.pbtxt" if len(context.config.predict.splits) == 1 else f"label_map_{split}.pbtxt"
        context.store.write_bytes(write_label_map(meant).encode(), stage.name, name)
        outcome.notes.append(
            f"{split}: what the detections' class ids mean stands in remedy_config and in {stage.name}/{name}"
        )


def _class_metrics(context: Context) -> pa.Table:
    """AP of every class and split; no row where nothing could be evaluated."""
    columns = ("split", "category_id", "n_ground_truth", "ap", "ap50", "best_f1_threshold")
    is_evaluated = context.store.manifest("evaluate") is not None
    predicted = sum(part["rows"] for part in context.store.files("predictions", "predict"))
    if not is_evaluated or not predicted:
        return schema.empty("class_metrics").select(columns)
    return context.store.read("class_metrics", columns=columns, filters=[("area_range", "=", "all")])


def _work(context: Context, stage: Stage, split: str, prefix: str, metrics: pa.Table) -> Work:
    store, config = context.store, context.config
    facts = (store.manifest("predict") or {}).get("facts", {})
    model = facts.get("model", "detections")
    work = Work(stage, config.name, model, config.diagnose, split, prefix, (), {})
    own = metrics.filter(pc.equal(metrics["split"], split)).to_pylist()
    aps = {row["category_id"]: (row["ap"], row["ap50"]) for row in own if row["n_ground_truth"]}
    weak = weak_classes(aps, work.names(), config.diagnose)
    floors = {
        row["category_id"]: row["best_f1_threshold"]
        for row in own
        if row["category_id"] not in weak and row["best_f1_threshold"] is not None
    }
    return replace(work, weak=tuple(weak), floors=floors)


def _summary(split: str, shown: Sequence[list[Any]]) -> Table:
    """The first two causes of each class; a fault of a whole file, which many classes share, in one row."""
    first = {cause: [row for row in shown if row[3] == 1 and row[4] == cause] for cause in OF_FILES}
    shared = {cause: rows for cause, rows in first.items() if len(rows) >= MANY}
    left, is_told = [], False
    for row in shown:  # class by class, and two classes may share a name
        is_told = row[4] in shared if row[3] == 1 else is_told
        if row[3] <= 2 and not is_told:
            left.append(row)
    top = sorted(left, key=lambda row: (row[1] is None, row[1], row[0] or "", row[3]))
    rows = [_in_one(found) for found in shared.values()] + top[: 2 * MAX_CLASSES_SHOWN]
    return Table(
        f"Diagnoses of {split}",
        ("class", "AP", "AP50", "rank", "cause", "AP regained", "why"),
        [[name, ap, ap50, rank, cause, d_ap, sentence] for name, ap, ap50, rank, cause, d_ap, sentence in rows],
    )


def _in_one(rows: Sequence[list[Any]]) -> list[Any]:
    """One row for many classes of one cause: means, and what is said of the class that loses most."""
    ap, ap50, d_ap = (_mean([row[place] for row in rows]) for place in (1, 2, 5))
    worst = max(rows, key=lambda row: row[5] or 0.0)
    return [f"{len(rows)} classes", ap, ap50, 1, worst[4], d_ap, worst[6]]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _inputs(config: Config) -> tuple[str, ...]:
    stated = (config.diagnose.train_detections, config.diagnose.base_detections)
    return tuple(path for path in stated if path is not None)


STAGE = StageDefinition(
    name="diagnose",
    tables=("diagnoses", "label_errors"),
    sections=("diagnose", "predict", "detector"),
    old=run,
    needs=lambda config: ("ingest", "predict"),
    tries=("evaluate",),
    uses=("audit",),
    inputs=_inputs,
)
