"""What the rules on classes, splits and the data set look at: merged tallies, class by class."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.pipeline import StatedPipeline
from detray.audit.tally import Tally
from detray.audit.view import MAX_FILES, distinct_classes
from detray.boxes import Reach
from detray.tables import class_names

GROUPS = pa.schema(
    [
        ("group", pa.uint64()),
        ("rule", pa.string()),
        ("severity", pa.int8()),
        ("scope", pa.string()),
        ("split", pa.string()),
        ("category_id", pa.int64()),
        ("share", pa.string()),
        ("annotator", pa.string()),
        ("whole_file", pa.string()),
        ("n", pa.int64()),
    ]
)
"""How many raw findings each group has, as `findings.group_counts` counts them."""


@dataclass(frozen=True)
class StatedLabelMap:
    """What a label map says: names by id, and what is wrong with it, each with its line (from 1) if known."""

    path: str
    names: Mapping[int, str]
    problems: tuple[tuple[int | None, str], ...] = ()


@dataclass(frozen=True)
class Summary:
    """The data set in counts.

    ``tallies`` of each split; the table ``categories`` of all; the label map, if one is stated; the
    detector, if one is to be trained; ``evidence`` gathered for hypotheses, by split; counts of raw
    findings, as `GROUPS`; of each split the format of its files and how many masks they hold, where that is known; the
    pipeline.config that the model is trained with, if one is stated; and what pictures agree on that are drawn twice,
    by the splits of their two drawings.
    """

    tallies: Mapping[str, Tally]
    categories: pa.Table
    label_map: StatedLabelMap | None = None
    reach: Reach | None = None
    evidence: Mapping[str, Tally] = field(default_factory=dict)
    groups: pa.Table = field(default_factory=GROUPS.empty_table)
    formats: Mapping[str, str] = field(default_factory=dict)
    pipeline: StatedPipeline | None = None
    masks: Mapping[str, int] = field(default_factory=dict)
    drawn: Mapping[tuple[str, str], Tally] = field(default_factory=dict)

    @property
    def splits(self) -> list[str]:
        """The splits, in the order of their names."""
        return sorted(self.tallies)

    @cached_property
    def classes(self) -> dict[str, dict[int, str]]:
        """Name by id of each split's own classes, without those that boxes name and the list has not."""
        found = {split: class_names(distinct_classes(rows)) for split, rows in self.categories_of.items()}
        return {
            split: {key: name for key, name in names.items() if key in (self.listed[split] or names)}
            for split, names in found.items()
        }

    @cached_property
    def stated(self) -> dict[str, dict[int, str | None]]:
        """As `classes`; None where a class has no name of its own."""
        return {split: _by_id(tables.own_classes(rows)) for split, rows in self.categories_of.items()}

    @cached_property
    def listed(self) -> dict[str, dict[int, str | None]]:
        """As `stated`, of the list that the split's boxes have to keep to; empty where only they name classes."""
        return {split: _by_id(tables.listed_classes(rows)) for split, rows in self.categories_of.items()}

    @cached_property
    def categories_of(self) -> dict[str, pa.Table]:
        """The rows of the table ``categories`` of each split."""
        return {name: self.categories.filter(pc.equal(self.categories["split"], name)) for name in self.splits}

    def has_list(self, split: str) -> bool:
        """Whether the split's own files list its classes."""
        own = self.categories_of[split]
        return bool(pc.any(pc.and_(pc.equal(own["source"], "annotations"), tables.is_listed(own))).as_py())

    def annotators(self, split: str) -> list[str]:
        """Who is known to have drawn in a split."""
        return [name.removeprefix("boxes@") for name in self.tallies[split].measures if name.startswith("boxes@")]

    def source_files(self, split: str) -> list[str]:
        """The files of a split, where they are few enough to be told apart."""
        tally = self.tallies[split]
        found = [name.removeprefix("boxes#") for name in tally.measures if name.startswith("boxes#")]
        return found if len(found) <= MAX_FILES and not tally.total("many_files") else []

    def n_images(self, split: str) -> int:
        """Images of a split."""
        return self.tallies[split].total("split_images")

    def each_class(self) -> Iterator[tuple[str, int, str]]:
        """Split, category_id and name of each class of each split."""
        for split in self.splits:
            for category_id, name in self.classes[split].items():
                yield split, category_id, name

    @cached_property
    def boxes(self) -> dict[str, dict[int, int]]:
        """Boxes by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("boxes") for split in self.splits}

    @cached_property
    def crowds(self) -> dict[str, dict[int, int]]:
        """Crowd boxes by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("crowd") for split in self.splits}

    @cached_property
    def images(self) -> dict[str, dict[int, int]]:
        """Images that hold the class, by split and class; classes without are absent."""
        return {split: self.tallies[split].per_class("boxes_per_image") for split in self.splits}


def _by_id(classes: pa.Table) -> dict[int, str | None]:
    """Name by id, the first of each id."""
    pairs = zip(classes["category_id"].to_pylist(), classes["category_name"].to_pylist(), strict=True)
    return dict(reversed(list(pairs)))
