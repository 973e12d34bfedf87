"""What has no number in the files gets one: classes by their names, images by their place among all names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.flow.flow import Flow
from detray.flow.step import Output, Step
from detray.formats import canonical, chunk
from detray.formats.catalogue import by_name
from detray.formats.classes import Pair, categories_table, contradictions, number_names, shifted
from detray.formats.label_map import LabelMap
from detray.formats.listing import listed_names
from detray.formats.splits import Range, ReadSplit


@dataclass(frozen=True)
class DataSet:
    """All splits as they were read. ``run``: what rows are marked with."""

    run: str
    splits: tuple[ReadSplit, ...]


class ClassNumbers(msgspec.Struct, frozen=True):
    """The classes of a data set.

    Attributes:
        ids: by split the number of each name that has none of its own.
        counts: how many there are, by split.
        wrong: by split, as `classes.contradictions`: number, name, field and what is meant.
        unlisted: names of a split's list that no image has.
        shifted: as `classes.shifted`, of the splits of which there is something to say.
        names: by split the name of each class that has one.
    """

    ids: dict[str, dict[str, int]]
    counts: dict[str, int]
    wrong: dict[str, list[tuple[int, str, str, str]]]
    unlisted: dict[str, int]
    shifted: dict[str, str]
    names: dict[str, dict[int, str]]

    def contradictions(self, split: str) -> Mapping[Pair, tuple[str, str]]:
        return {(number, name): (field, meant) for number, name, field, meant in self.wrong[split]}


class Count(msgspec.Struct, frozen=True):
    """How many images a range has."""

    images: int


def gather(work: DataSet, label_map: LabelMap | None) -> Output[ClassNumbers]:
    """The table ``categories``, and what could not be read."""
    stated: dict[str, pa.Table] = {}
    lost = [schema.empty("quarantine")]
    unlisted: dict[str, int] = {}
    for split in work.splits:
        source = split.source
        if source.list is not None and not by_name(source.format).applies_list:
            images = (found.images.kept.read() for found in split.chunks)
            missing = canonical.missing_of_list(listed_names(source.list), images, source.list)
            unlisted[source.split] = missing.num_rows
            lost.append(_quarantine(missing, work.run, source.split))
        own = [found.categories.read() for found in split.chunks]
        stated[source.split] = pa.concat_tables([chunk.CATEGORIES.empty_table(), *own])
        lost += [_quarantine(found.quarantine.read(), work.run, source.split) for found in split.chunks]
    ids = number_names(stated, label_map)
    wrong = {split: contradictions(table) for split, table in stated.items()}
    categories = categories_table(stated, ids, label_map, work.run, wrong)
    own = categories.filter(pc.equal(categories["source"], "annotations"))
    counts = {split: len(pc.unique(own.filter(pc.equal(own["split"], split))["category_id"])) for split in stated}
    told = {split: [(*pair, *meant) for pair, meant in found.items()] for split, found in wrong.items()}
    shifts = {split: said for split, table in stated.items() if (said := shifted(table, label_map))}
    names = {split: _names(categories.filter(pc.equal(categories["split"], split))) for split in stated}
    facts = ClassNumbers(ids, counts, told, unlisted, shifts, names)
    return Output(facts, {"categories": categories, "quarantine": pa.concat_tables(lost)})


def _names(categories: pa.Table) -> dict[int, str]:
    own = tables.own_classes(categories.filter(categories["category_name"].is_valid()))
    return tables.class_names(own.filter(own["category_id"].is_valid()))


def _quarantine(rows: pa.Table, run: str, split: str) -> pa.Table:
    return canonical.canonical("quarantine", rows, run, split, stage=pa.repeat("ingest", rows.num_rows))


def count(work: DataSet, item: Range) -> Output[Count]:
    """How many images a range has; one that several chunks name is one."""
    images = canonical.merge_images(work.splits[item.split].images(item.low, item.high), "key")
    return Output(Count(images.num_rows))


CLASSES: Step[DataSet, LabelMap | None, ClassNumbers] = Step("classes", gather, ClassNumbers)
RANK: Step[DataSet, Range, Count] = Step("rank", count, Count)


def first_images(flow: Flow, data: DataSet, ranges: Sequence[Range]) -> dict[int, int]:
    """The first image_id of each range of the splits whose images have no numbers, by its index."""
    unnumbered = {f"{item.index:05d}": item for item in ranges if data.splits[item.split].by == "key"}
    counted = flow.map(RANK, data, unnumbered)
    first: dict[int, int] = {}
    reached: dict[int, int] = {}
    for key, item in unnumbered.items():
        first[item.index] = reached.get(item.split, 1)
        reached[item.split] = first[item.index] + counted[key].facts.images
    return first
