"""The steps of a division: which part each image goes to, and each part written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Floats, Ints
from detray.boxes import AREA_LIMITS
from detray.errors import UsageError
from detray.flow.data import Data, names_of
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step
from detray.formats.selecting import ANNOTATIONS, IMAGES, Files, Written
from detray.split.assign import assign
from detray.split.drift import drift_rows
from detray.split.groups import alike, groups, named, same
from detray.split.settings import DivideSettings
from detray.tables import numpy

_IMAGE = ("split", "image_id", "file_name", "image_row", "path", "source_file", "attributes")
_BOX = ("split", "image_id", "category_id", "area", "width", "height", "is_crowd", "annotation_row", "annotation_id",
        "source_file")  # fmt: skip
_STATS = ("split", "image_id", "file_name", "content_hash", "perceptual_hash", "is_decoded")


class Formats(Protocol):
    """How the data set is written in its own format."""

    def write(self, part: str, images: pa.Table, annotations: pa.Table) -> Written:
        """The files of a part."""
        ...

    def beside(self, parts: Sequence[str], images: pa.Table) -> Files:
        """What all parts share."""
        ...


@dataclass(frozen=True)
class DivideWork:
    """Settings and data. ``root``, ``also`` and ``label_map`` are what the configuration says of the data set."""

    data: Data
    run: str
    settings: DivideSettings
    formats: Formats
    root: str
    also: tuple[str, ...]
    label_map: str | None


class Divided(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        parts: names.
        images, boxes, groups: of each.
        held: images that stand in a group with others.
        by: what held them together, in words.
        seen: images whose picture was read.
        drift: rows, as `drift_rows`.
        lacking: classes that a part has nothing of, by part.
        orphans: annotations of no image, which no part gets.
        repeated: images that another split states too, each taken once.
    """

    parts: list[str]
    images: list[int]
    boxes: list[int]
    groups: list[int]
    held: int
    by: list[str]
    seen: int
    drift: list[list[Any]]
    lacking: dict[str, list[str]]
    orphans: int
    repeated: int


def divide(work: DivideWork, task: None) -> Output[Divided]:
    """The part of each image.

    Raises:
        UsageError: a part would get no image, or nothing is there that images are to be grouped by.
    """
    data, shares = work.data, work.settings.shares
    shards = [data.read_shard(key, columns={"images": _IMAGE, "annotations": _BOX}) for key in data.shards()]
    images, boxes, repeated = _once(
        *(pa.concat_tables([getattr(shard, name) for shard in shards]) for name in ("images", "annotations"))
    )
    place = {key: row for row, key in enumerate(_keys(images))}
    image_of = np.array([place.get(key, -1) for key in _keys(boxes)], np.int64)
    group, by, seen = _groups(work, images, place)
    sizes = np.bincount(group)
    counts, classes, side = _counts(boxes, image_of, group)
    part = assign(counts, sizes, list(shares.values()), work.settings.seed)[group]
    parts = list(shares)
    _require_images(parts, part, len(sizes))
    names = {
        number: name for split in {shard.split for shard in shards} for number, name in names_of(data, split).items()
    }
    counted = image_of >= 0
    drift = drift_rows(parts, names, part, image_of[counted], classes[counted], side[counted])
    assigned = [pa.array(parts).take(pa.array(part)), pa.array(parts).take(pa.array(part[image_of], mask=~counted))]
    own, theirs = (table.append_column("part", column) for table, column in zip((images, boxes), assigned, strict=True))
    facts = Divided(
        parts,
        np.bincount(part, minlength=len(parts)).tolist(),
        np.bincount(part[image_of[counted]], minlength=len(parts)).tolist(),
        [len(np.unique(group[part == number])) for number in range(len(parts))],
        int((sizes[group] > 1).sum()),
        by,
        seen,
        drift,
        {name: [row[0] for row in drift if sum(row[1 : 1 + len(parts)]) and not row[1 + number]]
         for number, name in enumerate(parts)},
        int((~counted).sum()),
        repeated,
    )  # fmt: skip
    columns = {name: images[name] for name in ("split", "image_id", "file_name")}
    table = columns | {"part": own["part"], "group": pa.array(group), "group_images": pa.array(sizes[group])}
    kept = {
        "images": own.select(IMAGES.names).cast(IMAGES),
        "annotations": theirs.select(ANNOTATIONS.names).cast(ANNOTATIONS),
    }
    return Output(facts, {"divided": schema.from_columns("divided", table, run=work.run)}, kept)


def _once(images: pa.Table, boxes: pa.Table) -> tuple[pa.Table, pa.Table, int]:
    """Images and boxes without the entries that another split states too, and how many these are."""
    columns = [images[name].to_pylist() for name in ("source_file", "image_row", "file_name")]
    first: dict[tuple[Any, ...], int] = {}
    keep = [not entry[0] or first.setdefault(entry, row) == row for row, entry in enumerate(zip(*columns, strict=True))]
    kept = images.filter(pa.array(keep, pa.bool_())).combine_chunks()
    gone = {*_keys(images)} - {*_keys(kept)}
    boxes = boxes.filter(pa.array([key not in gone for key in _keys(boxes)], pa.bool_())) if gone else boxes
    return kept, boxes.combine_chunks(), images.num_rows - kept.num_rows


def _require_images(parts: Sequence[str], part: Ints, groups: int) -> None:
    if empty := [name for number, name in enumerate(parts) if not (part == number).any()]:
        apart = f", in {groups} group{'s' if groups > 1 else ''} that stay together" if groups < len(part) else ""
        raise UsageError(
            f"no image is left for {' and '.join(empty)}: there are {len(part)} images{apart};"
            " ask for a larger share or for fewer parts (--test 0), or give more data"
        )


def _keys(table: pa.Table) -> list[tuple[Any, Any]]:
    return list(zip(table["split"].to_pylist(), table["image_id"].to_pylist(), strict=True))


def _groups(work: DivideWork, images: pa.Table, place: dict[tuple[Any, Any], int]) -> tuple[Ints, list[str], int]:
    """The group of each image, by what they are held together, and how many pictures were seen."""
    entries = list(zip(images["source_file"].to_pylist(), images["file_name"].to_pylist(), strict=True))
    paths = images["path"].to_pylist()
    links = [
        same([path or (entry if entry[1] else None) for path, entry in zip(paths, entries, strict=True)]),
        same([key if key[1] is not None else None for key in _keys(images)]),  # whose boxes nobody can tell apart
    ]
    by = []
    stats = work.data.read("image_stats", columns=_STATS)
    stats = stats.filter(pc.and_(stats["is_decoded"], pc.is_valid(stats["perceptual_hash"])))
    stats = stats.filter(pa.array([key in place for key in _keys(stats)], pa.bool_()))
    rows = np.array([place[key] for key in _keys(stats)], np.int64)
    if len(rows):
        hashes = numpy(stats, "perceptual_hash")
        links += alike(rows, stats["file_name"].to_pylist(), hashes, stats["content_hash"].to_pylist())
        by.append("what they look like")
    columns = {name: images[name].to_pylist() for name in images.column_names}
    values, said = named(work.settings.group, columns)
    links.append(same(values))
    return groups(images.num_rows, links), [*by, *([said] if said else [])], len(rows)


def _counts(boxes: pa.Table, image_of: Ints, group: Ints) -> tuple[Ints, Ints, Floats]:
    """Boxes of each class and size by group ``[g, l]``, and of all boxes the class and the side, px."""
    classes = tables.numpy(boxes, "category_id", -1)
    area = tables.numpy(boxes, "area", np.nan)
    box = tables.numpy(boxes, "width", np.nan) * tables.numpy(boxes, "height", np.nan)
    area = np.where(np.isfinite(area) & (area > 0), area, box)
    size = np.searchsorted([AREA_LIMITS["small"][1], AREA_LIMITS["medium"][1]], np.nan_to_num(area))
    counted = (image_of >= 0) & ~tables.numpy(boxes, "is_crowd", False)
    labels, codes = np.unique(np.stack([classes, size], axis=1)[counted], axis=0, return_inverse=True)
    found = np.zeros((group.max(initial=-1) + 1, len(labels)), np.int64)
    np.add.at(found, (group[image_of[counted]], codes.reshape(-1)), 1)
    return found, classes, np.sqrt(np.maximum(area, 0.0))


@dataclass(frozen=True)
class Part:
    """A part to write, and the rows of the whole data set, each with the part it goes to."""

    name: str
    images: Kept
    annotations: Kept


class Described(msgspec.Struct, frozen=True):
    """The split of a configuration that reads a part."""

    split: dict[str, str | list[str] | None]


def write(work: DivideWork, task: Part) -> Output[Described]:
    """The files of a part."""
    found = work.formats.write(task.name, task.images.read(), task.annotations.read())
    return Output(Described(msgspec.convert(found.split, dict[str, str | list[str] | None])), files=found.files)


@dataclass(frozen=True)
class Whole:
    """What all parts share: the rows, and the text of the configuration."""

    parts: tuple[str, ...]
    images: Kept
    text: str


def describe(work: DivideWork, task: Whole) -> Output[NoFacts]:
    """Write the configuration of the result, and what its parts share."""
    beside = work.formats.beside(task.parts, task.images.read())
    return Output(NoFacts(), files=beside | {DATASET: task.text.encode()})


DATASET = "dataset.yaml"
DIVIDE: Step[DivideWork, None, Divided] = Step(
    "divide", divide, Divided, (Keep("images", IMAGES), Keep("annotations", ANNOTATIONS))
)
WRITE: Step[DivideWork, Part, Described] = Step("write", write, Described, label="write parts")
DESCRIBE: Step[DivideWork, Whole, NoFacts] = Step("describe", describe, NoFacts)
