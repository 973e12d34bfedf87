"""A file of detections while a stage uses it: read once by byte range, kept in the order of the images."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.flow.data import Data
from detray.flow.flow import Flow, Results
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step, Tables
from detray.formats.detections import rows as raw
from detray.formats.detections import shares
from detray.formats.detections.ids import image_names, image_texts, with_image_names
from detray.formats.json.rows import WrongCut
from detray.mirror import here
from detray.store import ShardKey

MAX_NAMES = 1000
"""Names of classes that are collected of a chunk: more are no classes."""


class RowCounts(msgspec.Struct, frozen=True):
    """What a chunk of the file holds.

    Attributes:
        rows: how many.
        unnamed: of them without the id of an image.
        texts: of these, those that name it by a text.
        low, high: the least and the greatest id of an image.
        is_wrong_cut: the chunk was not read, since it does not begin or end between two rows.
        names: what rows call their classes; the first thousand.
    """

    rows: int = 0
    unnamed: int = 0
    texts: int = 0
    low: int | None = None
    high: int | None = None
    is_wrong_cut: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptChunk:
    """Kept rows of one chunk, by image, those without the id of an image first.

    ``before``: rows of the file that stand before it.
    """

    kept: Kept
    rows: RowCounts
    before: int

    def meets(self, key: ShardKey, *, unnamed: bool) -> bool:
        """Whether it may hold rows of the images of ``key``; with ``unnamed`` also those without the id of an image."""
        low, high = self.rows.low, self.rows.high
        if unnamed and self.rows.unnamed:
            return True
        if low is None or high is None:
            return False
        return (key.low is None or high >= key.low) and (key.high is None or low < key.high)

    def of(self, key: ShardKey, *, unnamed: bool) -> pa.Table:
        """Those rows, with ``rank`` counted through the whole file."""
        rows = self.kept.read()
        first = rows["image_id"].null_count
        ids = rows["image_id"].slice(first).to_numpy()
        low = 0 if key.low is None else int(np.searchsorted(ids, key.low))
        high = len(ids) if key.high is None else int(np.searchsorted(ids, key.high))
        found = rows.slice(first + low, high - low)
        if unnamed:
            found = pa.concat_tables([rows.slice(0, first), found])
        ranks = pc.add(found["rank"].cast(pa.int64()), self.before).cast(pa.int32())
        return found.set_column(rows.column_names.index("rank"), raw.RAW.field("rank"), ranks)


@dataclass(frozen=True)
class DetectionsFile:
    """A file of detections of one split, as it was written; small, for tasks of later steps.

    Attributes:
        chunks: in the order of the file.
        named: rows that name their image by a file name, and have its id now.
    """

    chunks: tuple[KeptChunk, ...]
    named: int = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(chunk.rows.rows for chunk in self.chunks)

    @property
    def names(self) -> frozenset[str]:
        """What rows call their classes."""
        return frozenset(name for chunk in self.chunks for name in chunk.rows.names)

    def of(self, key: ShardKey, *, unnamed: bool) -> pa.Table:
        """The rows of the images of ``key``, and with ``unnamed`` also those without the id of an image.

        As `rows.RAW`, by image and then as in the file, those without the id of an image last.
        """
        parts = [chunk.of(key, unnamed=unnamed) for chunk in self.chunks if chunk.meets(key, unnamed=unnamed)]
        found = pa.concat_tables([raw.RAW.empty_table(), *parts])
        return found.take(pc.sort_indices(found, [("image_id", "ascending"), ("rank", "ascending")]))


@dataclass(frozen=True)
class SplitImages:
    """The images that rows may be about, and may name by their files."""

    data: Data
    split: str


@dataclass(frozen=True)
class Naming:
    """Rows of which some name their images by texts, and the file names of the split.

    ``sizes``: of its images, where boxes are shares of them.
    """

    rows: Kept
    names: Kept
    sizes: Kept | None


def parse(work: SplitImages, chunk: raw.FileChunk) -> Tables:
    """The rows of a chunk; no table where it was not cut between two rows."""
    try:
        return {"rows": shares.read(chunk) if chunk.shares else raw.read(chunk)}
    except WrongCut:
        return {}


def keep(work: SplitImages, chunk: raw.FileChunk, tables: Tables) -> Output[RowCounts]:
    """The rows by image."""
    return _by_image(tables["rows"]) if tables else Output(RowCounts(is_wrong_cut=True))


def list_names(work: SplitImages, task: str) -> Output[NoFacts]:
    """The file names of the split's images."""
    columns = ["image_id", "file_name", "width", "height"]
    images = work.data.read("images", columns=columns, filters=[("split", "=", work.split)])
    return Output(NoFacts(), kept={"names": image_names(images), "sizes": images.drop_columns(["file_name"])})


def name_images(work: SplitImages, task: Naming) -> Output[RowCounts]:
    """The rows again, with the ids of the images that they name by file names, and boxes in pixels."""
    rows = with_image_names(task.rows.read(), task.names.read())
    return _by_image(rows if task.sizes is None else shares.in_pixels(rows, task.sizes.read()))


def _by_image(rows: pa.Table) -> Output[RowCounts]:
    order = pc.sort_indices(rows, [("image_id", "ascending", "at_start"), ("rank", "ascending")])
    unnamed, ends = rows["image_id"].null_count, pc.min_max(rows["image_id"])
    texts = rows.num_rows - image_texts(rows).null_count if unnamed else 0
    names = pc.unique(rows["category_name"]).drop_null().slice(0, MAX_NAMES).to_pylist()
    facts = RowCounts(rows.num_rows, unnamed, texts, ends["min"].as_py(), ends["max"].as_py(), names=tuple(names))
    return Output(facts, kept={"rows": rows.take(order)})


ROWS = Keep("rows", raw.RAW)
READ = Step("read-detections", keep, RowCounts, (ROWS,), read=parse, label="read detections", streams=True)
LIST: Step[SplitImages, str, NoFacts] = Step(
    "list-file-names", list_names, NoFacts, (Keep("names"), Keep("sizes")), label="list file names"
)
NAME: Step[SplitImages, Naming, RowCounts] = Step(
    "name-images", name_images, RowCounts, (ROWS,), label="look file names up"
)


def read_file(flow: Flow, path: str, split: str, prefix: str = "") -> DetectionsFile:
    """Read and keep a file of detections of the images of ``split``, which may be named by their files.

    Args:
        flow: of the stage that uses it.
        path: of the file.
        split: whose images it is about.
        prefix: starts the keys of the tasks, where a stage reads several files.

    Raises:
        UsageError, DetrayError: as `rows.plan` and `rows.read`.
    """
    work = SplitImages(flow.data, split)
    path = here(path)
    planned = shares.plan(path) or raw.plan(path)
    found = _read(flow, work, planned, prefix)
    if any(facts.is_wrong_cut for facts in found.facts):
        found = _read(flow, work, raw.plan(path, exact=True), f"{prefix}exactly-")
    in_shares = planned[0].shares if planned else False
    tasks = {key: result["rows"] for key, result in found.items() if result.facts.texts or in_shares}
    if tasks:
        listed = flow.reduce(LIST, work, split, f"{prefix}names")
        sizes = listed["sizes"] if in_shares else None
        again = flow.map(NAME, work, {key: Naming(rows, listed["names"], sizes) for key, rows in tasks.items()})
    chunks, before, named = [], 0, 0
    for key, result in found.items():
        facts = result.facts
        if key in tasks:
            named += facts.unnamed - again[key].facts.unnamed
            result = again[key]
        chunks.append(KeptChunk(result["rows"], result.facts, before))
        before += facts.rows
    return DetectionsFile(tuple(chunks), named)


def _read(flow: Flow, work: SplitImages, planned: Sequence[raw.FileChunk], prefix: str) -> Results[RowCounts]:
    return flow.map(READ, work, {f"{prefix}{number:06d}": chunk for number, chunk in enumerate(planned)})
