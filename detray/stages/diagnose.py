"""The stage ``diagnose``: what is wrong with each weak class, and which boxes the detections contradict.

In steps of parallel tasks: *look* matches each shard and keeps its rows, by class, in scratch;
*mapping* searches a sample of images for faults of ids and formats, and where there are some the
shards are looked at again with these repaired; *classes* judges the causes class by class. Where
detections come from a file, those that the evaluation leaves out are looked at too: negative sizes
and unknown images are what tells of wrong formats and ids.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.diagnose.api import cases_of, count_findings, own_names, read_listing, weak_classes
from detray.diagnose.causes import noisy_boxes, train_eval_shift
from detray.diagnose.columns import from_arrow, join, take, to_arrow
from detray.diagnose.evidence import View
from detray.diagnose.faults import find_split_faults
from detray.diagnose.label_errors import label_errors
from detray.diagnose.label_map import find_remaps
from detray.diagnose.mapping import reading_of_class
from detray.diagnose.observe import Boxes, Found, Observation, Tally, observe
from detray.diagnose.pairing import SAMPLE_IMAGES, Named, Pairing, sample_images, spread
from detray.diagnose.rank import ranked, rows_of
from detray.diagnose.repairs import Faults, Repairs
from detray.diagnose.scene import Images, Scene, read_detections, read_scene, sort_detections
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.thresholds import RECALL_RAISE
from detray.diagnose.training import Outside, Shapes, Training, box_shapes
from detray.evaluate.accumulate import average_precision
from detray.evaluate.kernel import Detections, GroundTruth, Ints, match
from detray.formats import detections
from detray.formats.json_rows import WrongCut
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.stages.base import Context, Outcome, StageDefinition, Table
from detray.stages.config import Config
from detray.store import Json, ShardKey, Stage

CLASSES_A_TASK = 16
MAX_CLASSES_SHOWN = 40

GIVEN = "given"


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
        return _joined([part.of(self.work.stage, key.low, key.high) for part in near])

    def naming(self, images: Ints) -> Detections:
        """The detections that name some images."""
        found = [take(rows, np.isin(rows.image, images)) for rows in self.all()]
        return _joined(found)

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


def _joined(parts: Sequence[Detections]) -> Detections:
    if not parts:
        return read_detections(schema.empty("predictions"))
    return sort_detections(join(parts))


# reading detections as written


def read_part(stage: Stage, task: tuple[str, int, detections.Part]) -> Json:
    """Keep the rows of a part of a detections file that have a score, an image, a class and a finite box."""
    name, number, part = task
    try:
        rows = detections.read(part)
    except WrongCut:
        return stage.write(name, {}, {"is_wrong_cut": True})
    rows = rows.filter(pc.and_(pc.greater_equal(rows["score"], 0.0), pc.less_equal(rows["score"], 1.0)))
    found = read_detections(rows)
    found = replace(found, rank=found.rank + (number << 32))
    return stage.write(name, {}, {"is_wrong_cut": False, **_keep_part(stage, name, found)})


def _keep_part(stage: Stage, name: str, found: Detections) -> Json:
    stage.write_scratch(name, to_arrow(found))
    ends = (int(found.image[0]), int(found.image[-1])) if len(found) else (0, -1)
    return {"name": name, "low": ends[0], "high": ends[1]}


def _parts(receipts: Sequence[Json]) -> tuple[Part, ...]:
    facts = [receipt["facts"] for receipt in receipts]
    return tuple(Part(f["name"], f["low"], f["high"]) for f in facts if f["low"] <= f["high"])


def read_file(
    context: Context, stage: Stage, done: dict[str, Json], path: str, prefix: str
) -> tuple[list[Json], tuple[Part, ...]]:
    """All parts of a detections file, in scratch; and their receipts."""
    receipts: list[Json] = []
    for kind, exact in (("read", False), ("read-exactly", True)):
        tasks = {
            name: (name, number, part)
            for number, part in enumerate(detections.plan(path, exact=exact))
            for name in [f"{prefix}-{kind}-{number:06d}"]
        }
        receipts = context.run_tasks("read detections", partial(read_part, stage), tasks, done)
        if not any(receipt["facts"]["is_wrong_cut"] for receipt in receipts):
            break
    return receipts, _parts(receipts)


# looking at shards


@dataclass(frozen=True)
class Look:
    """A shard, to be looked at with some faults repaired."""

    key: ShardKey
    round: str
    source: Source
    repairs: Repairs


def _shard_name(work: Work, round: str, key: ShardKey) -> str:
    return f"{work.prefix}-look-{round}-{key.name}"


def read_shard(work: Work, key: ShardKey, source: Source) -> Scene:
    """The scene of a shard."""
    shard = work.stage.store.read_shard(key, columns={"images": IMAGE_COLUMNS, "annotations": BOX_COLUMNS})
    scene = read_scene(shard.images, shard.annotations, schema.empty("predictions"))
    found = source.of(key)
    return replace(scene, dt=take(found, np.isin(found.image, scene.images.id)))


def look(work: Work, task: Look) -> Json:
    """Observe a shard; its rows go to scratch by class, its counts into the receipt."""
    scene = task.repairs.apply(read_shard(work, task.key, task.source))
    seen = observe(scene, np.array(work.weak, np.int64), floors=work.floors)
    name = _shard_name(work, task.round, task.key)
    for kind, rows in (("boxes", seen.boxes), ("found", seen.found)):
        order = np.argsort(rows.category, kind="stable")
        work.stage.write_scratch(f"{name}-{kind}", to_arrow(take(rows, order)))
    facts: Json = {"tally": seen.tally.to_json()}
    if task.round == GIVEN:
        facts |= {"sample": _sampled(scene, seen.boxes), "shapes": box_shapes(scene).to_json()}
    return work.stage.write(name, {}, facts)


def _sampled(scene: Scene, boxes: Boxes) -> list[list[int]]:
    """Of the shard's images that a sample may take: id, boxes, and boxes that something hits."""
    images = sample_images(scene.gt)
    hit = boxes.detection != -1
    hit = (hit & (boxes.iou >= 0.5)) | (boxes.cover_category != -1)
    return [[int(k), int((boxes.image == k).sum()), int(hit[boxes.image == k].sum())] for k in images]


def look_at_all(
    context: Context,
    work: Work,
    keys: Sequence[ShardKey],
    done: dict[str, Json],
    round: str,
    source: Source,
    repairs: Repairs,
) -> tuple[list[Json], Tally]:
    """One round over all shards of the split: receipts, and all counts."""
    tasks = {_shard_name(work, round, key): Look(key, round, source, repairs) for key in keys}
    receipts = context.run_tasks("look", partial(look, work), tasks, done)
    tally = Tally()
    for receipt in receipts:
        tally.add(Tally.from_json(receipt["facts"]["tally"]))
    return receipts, tally


# faults of the mapping


@dataclass(frozen=True)
class MappingSearch:
    """The search for faults of a whole split on a sample of images."""

    name: str
    keys: tuple[ShardKey, ...]
    images: tuple[int, ...]
    source: Source


def search_mapping(work: Work, task: MappingSearch) -> Json:
    """The faults as JSON; how images are to be renamed goes to scratch."""
    images = np.array(task.images)
    sample = _sample(work, task, images)
    listing = read_listing(
        pa.concat_tables([work.stage.store.read_range("images", key, IMAGE_COLUMNS) for key in task.keys])
    )
    counts: Counter[int] = Counter()
    for part in task.source.all():
        counts.update(dict(zip(*(x.tolist() for x in np.unique(part.image, return_counts=True)), strict=True)))
    ids = np.array(sorted(counts), np.int64)
    named = Named(ids, np.array([counts[k] for k in ids.tolist()], np.int64))

    def boxes() -> Iterator[GroundTruth]:
        nothing = Source(work, ())
        return (read_shard(work, key, nothing).gt for key in task.keys)

    faults, pairing = find_split_faults(sample, listing, named, task.source.naming, boxes)
    if pairing is not None:
        renaming = pa.table({"source": pairing.source, "target": pairing.target})
        work.stage.write_scratch(f"{task.name}-pairing", renaming)
    return work.stage.write(task.name, {}, {"faults": faults.to_json(), "is_renamed": pairing is not None})


def _sample(work: Work, task: MappingSearch, images: Ints) -> Scene:
    own = [key for key in task.keys if any(_holds(key, k) for k in task.images)]
    scenes = [read_shard(work, key, Source(work, ())) for key in own]
    parts = [
        (take(scene.gt, rows), scene.annotation_id[rows], scene.annotation_row[rows])
        for scene in scenes
        for rows in [np.isin(scene.gt.image, images)]
    ]
    known = [take(scene.images, np.isin(scene.images.id, images)) for scene in scenes]
    return Scene(
        join(known) if known else Images(np.empty(0, np.int64), np.empty((0, 2))),
        join([gt for gt, _, _ in parts]),
        np.concatenate([ids for _, ids, _ in parts]),
        np.concatenate([rows for _, _, rows in parts]),
        task.source.naming(images),
    )


def _holds(key: ShardKey, image: int) -> bool:
    return (key.low is None or image >= key.low) and (key.high is None or image < key.high)


def rename_part(work: Work, task: tuple[str, str, Source, int]) -> Json:
    """Keep the detections of one part under the images that they mean."""
    name, mapping, source, number = task
    rows = work.stage.read_scratch(f"{mapping}-pairing")
    pairing = Pairing("", rows["source"].to_numpy(), rows["target"].to_numpy())
    found = next(part for place, part in enumerate(source.all()) if place == number)
    renamed = replace(found, image=pairing.rename(found.image))
    return work.stage.write(name, {}, _keep_part(work.stage, name, sort_detections(take(renamed, renamed.image >= 0))))


def search_class_readings(work: Work, task: tuple[str, tuple[int, ...], tuple[str, ...]]) -> Json:
    """Weak classes whose own boxes are in another format."""
    name, classes, shards = task
    seen = _rows(work, shards, classes)
    found = {}
    for category in classes:
        view = view_of(seen, category)
        fault = reading_of_class(view.boxes, view.found)
        if fault is not None:
            found[category] = fault
    return work.stage.write(name, {}, {"faults": Faults(class_readings=found).to_json()})


def _rows(work: Work, shards: Sequence[str], classes: Sequence[int]) -> tuple[Boxes, Found]:
    """The rows of some classes from all shards, in the order of images."""

    def read(kind: type[Any], name: str) -> Any:
        parts = []
        for shard in shards:
            rows = work.stage.read_scratch(f"{shard}-{name}")
            own = rows["category"].to_numpy()
            low, high = np.searchsorted(own, classes[0]), np.searchsorted(own, classes[-1], side="right")
            parts.append(from_arrow(kind, rows.slice(low, high - low)))
        whole = join(parts)
        return take(whole, np.lexsort((whole.rank if kind is Found else whole.annotation_row, whole.image)))

    return read(Boxes, "boxes"), read(Found, "found")


def view_of(rows: tuple[Boxes, Found], category: int) -> View:
    boxes, found = rows
    return View(take(boxes, boxes.category == category), take(found, found.category == category))


# classes


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

    given: Tally
    repaired: Tally
    faults: Faults
    outside: Outside


def judge(work: Work, known: Known, task: Judging) -> Json:
    """Write the diagnoses and the label errors of some classes."""
    names = work.names()
    weak = [k for k in task.classes if k in set(work.weak)]
    given = Observation(*_rows(work, task.given, task.classes), known.given)
    repaired = Observation(*_rows(work, task.repaired, task.classes), known.repaired)
    cases = cases_of(given, repaired, known.faults, names, weak, known.outside)
    marks = {"split": work.split, "model": work.model}
    judged = [(case, ranked(case)) for case in cases]
    rows = [marks | row for case, found in judged for row in rows_of(case, found)]
    suspects = label_errors(
        repaired.boxes, repaired.found, known.repaired, names, run=work.run, split=work.split, model=work.model
    )
    written = {
        "diagnoses": schema.from_rows("diagnoses", rows, run=work.run),
        "label_errors": _with_file_names(work, suspects, task.keys),
    }
    shown = [
        [row["category_name"], row["ap"], row["ap50"], row["rank"], row["cause"], row["d_ap"], row["sentence"]]
        for row in rows
    ]
    return work.stage.write(task.name, written, {"shown": shown, "suspects": suspects.num_rows})


def _with_file_names(work: Work, suspects: pa.Table, keys: Sequence[ShardKey]) -> pa.Table:
    ids = pc.unique(suspects["image_id"])
    parts = []
    for key in keys if len(ids) else ():
        images = work.stage.store.read_range("images", key, ("image_id", "file_name"))
        parts.append(images.filter(pc.is_in(images["image_id"], value_set=ids)))
    if not parts:
        return suspects
    images = pa.concat_tables(parts)
    place = suspects.column_names.index("file_name")
    found = tables.lookup(suspects["image_id"], images, "image_id", "file_name")
    return suspects.set_column(place, suspects.schema.field("file_name"), found)


# what is given beside the split


def count_training(work: Work, task: tuple[str, ShardKey]) -> Json:
    """The shapes of a training shard's boxes."""
    name, key = task
    return work.stage.write(name, {}, {"shapes": box_shapes(read_shard(work, key, Source(work, ()))).to_json()})


def match_others(work: Work, task: tuple[str, ShardKey, Source, dict[int, int]]) -> Json:
    """Match another model's detections in a shard; the rows of the classes in question go to scratch."""
    name, key, source, classes = task
    scene = read_shard(work, key, source)
    found = match(scene.gt, scene.dt)
    rows = np.flatnonzero(found.kept & np.isin(scene.dt.category, list(classes)))
    columns = {"category": scene.dt.category, "score": scene.dt.score, "image": scene.dt.image, "rank": scene.dt.rank}
    words = {"matched": found.matched[:, 0], "ignored": found.ignored[:, 0]}
    work.stage.write_scratch(name, pa.table({key: values[rows] for key, values in (columns | words).items()}))
    boxes = dict(
        zip(*(x.tolist() for x in np.unique(scene.gt.category[~scene.gt.crowd], return_counts=True)), strict=True)
    )
    return work.stage.write(name, {}, {"boxes": [[k, n] for k, n in boxes.items() if k in classes]})


def average_others(work: Work, task: tuple[str, tuple[str, ...], dict[int, int], dict[int, int]]) -> Json:
    """AP and AP50 of some classes from the shards that `match_others` kept."""
    name, shards, classes, n_boxes = task
    rows = pa.concat_tables([work.stage.read_scratch(shard) for shard in shards])
    columns = [rows[key].to_numpy() for key in ("category", "score", "image", "rank", "matched", "ignored")]
    aps = []
    for there, here in classes.items():
        n = n_boxes.get(there, 0)
        if n:
            own = columns[0] == there
            levels = average_precision(*(column[own] for column in columns[1:]), n)
            aps.append([here, float(levels.mean()), float(levels[0])])
    return work.stage.write(name, {}, {"aps": aps})


def other_aps(
    context: Context, work: Work, done: dict[str, Json], path: str, split: str, name: str
) -> tuple[list[Json], dict[int, tuple[float, float]]]:
    """AP and AP50, by weak class, of the detections of another file on a split."""
    there = replace(work, split=split)
    by_name = {label: k for k, label in sorted(there.names().items(), reverse=True)}
    classes = {by_name.get(label, k): k for k, label in work.names().items() if k in set(work.weak)}
    read, parts = read_file(context, work.stage, done, path, f"{work.prefix}-{name}")
    keys = context.store.shards([split])
    tasks = {
        label: (label, key, Source(there, parts), classes)
        for key in keys
        for label in [f"{work.prefix}-{name}-match-{key.name}"]
    }
    matched = context.run_tasks("match other detections", partial(match_others, there), tasks, done)
    n_boxes: Counter[int] = Counter()
    for receipt in matched:
        n_boxes.update(dict(receipt["facts"]["boxes"]))
    last = f"{work.prefix}-{name}-aps"
    averaged = context.run_tasks(
        "average other detections",
        partial(average_others, there),
        {last: (last, tuple(tasks), classes, dict(n_boxes))},
        done,
    )
    aps = {here: (ap, ap50) for here, ap, ap50 in averaged[0]["facts"]["aps"]}
    return [*read, *matched, *averaged], aps


def outside_of(
    context: Context, work: Work, done: dict[str, Json], metrics: pa.Table, shapes: Shapes
) -> tuple[list[Json], Outside]:
    """All that is given beside the split."""
    config, store = context.config, context.store
    receipts: list[Json] = []
    outside = Outside(shapes=shapes)
    train = "train" if "train" in config.dataset.splits and work.split != "train" else None
    if train is not None:
        there = replace(work, split=train)
        tasks = {name: (name, key) for key in store.shards([train]) for name in [f"{work.prefix}-training-{key.name}"]}
        counted = context.run_tasks("count training boxes", partial(count_training, there), tasks, done)
        total = Shapes()
        for receipt in counted:
            total.add(Shapes.from_json(receipt["facts"]["shapes"]))
        receipts += counted
        outside = replace(outside, training=Training(total, there.names()))
    if config.diagnose.train_detections is not None and train is not None:
        found, aps = other_aps(context, work, done, config.diagnose.train_detections, train, "on-training")
        receipts += found
        outside = replace(outside, training_aps=aps)
    elif train is not None:
        aps = _aps(metrics, train, there.names(), work.names())
        outside = replace(outside, training_aps=aps or None)
    if config.diagnose.base_detections is not None:
        found, aps = other_aps(context, work, done, config.diagnose.base_detections, work.split, "base")
        receipts += found
        outside = replace(outside, base_aps=aps)
    if config.dataset.label_map is not None:
        path = stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map")
        outside = replace(outside, label_map=read_label_map(path).names)
    if store.manifest("audit") is not None:
        outside = replace(outside, findings=_findings(context, work.split))
    if config.detector.kind == "retinanet":
        outside = replace(outside, input_size=(config.detector.input_width, config.detector.input_height))
    return receipts, outside


def _aps(
    metrics: pa.Table, split: str, there: Mapping[int, str], here: Mapping[int, str]
) -> dict[int, tuple[float, float]]:
    """AP and AP50 on another split that was evaluated too, by the classes' ids here."""
    by_name = {name: k for k, name in sorted(here.items(), reverse=True)}
    return {
        by_name.get(there.get(row["category_id"], ""), row["category_id"]): (row["ap"], row["ap50"])
        for row in metrics.filter(pc.equal(metrics["split"], split)).to_pylist()
        if row["ap"] is not None
    }


def _findings(context: Context, split: str) -> dict[tuple[int, str], int]:
    """The audit's findings that a cause asks for, by class and rule."""
    wanted = (*noisy_boxes.LOOSE_RULES, *train_eval_shift.SHIFT_RULES)
    counts: Counter[tuple[int, str]] = Counter()
    for part in context.store.files("findings", "audit"):
        rows = context.store.read_files([part], "findings", ("rule", "category_id", "split"), [("rule", "in", wanted)])
        counts.update(count_findings(rows, split))
    return dict(counts)


# the stage


def run(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
    """Diagnose the weak classes of the splits of ``predict.splits``."""
    outcome = Outcome([])
    raw: tuple[Part, ...] | None = None
    if _is_left_out(context):
        path = context.config.detector.path or ""
        receipts, raw = read_file(context, stage, done, path, "detections")
        outcome.receipts += receipts
    for number, split in enumerate(context.config.predict.splits):
        _diagnose_split(context, stage, done, outcome, f"s{number:03d}", split, raw)
    return outcome


def _is_left_out(context: Context) -> bool:
    """Whether the evaluation lacks detections of the file that they come from."""
    manifest = context.store.manifest("predict") or {}
    kind = context.config.detector.kind
    return kind == "predictions" and manifest.get("counts", {}).get("quarantined", 0) > 0


def _diagnose_split(
    context: Context,
    stage: Stage,
    done: dict[str, Json],
    outcome: Outcome,
    prefix: str,
    split: str,
    raw: tuple[Part, ...] | None,
) -> None:
    config, store = context.config, context.store
    metrics = _class_metrics(context)
    work = _work(context, stage, split, prefix, metrics)
    keys = store.shards([split])
    if not keys:
        return
    source = Source(work, raw)
    receipts, given = look_at_all(context, work, keys, done, GIVEN, source, Repairs())
    outcome.receipts += receipts
    shapes = Shapes()
    for receipt in receipts:
        shapes.add(Shapes.from_json(receipt["facts"]["shapes"]))
    names = tuple(receipt["shard"] for receipt in receipts)

    faults, last, repaired = _find_faults(context, work, keys, done, outcome, source, receipts, given)
    found, outside = outside_of(context, work, done, metrics, shapes)
    outcome.receipts += found
    classes = sorted({*work.weak, *repaired.boxes, *repaired.detections})
    groups = [tuple(classes[start : start + CLASSES_A_TASK]) for start in range(0, len(classes), CLASSES_A_TASK)]
    tasks = {
        name: Judging(name, group, names, last, tuple(keys))
        for number, group in enumerate(groups)
        for name in [f"{prefix}-classes-{number:05d}"]
    }
    known = Known(given, repaired, faults, outside)
    judged = context.run_tasks("classes", partial(judge, work, known), tasks, done)
    outcome.receipts += judged
    shown = [row for receipt in judged for row in receipt["facts"]["shown"]]
    suspects = sum(receipt["facts"]["suspects"] for receipt in judged)
    outcome.counts["in"] = outcome.counts.get("in", 0) + sum(given.detections.values())
    outcome.facts[split] = {"weak": len(work.weak), "diagnoses": len(shown), "label_errors": suspects}
    outcome.summary.append(_summary(split, shown))
    outcome.notes.append(f"{split}: {len(work.weak)} weak classes, {suspects} suspected label errors")


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


def _find_faults(
    context: Context,
    work: Work,
    keys: Sequence[ShardKey],
    done: dict[str, Json],
    outcome: Outcome,
    source: Source,
    receipts: Sequence[Json],
    given: Tally,
) -> tuple[Faults, tuple[str, ...], Tally]:
    """The faults of the mapping, the shards as they are with these repaired, and the counts of these."""
    faults, last, tally = Faults(), tuple(receipt["shard"] for receipt in receipts), given

    def again(round: str) -> None:
        nonlocal last, tally
        found, tally = look_at_all(context, work, keys, done, round, source, faults.repairs)
        outcome.receipts += found
        last = tuple(receipt["shard"] for receipt in found)

    sample = sorted(entry for receipt in receipts for entry in receipt["facts"]["sample"])
    order = np.argsort(spread(np.array([entry[0] for entry in sample], np.int64)), kind="stable")[:SAMPLE_IMAGES]
    n_boxes, n_hit = (sum(sample[place][column] for place in order) for column in (1, 2))
    if n_hit <= (1 - RECALL_RAISE) * n_boxes and work.weak:
        name = f"{work.prefix}-mapping"
        images = tuple(sample[place][0] for place in order)
        task = MappingSearch(name, tuple(keys), images, source)
        searched = context.run_tasks("mapping", partial(search_mapping, work), {name: task}, done)
        outcome.receipts += searched
        faults = Faults.from_json(searched[0]["facts"]["faults"])
        if searched[0]["facts"]["is_renamed"]:
            n_parts = sum(1 for _ in source.parts) if source.parts is not None else sum(1 for _ in source.all())
            tasks = {
                label: (label, name, source, number)
                for number in range(n_parts)
                for label in [f"{work.prefix}-rename-{number:06d}"]
            }
            renamed = context.run_tasks("rename images", partial(rename_part, work), tasks, done)
            outcome.receipts += renamed
            source = Source(work, _parts(renamed))
        if faults.reading is not None or searched[0]["facts"]["is_renamed"]:
            again("mapped")
    labels = find_remaps(tally)
    if labels is not None:
        faults = replace(faults, labels=labels)
        again("labelled")
    if faults.reading is None and work.weak:
        groups = [work.weak[start : start + CLASSES_A_TASK] for start in range(0, len(work.weak), CLASSES_A_TASK)]
        tasks = {
            label: (label, group, last)
            for number, group in enumerate(groups)
            for label in [f"{work.prefix}-formats-{number:05d}"]
        }
        found = context.run_tasks("formats", partial(search_class_readings, work), tasks, done)
        outcome.receipts += found
        readings = {
            k: fault
            for receipt in found
            for k, fault in Faults.from_json(receipt["facts"]["faults"]).class_readings.items()
        }
        if readings:
            faults = replace(faults, class_readings=readings)
            again("read")
    return faults, last, tally


def _summary(split: str, shown: Sequence[list[Any]]) -> Table:
    top = sorted((row for row in shown if row[3] <= 2), key=lambda row: (row[1] is None, row[1], row[0] or "", row[3]))
    rows = [
        [name, _rounded(ap), _rounded(ap50), rank, cause, _rounded(d_ap), sentence]
        for name, ap, ap50, rank, cause, d_ap, sentence in top[: 2 * MAX_CLASSES_SHOWN]
    ]
    return Table(f"Diagnoses of {split}", ("class", "AP", "AP50", "rank", "cause", "AP regained", "why"), rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _inputs(config: Config) -> tuple[str, ...]:
    stated = (config.diagnose.train_detections, config.diagnose.base_detections)
    return tuple(path for path in stated if path is not None)


STAGE = StageDefinition(
    name="diagnose",
    tables=("diagnoses", "label_errors"),
    sections=("diagnose", "predict", "detector"),
    run=run,
    needs=lambda config: ("ingest", "predict"),
    tries=("evaluate",),
    uses=("audit",),
    inputs=_inputs,
)
