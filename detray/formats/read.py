"""Splits are planned, read chunk by chunk, and kept in the order of their images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa

from detray.flow.flow import Flow, Result
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.formats import canonical, chunk
from detray.formats.canonical import Key, Sample
from detray.formats.catalogue import by_name
from detray.formats.chunk import Chunk
from detray.formats.format import PLAN
from detray.formats.json.rows import WrongCut
from detray.formats.listing import listed_names
from detray.formats.source import Source
from detray.formats.splits import Ordered, ReadChunk, ReadSplit


class Planned(msgspec.Struct, frozen=True):
    """How many chunks a split is read in."""

    chunks: int


class ChunkFacts(msgspec.Struct, frozen=True):
    """What there is to say of a chunk.

    Attributes:
        is_wrong_cut: it was not read, since it does not begin or end between two rows.
        image_rows_of, annotation_rows_of: as in `chunk.Chunk`.
        image_keys, annotation_keys: as `canonical.batch_keys`.
        samples: of the keys of images and of annotations.
        further: as in `chunk.Chunk`.
    """

    is_wrong_cut: bool = False
    image_rows_of: str | None = None
    annotation_rows_of: str | None = None
    image_keys: list[Key] = []
    annotation_keys: list[Key] = []
    samples: list[Sample] = []
    further: dict[str, int] = {}


@dataclass(frozen=True)
class DataFiles:
    """The files of all splits."""

    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Planning:
    """A split to plan; with ``exact`` its chunks are sure to begin and end between two rows."""

    split: int
    exact: bool


@dataclass(frozen=True)
class Reading:
    """A chunk to read, of a plan."""

    planning: Planning
    plan: Kept
    chunk: int


def plan(work: DataFiles, task: Planning) -> Output[Planned]:
    """The chunks of a split."""
    source = work.sources[task.split]
    found = by_name(source.format).plan(source, exact=task.exact)
    chunks = found["chunk"][-1].as_py() + 1 if found.num_rows else 0
    return Output(Planned(chunks), kept={"plan": found})


def read(work: DataFiles, task: Reading) -> Output[ChunkFacts]:
    """The rows of a chunk in the order of their images."""
    source, pieces = work.sources[task.planning.split], task.plan.read()
    start, end = np.searchsorted(pieces["chunk"].to_numpy(), [task.chunk, task.chunk + 1]).tolist()
    reader = by_name(source.format)
    try:
        found = reader.read(source, pieces.slice(start, end - start), exact=task.planning.exact)
    except WrongCut:
        return Output(ChunkFacts(is_wrong_cut=True))
    by = canonical.key_column(reader.has_ids)
    if by == "key" and source.list is not None and not reader.applies_list:
        # before images are numbered, so that they are numbered within the list
        images, annotations = canonical.keep_listed(found.images, found.annotations, listed_names(source.list), by)
        found = replace(found, images=images, annotations=annotations)
    return _kept(canonical.sort_chunk(found, by), by)


def _kept(found: Chunk, by: str) -> Output[ChunkFacts]:
    facts = ChunkFacts(
        image_rows_of=found.image_rows_of,
        annotation_rows_of=found.annotation_rows_of,
        image_keys=canonical.batch_keys(found.images, by),
        annotation_keys=canonical.batch_keys(found.annotations, by),
        samples=[canonical.sample(found.images, by), canonical.sample(found.annotations, by)],
        further=dict(found.further),
    )
    tables = {keep.name: getattr(found, keep.name) for keep in KEPT}
    return Output(facts, kept={name: _batches(rows) for name, rows in tables.items() if rows.num_rows})


def _batches(rows: pa.Table) -> list[pa.Table]:
    rows = rows.combine_chunks()  # batches of one file share their dictionaries
    return [rows.slice(start, canonical.BATCH_ROWS) for start in range(0, rows.num_rows, canonical.BATCH_ROWS)]


KEPT = (
    Keep("images", chunk.IMAGES),
    Keep("annotations", chunk.ANNOTATIONS),
    Keep("categories", chunk.CATEGORIES),
    Keep("quarantine", chunk.QUARANTINE),
)
PLAN_SPLIT: Step[DataFiles, Planning, Planned] = Step("plan", plan, Planned, (Keep("plan", PLAN),))
READ: Step[DataFiles, Reading, ChunkFacts] = Step("read", read, ChunkFacts, KEPT, streams=True)


def read_splits(flow: Flow, sources: Sequence[Source]) -> list[ReadSplit]:
    """Read all splits; one that was cut between two rows only by a guess that was wrong is read again."""
    work = DataFiles(tuple(sources))
    found = _read(flow, work, range(len(sources)), exact=False)
    wrong = [split for split, results in found.items() if any(result.facts.is_wrong_cut for result in results)]
    found |= _read(flow, work, wrong, exact=True)
    return [_split(source, found[split]) for split, source in enumerate(sources)]


def _read(flow: Flow, work: DataFiles, splits: Iterable[int], *, exact: bool) -> dict[int, list[Result[ChunkFacts]]]:
    suffix = "-exact" if exact else ""
    plannings = {f"{split:03d}{suffix}": Planning(split, exact) for split in splits}
    tasks = {
        f"{key}-{number:07d}": Reading(plannings[key], result["plan"], number)
        for key, result in flow.map(PLAN_SPLIT, work, plannings).items()
        for number in range(result.facts.chunks)
    }
    found: dict[int, list[Result[ChunkFacts]]] = {planning.split: [] for planning in plannings.values()}
    for key, result in flow.map(READ, work, tasks).items():
        found[tasks[key].planning.split].append(result)
    return found


def _split(source: Source, results: Sequence[Result[ChunkFacts]]) -> ReadSplit:
    """A split of its chunks, each with the rows of its file's lists that lie before it."""
    reached: Counter[tuple[str, str]] = Counter()
    chunks = []
    further: Counter[str] = Counter()

    def ordered(name: str, kept: Kept, keys: list[Key], position: str, file: str | None) -> Ordered:
        base = reached[name, file] if file is not None else 0
        if file is not None:
            reached[name, file] += sum(kept.rows)
        return Ordered(kept, keys, position, base)

    for result in results:
        facts = result.facts
        images = ordered("images", result["images"], facts.image_keys, "image_row", facts.image_rows_of)
        annotations = ordered(
            "annotations", result["annotations"], facts.annotation_keys, "annotation_row", facts.annotation_rows_of
        )
        chunks.append(ReadChunk(images, annotations, result["categories"], result["quarantine"]))
        further.update(facts.further)
    samples = tuple(sample for result in results for sample in result.facts.samples)
    by = canonical.key_column(by_name(source.format).has_ids)
    return ReadSplit(source, by, tuple(chunks), dict(further), samples)
