"""Groups of boxes that may share a fault: all of a split, or those of an annotator, a source file or a class.

What a class's boxes measure is counted under its id. What those of an annotator and of a source file
measure is counted without a class, under the measure's name and the group's suffix (`suffix_of`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detray.audit.rule import Fact
from detray.audit.statistics import Histogram, pooled
from detray.audit.summary import Summary
from detray.audit.tally import Ints, Tally
from detray.audit.view import NO_ID, View

MOST = 0.9
"""Share of the judged classes' boxes from which a fault is that of the whole split."""

Limits = Mapping[str, float]


def suffix_of(annotator: str | None = None, source_file: str | None = None) -> str:
    """The ending of the names of a group's measures."""
    return f"#{source_file}" if annotator is None else f"@{annotator}"


@dataclass(frozen=True)
class Group:
    """Boxes of one split: those of ``category_ids``, or of an annotator, or of a source file."""

    split: str
    category_ids: tuple[int, ...] = (NO_ID,)
    category_name: str | None = None
    annotator: str | None = None
    source_file: str | None = None

    @property
    def is_class(self) -> bool:
        return self.category_name is not None

    @property
    def is_whole(self) -> bool:
        return not self.is_class and not self.suffix

    @property
    def suffix(self) -> str:
        return suffix_of(self.annotator, self.source_file) if self.category_ids == (NO_ID,) else ""

    @property
    def whose(self) -> str:
        """What follows 'n boxes' in a sentence."""
        name = self.annotator or self.source_file
        return f" of {name}" if name else ""

    def histogram(self, tally: Tally, measure: str) -> Histogram:
        histograms = [tally.histogram(measure + self.suffix, key) for key in self.category_ids]
        return histograms[0] if len(histograms) == 1 else pooled(histograms)

    def count(self, tally: Tally, measure: str) -> int:
        return int(self.histogram(tally, measure)[1].sum())

    def n_images(self, data: Summary) -> int:
        """Images that hold any of the boxes; of a whole split all its images."""
        if self.suffix:
            return data.tallies[self.split].total(f"images{self.suffix}")
        return data.images[self.split].get(self.category_ids[0], 0) if self.is_class else data.n_images(self.split)

    def fact(
        self, observed: str, count: int, *, confidence: float = 1.0, kind: str | None = None, **columns: object
    ) -> Fact:
        """A finding about the group; ``kind`` tells faults of one rule apart."""
        return Fact(
            self.split,
            observed,
            count=count,
            confidence=confidence,
            share=kind,
            category_id=self.category_ids[0] if self.is_class else None,
            category_name=self.category_name,
            annotator=self.annotator,
            source_file=self.source_file,
            **columns,  # type: ignore[arg-type]  # further fields of Fact, by name
        )


def whole(data: Summary, split: str) -> Group:
    return Group(split, tuple(sorted(set(data.tallies[split].per_class("boxes")) - {NO_ID})))


def classes(data: Summary, split: str) -> list[Group]:
    names = data.classes[split]
    return [Group(split, (key,), names.get(key, f"class {key}")) for key in whole(data, split).category_ids]


def annotators(data: Summary, split: str) -> list[Group]:
    return [Group(split, annotator=name) for name in data.annotators(split)]


def files(data: Summary, split: str) -> list[Group]:
    """The source files of a split that has several, but no more than are told apart."""
    found = [Group(split, source_file=path) for path in data.source_files(split)]
    return found if len(found) > 1 else []


def every(data: Summary, split: str) -> list[Group]:
    """Annotators, source files and classes."""
    return [*annotators(data, split), *files(data, split), *classes(data, split)]


def at_fault(
    data: Summary, split: str, is_judged: Callable[[Group], bool], verdict: Callable[[Group], Fact | None]
) -> Iterator[Fact]:
    """A fault told of the groups that explain it: some annotators, or files; else the whole split; else classes.

    Args:
        data, split: what is judged.
        is_judged: whether a group has enough boxes.
        verdict: the fault of a group, if it has one.
    """
    for several in (annotators(data, split), files(data, split)):
        judged = [group for group in several if is_judged(group)]
        found = [fact for group in judged if (fact := verdict(group)) is not None]
        if 0 < len(found) < len(judged):
            yield from found
            return
    members = [group for group in classes(data, split) if is_judged(group)]
    of_class = [fact for group in members if (fact := verdict(group)) is not None]
    everything = whole(data, split)
    shared = verdict(everything) if is_judged(everything) else None
    if shared is not None:
        boxes = data.boxes[split]
        alike = {fact.category_id for fact in of_class if fact.share == shared.share}
        same = sum(boxes[group.category_ids[0]] for group in members if group.category_ids[0] in alike)
        if same >= MOST * sum(boxes[group.category_ids[0]] for group in members):
            yield shared
            return
    yield from of_class


def members(view: View, groups: Sequence[Group]) -> Iterator[tuple[str, Ints, Ints, Ints]]:
    """The boxes of groups in one shard, as `tally.count` takes them: suffix, class ids, rows and their class codes."""
    ids = [key for group in groups if not group.suffix for key in group.category_ids]
    rows = np.flatnonzero(np.isin(view.class_ids, ids)[view.class_codes])
    yield "", view.class_ids, rows, view.class_codes[rows]
    wanted = {group.suffix for group in groups}
    for suffix, mine in of_people_and_files(view):
        if suffix in wanted:
            yield suffix, np.array([NO_ID]), mine, np.zeros(len(mine), np.int64)


def of_people_and_files(view: View) -> Iterator[tuple[str, Ints]]:
    """Suffix and rows of each annotator and each source file of a shard; of files, rows that have a class."""
    for name, rows in view.annotators:
        yield suffix_of(annotator=name), rows
    for path, rows in view.source_files:
        yield suffix_of(source_file=path), rows[view.category_ids[rows] != NO_ID]
