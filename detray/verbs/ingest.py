"""Ingest: annotation files of any format into the canonical tables images, annotations and categories.

In steps of parallel tasks: *plan* divides each split into chunks, *read* reads them into scratch
tables sorted by image, *classes* gathers the classes, *rank* counts the images of each range where
a format has only names, *write* merges each range of images from all chunks into a shard. The driver
sees counts, sampled keys and names of classes.

What is counted as in: the images and boxes that the files state, and whatever could not be read as
one (a file, a record, a line, a class entry), which is quarantined. In is kept plus quarantined. An
image that is stated again, and what a list leaves out, is not counted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.errors import DetrayError
from detray.formats import canonical, chunk
from detray.formats.catalogue import by_name
from detray.formats.classes import categories_table, contradictions, note_contradictions, number_names
from detray.formats.json_rows import WrongCut
from detray.formats.label_map import LabelMap, read_label_map
from detray.formats.listing import listed_names
from detray.formats.resolve import input_paths, resolve, stated_path
from detray.formats.settings import DatasetSettings
from detray.formats.source import Source
from detray.store import Json, ShardKey, Stage
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config

TABLES = ("images", "annotations", "categories")
_USUAL = ("info", "licenses")
"""What every COCO file has beside its lists."""
CHUNK_TABLES = {
    "images": chunk.IMAGES,
    "annotations": chunk.ANNOTATIONS,
    "categories": chunk.CATEGORIES,
    "quarantine": chunk.QUARANTINE,
}


@dataclass(frozen=True)
class _Chunk:
    """A chunk in scratch: its rows and batches, and how many rows of its file's lists lie before it."""

    name: str
    rows: dict[str, int]
    keys: dict[str, list[canonical.Key]]
    image_base: int
    annotation_base: int


@dataclass(frozen=True)
class _Split:
    """A split that has been read; ``by`` is the column that orders its chunks."""

    source: Source
    by: str
    chunks: tuple[_Chunk, ...]
    further: dict[str, int]

    def count(self, table: str) -> int:
        return sum(found.rows[table] for found in self.chunks)


@dataclass(frozen=True)
class _Read:
    """A chunk to read: of the split number ``split``."""

    key: str
    split: int
    chunk: int


@dataclass(frozen=True)
class _Range:
    """A shard to write: images of the split number ``split`` with ``low <= key < high``."""

    index: int
    split: int
    low: Any
    high: Any


@dataclass(frozen=True)
class _Job:
    """What tasks are given beside their own part."""

    stage: Stage
    run: str
    sources: tuple[Source, ...]
    label_map: LabelMap | None
    exact: frozenset[int] = frozenset()
    splits: tuple[_Split, ...] = ()
    class_ids: dict[str, int] = field(default_factory=dict)
    wrong: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    first_ids: dict[int, int] = field(default_factory=dict)


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Read every split of the configuration and write its shards."""
    job = _Job(stage, context.config.name, tuple(resolve(context.config.dataset)), _label_map(context.config.dataset))
    splits, samples = _read_all(context, job, done)
    if not any(split.count("images") + split.count("annotations") for split in splits):
        _refuse_nothing(job, splits)
    job = replace(job, splits=splits)
    ranges = _ranges(splits, samples)
    last = f"{len(ranges):05d}"
    (classes,) = context.run_tasks("classes", partial(_write_classes, job), {last: last}, done)
    wrong = {(number, name): (field, said) for number, name, field, said in classes["facts"]["wrong"]}
    first_ids = _rank(context, job, ranges, done)
    job = replace(job, class_ids=classes["facts"]["ids"], wrong=wrong, first_ids=first_ids)
    shards = context.run_tasks("write", partial(_write, job), {f"{item.index:05d}": item for item in ranges}, done)
    return _outcome(job, shards, classes)


def _label_map(dataset: DatasetSettings) -> LabelMap | None:
    if dataset.label_map is None:
        return None
    return read_label_map(stated_path(dataset.label_map, dataset.root, "dataset.label_map"))


def _refuse_nothing(job: _Job, splits: Sequence[_Split]) -> None:
    stated = ", ".join(path for split in splits for path in split.source.annotations)
    lost = [found for split in splits for found in split.chunks if found.rows["quarantine"]]
    why = ""
    if lost:
        count = sum(found.rows["quarantine"] for found in lost)
        first = _scratch(job, lost[0], "quarantine").slice(0, 1).to_pylist()[0]
        why = f": of what it holds nothing can be read, {count} in all, the first {first['source_file']}"
        why += f", row {first['row']}" if first["row"] is not None else ""
        why += f": {first['detail'] or first['reason']}"
    raise DetrayError(f"{stated}: the data set is empty{why}; check that the right files are named")


# plan and read


def _read_all(
    context: Context, job: _Job, done: Mapping[str, bytes]
) -> tuple[tuple[_Split, ...], list[list[tuple[Sequence[canonical.Key], float]]]]:
    """Read the splits into scratch; also, for each, sampled keys and how many rows each stands for."""
    reads = _read_chunks(context, job, range(len(job.sources)), done)
    wrong = frozenset(number for number, found in reads.items() if any("wrong_cut" in facts for facts in found))
    if wrong:
        reads |= _read_chunks(context, replace(job, exact=wrong), sorted(wrong), done)
    splits, samples = [], []
    for number, source in enumerate(job.sources):
        facts = reads[number]
        further: Counter[str] = Counter()
        for found in facts:
            further.update(found["further"])
        by = canonical.key_column(by_name(source.format).has_ids)
        splits.append(_Split(source, by, _number_rows(facts), dict(further)))
        samples.append([(keys, weight) for found in facts for keys, weight in found["samples"]])
    return tuple(splits), samples


def _read_chunks(
    context: Context, job: _Job, numbers: Iterable[int], done: Mapping[str, bytes]
) -> dict[int, list[Json]]:
    """Plan and read some splits: the facts of their chunks, by split."""
    suffix = "-exact" if job.exact else ""
    plans = context.run_tasks("plan", partial(_plan, job), {f"plan-{i:03d}{suffix}": i for i in numbers}, done)
    tasks = {}
    for plan in plans:
        for part in range(plan["facts"]["chunks"]):
            key = f"read-{plan['facts']['split']:03d}-{part:07d}{suffix}"
            tasks[key] = _Read(key, plan["facts"]["split"], part)
    found: dict[int, list[Json]] = {plan["facts"]["split"]: [] for plan in plans}
    for receipt in context.run_tasks("read", partial(_read, job), tasks, done):
        found[receipt["facts"]["split"]].append(receipt["facts"])
    return found


def _plan_name(job: _Job, split: int) -> str:
    return f"plan-{split:03d}{'-exact' if split in job.exact else ''}"


def _plan(job: _Job, split: int) -> Json:
    source = job.sources[split]
    plan = by_name(source.format).plan(source, exact=split in job.exact)
    name = _plan_name(job, split)
    job.stage.write_scratch(name, plan)
    chunks = plan["chunk"][-1].as_py() + 1 if plan.num_rows else 0
    return job.stage.write(name, {}, {"split": split, "chunks": chunks})


def _read(job: _Job, task: _Read) -> Json:
    source, exact = job.sources[task.split], task.split in job.exact
    plan = job.stage.read_scratch(_plan_name(job, task.split))
    start, end = np.searchsorted(plan["chunk"].to_numpy(), [task.chunk, task.chunk + 1]).tolist()
    reader = by_name(source.format)
    try:
        found = reader.read(source, plan.slice(start, end - start), exact=exact)
    except WrongCut:
        return job.stage.write(task.key, {}, {"split": task.split, "wrong_cut": True})
    by = canonical.key_column(reader.has_ids)
    if by == "key" and source.list is not None and not reader.applies_list:
        # before images are numbered, so that they are numbered within the list
        images, annotations = canonical.keep_listed(found.images, found.annotations, listed_names(source.list), by)
        found = replace(found, images=images, annotations=annotations)
    found = canonical.sort_chunk(found, by)
    tables = {name: getattr(found, name) for name in CHUNK_TABLES}
    for name, table in tables.items():
        if table.num_rows:
            job.stage.write_scratch(f"{task.key}-{name}", table, batch_rows=canonical.BATCH_ROWS)
    facts = {
        "split": task.split,
        "name": task.key,
        "rows": {name: table.num_rows for name, table in tables.items()},
        "rows_of": {"images": found.image_rows_of, "annotations": found.annotation_rows_of},
        "keys": {name: canonical.batch_keys(tables[name], by) for name in ("images", "annotations")},
        "further": dict(found.further),
        "samples": [canonical.sample(found.images, by), canonical.sample(found.annotations, by)],
    }
    return job.stage.write(task.key, {}, facts)


def _number_rows(facts: Sequence[Json]) -> tuple[_Chunk, ...]:
    """The chunks of a split with the rows of their file that lie before them."""
    reached: dict[tuple[str, str], int] = {}
    chunks = []
    for found in facts:
        bases = {"images": 0, "annotations": 0}
        for table, file in found["rows_of"].items():
            if file is not None:
                bases[table] = reached.get((table, file), 0)
                reached[table, file] = bases[table] + found["rows"][table]
        chunks.append(_Chunk(found["name"], found["rows"], found["keys"], bases["images"], bases["annotations"]))
    return tuple(chunks)


def _scratch(job: _Job, found: _Chunk, table: str) -> pa.Table:
    """A table of a chunk; of one without rows nothing was kept."""
    if found.rows[table]:
        return job.stage.read_scratch(f"{found.name}-{table}")
    return CHUNK_TABLES[table].empty_table()


# classes


def _write_classes(job: _Job, key: str) -> Json:
    """Write the table categories, and the rows that readers put in quarantine, as the shard ``key``."""
    stated: dict[str, pa.Table] = {}
    quarantine = [schema.empty("quarantine")]
    unlisted: dict[str, int] = {}
    for split in job.splits:
        name = split.source.split
        if split.source.list is not None and not by_name(split.source.format).applies_list:
            images = (_scratch(job, part, "images") for part in split.chunks)
            lost = canonical.missing_of_list(listed_names(split.source.list), images, split.source.list)
            unlisted[name] = lost.num_rows
            quarantine.append(_quarantine(job, lost, name))
        found = [_scratch(job, part, "categories") for part in split.chunks]
        stated[name] = pa.concat_tables([CHUNK_TABLES["categories"].empty_table(), *found])
        for part in split.chunks:
            lost = _scratch(job, part, "quarantine")
            quarantine.append(_quarantine(job, lost, name))
    ids = number_names(stated, job.label_map)
    wrong = contradictions(stated)
    categories = categories_table(stated, ids, job.label_map, job.run, wrong)
    tables = {"categories": categories, "quarantine": pa.concat_tables(quarantine)}
    own = categories.filter(pc.equal(categories["source"], "annotations"))
    classes = {name: len(pc.unique(own.filter(pc.equal(own["split"], name))["category_id"])) for name in stated}
    said = [[*pair, *both] for pair, both in wrong.items()]
    facts = {"ids": ids, "classes": classes, "wrong": said, "unlisted": unlisted}
    return job.stage.write(key, tables, facts)


def _quarantine(job: _Job, rows: pa.Table, split: str) -> pa.Table:
    return canonical.canonical("quarantine", rows, job.run, split, stage=pa.repeat(job.stage.name, rows.num_rows))


# rank and write


def _ranges(splits: Sequence[_Split], samples: Sequence[list[tuple[Sequence[canonical.Key], float]]]) -> list[_Range]:
    """The shards of all splits, each split with at least one, decided by sizes alone."""
    found: list[_Range] = []
    for number, split in enumerate(splits):
        rows = split.count("images") + split.count("annotations")
        cuts = canonical.boundaries(samples[number], max(1, round(rows / canonical.SHARD_ROWS)))
        for low, high in pairwise([None, *cuts, None]):
            found.append(_Range(len(found), number, low, high))
    return found


def _rank(context: Context, job: _Job, ranges: Sequence[_Range], done: Mapping[str, bytes]) -> dict[int, int]:
    """The first image_id of each shard of the splits whose images have no numbers."""
    unnumbered = [item for item in ranges if job.splits[item.split].by == "key"]
    if not unnumbered:
        return {}
    tasks = {f"rank-{item.index:05d}": item for item in unnumbered}
    counts = [receipt["facts"]["images"] for receipt in context.run_tasks("rank", partial(_count, job), tasks, done)]
    first: dict[int, int] = {}
    reached: dict[int, int] = {}
    for item, count in zip(unnumbered, counts, strict=True):
        first[item.index] = reached.get(item.split, 0) + 1
        reached[item.split] = first[item.index] - 1 + count
    return first


def _count(job: _Job, item: _Range) -> Json:
    images = canonical.merge_images(_pieces(job, item, with_annotations=False), "key")
    return job.stage.write(f"rank-{item.index:05d}", {}, {"images": images.num_rows})


def _pieces(job: _Job, item: _Range, *, with_annotations: bool = True) -> list[canonical.Piece]:
    """The rows of the range, chunk by chunk."""
    found = []
    tables = ("images", "annotations") if with_annotations else ("images",)
    for part in job.splits[item.split].chunks:
        batches = {
            table: canonical.batches_between(part.keys[table], part.rows[table], item.low, item.high)
            for table in tables
        }
        if not any(batches.values()):
            continue  # most chunks of a file in order have nothing of this range
        images, annotations = (
            _between(job, item, part, table, batches.get(table, range(0))) for table in ("images", "annotations")
        )
        if images.num_rows or annotations.num_rows:
            found.append(canonical.Piece(images, annotations, part.image_base, part.annotation_base))
    return found


def _between(job: _Job, item: _Range, part: _Chunk, table: str, batches: range) -> pa.Table:
    """The rows of a chunk that lie in the range, which are in some of its batches."""
    if not batches:
        return CHUNK_TABLES[table].empty_table()
    rows = job.stage.read_scratch(f"{part.name}-{table}", batches=batches)
    return canonical.slice_range(rows, job.splits[item.split].by, item.low, item.high)


def _write(job: _Job, item: _Range) -> Json:
    """Write one shard of canonical images and annotations."""
    split = job.splits[item.split]
    source = split.source
    pieces = _pieces(job, item)
    images = canonical.merge_images(pieces, split.by)
    annotations = canonical.merge_annotations(pieces, split.by)
    if split.by == "key":
        first = job.first_ids[item.index]
        images, annotations = canonical.number_images(images, annotations, first)
        annotations = note_contradictions(annotations, job.wrong)
        annotations = canonical.number_classes(annotations, job.class_ids)
        low = None if item.low is None else first
        high = None if item.high is None else first + images.num_rows
    else:
        low, high = item.low, item.high
        if source.list is not None:
            images, annotations = canonical.keep_listed(images, annotations, listed_names(source.list), split.by)
    left = sum(piece.images.num_rows + piece.annotations.num_rows for piece in pieces)
    left -= images.num_rows + annotations.num_rows
    paths, images = canonical.place_images(images, source)
    shard = ShardKey(item.index, source.split, low, high, images.num_rows, annotations.num_rows)
    tables = {
        "images": canonical.canonical("images", images, job.run, source.split, path=paths),
        "annotations": canonical.canonical("annotations", annotations, job.run, source.split),
    }
    defects = sum(table.num_rows - table["defects"].null_count for table in (images, annotations))
    facts = {"shard": asdict(shard), "defects": defects, "left": left}
    return job.stage.write(f"{item.index:05d}", tables, facts, undivided=True)  # an image may have any number of boxes


# what is said at the end


def _outcome(job: _Job, shards: Sequence[Json], classes: Json) -> Old:
    keys = [receipt["facts"]["shard"] for receipt in shards]
    unlisted = classes["facts"]["unlisted"]
    rows = []
    for split in job.splits:
        name = split.source.split
        own = [receipt for receipt in shards if receipt["facts"]["shard"]["split"] == name]
        lost = split.count("quarantine") + unlisted.get(name, 0)
        images, boxes = (
            sum(receipt["facts"]["shard"][key] for receipt in own) for key in ("n_images", "n_annotations")
        )
        defects = sum(receipt["facts"]["defects"] for receipt in own)
        rows.append([name, split.source.format, images, boxes, classes["facts"]["classes"][name], defects, lost])
    # every row that a file states is kept or quarantined, save repeats of an image and what a list leaves out
    read = sum(split.count(name) for split in job.splits for name in ("images", "annotations", "quarantine"))
    read += sum(unlisted.values()) - sum(receipt["facts"]["left"] for receipt in shards)
    kept = sum(row[2] + row[3] for row in rows)
    return Old(
        receipts=[*shards, classes],
        counts={"in": read, "kept": kept, "quarantined": sum(row[6] for row in rows)},
        facts={
            "shards": keys,
            "formats": {split.source.split: split.source.format for split in job.splits},
            "further": {split.source.split: split.further for split in job.splits},
        },
        summary=[
            Table("splits", ("split", "format", "images", "boxes", "classes", "rows with defects", "quarantined"), rows)
        ],
        notes=[note for split in job.splits for note in _notes(split)],
        keep_names=True,
    )


def _notes(split: _Split) -> Iterator[str]:
    """What a person may miss in the tables of a split."""
    name = split.source.split
    further = [f"{key} ({count:,})" for key, count in sorted(split.further.items()) if key not in _USUAL]
    if further:
        yield f"{name}: not read, but counted: {', '.join(further)}"
    if split.source.images is None and split.source.format in ("open_images", "yolo"):
        yield (
            f"{name}: boxes are fractions of pictures, and no image folder is stated: they have no place and size in"
            f" pixels; state dataset.splits.{name}.images"
        )


def _inputs(config: Config) -> Sequence[str]:
    return input_paths(config.dataset)


STAGE = StageDefinition(name="ingest", tables=TABLES, sections=("dataset",), old=run, inputs=_inputs)
