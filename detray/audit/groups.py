"""Groups of boxes that may share a fault: all of a split, or those of an annotator, a source file or a class.

What a class's boxes measure is counted under its id. What those of an annotator and of a source file
measure is counted without a class, under the measure's name and the group's suffix (`suffix_of`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detray.arrays import Ints
from detray.audit.rule import Fact
from detray.audit.statistics import Histogram, pooled
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import NO_ID, View

MOST = 0.9
"""Share of the judged classes' boxes from which a fault is that of the whole split."""


def suffix_of(annotator: str | None = None, source_file: str | None = None) -> str:
    """The ending of the names of a group's measures."""
    return f"#{source_file}" if annotator is None else f"@{annotator}"


@dataclass(frozen=True)
class Group:
    """Boxes of one split: those of ``category_ids``, or of an annotator, or of a source file.

    ``without`` are the suffixes of annotators and files whose boxes are left out.
    """

    split: str
    category_ids: tuple[int, ...] = (NO_ID,)
    category_name: str | None = None
    annotator: str | None = None
    source_file: str | None = None
    without: tuple[str, ...] = ()

    @property
    def is_class(self) -> bool:
        """The boxes of one class."""
        return self.category_name is not None

    @property
    def is_whole(self) -> bool:
        """All boxes of a split."""
        return not self.is_class and not self.suffix

    @property
    def suffix(self) -> str:
        """The ending of the names of the group's measures; empty where they are counted by class."""
        return suffix_of(self.annotator, self.source_file) if self.category_ids == (NO_ID,) else ""

    @property
    def whose(self) -> str:
        """What follows 'n boxes' in a sentence."""
        name = self.annotator or self.source_file
        return f" of {name}" if name else ""

    def histogram(self, tally: Tally, measure: str) -> Histogram:
        """What a split's ``tally`` has under ``measure`` of the group's boxes."""
        histograms = [tally.histogram(measure + self.suffix, key) for key in self.category_ids]
        if self.without:
            left_out = [tally.histogram(measure + suffix) for suffix in self.without]
            keys, n = pooled([*histograms, *((keys, -n) for keys, n in left_out)])
            return keys[n > 0], n[n > 0]  # an annotator's boxes may have no class
        return histograms[0] if len(histograms) == 1 else pooled(histograms)

    def count(self, tally: Tally, measure: str) -> int:
        """How many things a split's ``tally`` has under ``measure`` of the group's boxes."""
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
    """All boxes of a split that have a class."""
    return Group(split, tuple(sorted(set(data.tallies[split].per_class("boxes")) - {NO_ID})))


def classes(data: Summary, split: str) -> list[Group]:
    """The classes of a split that have boxes."""
    names = data.classes[split]
    return [Group(split, (key,), names.get(key, f"class {key}")) for key in whole(data, split).category_ids]


def annotators(data: Summary, split: str) -> list[Group]:
    """The people who are known to have drawn in a split."""
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
) -> Sequence[Fact]:
    """A fault told of the groups that explain it: some annotators, files or classes, or else the whole split.

    Groups explain the fault of the whole split if the boxes of all others show none. A fault of one class may show in
    what an annotator drew, and the reverse: of several explanations that is told which leaves the smallest share of
    implausible boxes (to a percent), and of those the one of the fewest boxes.

    Args:
        data, split: what is judged.
        is_judged: whether a group has enough boxes.
        verdict: the fault of a group, if it has one.
    """
    tally = data.tallies[split]
    everything = whole(data, split)
    shared = verdict(everything) if is_judged(everything) else None
    explanations: list[tuple[float, int, list[Fact]]] = []
    for several in (annotators(data, split), files(data, split), classes(data, split)):
        judged = [group for group in several if is_judged(group)]
        found = {group: fact for group in judged if (fact := verdict(group)) is not None}
        if found and (shared is None or not _is_of_all(data, shared, judged, found)):
            rest = _rest(everything, list(found))
            if shared is None or (is_judged(rest) and verdict(rest) is None):
                left = rest.count(tally, "implausible") / max(rest.count(tally, "placed"), 1)
                facts = list(found.values())
                explanations.append((round(left, 2), sum(fact.count or 0 for fact in facts), facts))
    if explanations:
        return min(explanations, key=lambda one: one[:2])[-1]
    return [] if shared is None else [shared]


def _is_of_all(data: Summary, shared: Fact, judged: Sequence[Group], found: Mapping[Group, Fact]) -> bool:
    """Whether the groups ``found`` with the fault of the whole split are all that can be judged; of classes, nearly."""
    alike = [group for group in judged if group in found and found[group].share == shared.share]
    if not judged[0].is_class:
        return len(alike) == len(judged)
    boxes = data.boxes[judged[0].split]
    same, of_all = (sum(boxes[group.category_ids[0]] for group in groups) for groups in (alike, judged))
    return same >= MOST * of_all


def _rest(everything: Group, groups: Sequence[Group]) -> Group:
    """What is left of a split without ``groups``."""
    of_classes = {key for group in groups if group.is_class for key in group.category_ids}
    return replace(
        everything,
        category_ids=tuple(key for key in everything.category_ids if key not in of_classes),
        without=tuple(group.suffix for group in groups if group.suffix),
    )


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
