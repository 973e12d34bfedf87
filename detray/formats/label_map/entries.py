"""A label map as it was read: its classes, and what is wrong with it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from detray.formats.values import is_text
from detray.meaning.reading import Listed

MAX_BYTES = 16 << 20
"""A longer file is no label map."""


@dataclass(frozen=True)
class Entry:
    """One class; ``name`` is what annotations and TFRecords call it, ``display_name`` the words for people.

    ``is_position``: the file states no ids, and ``id`` is the place in it, from 1.
    """

    id: int | None
    name: str | None
    display_name: str | None = None
    line: int | None = None
    is_position: bool = False

    @property
    def label(self) -> str | None:
        """The words for people, else the name."""
        return self.display_name or self.name


@dataclass(frozen=True)
class Problem:
    """Something that makes a label map unusable as it stands: ``line`` from 1, ``observed``, and what is expected."""

    line: int | None
    observed: str
    expected: str


@dataclass(frozen=True)
class LabelMap:
    """The classes of a label map in their order, and what is wrong with it."""

    path: str
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def names(self) -> dict[int, str]:
        """Label by id, the first of each id; entries without id or name are left out."""
        found: dict[int, str] = {}
        for entry in self.entries:
            if entry.id is not None and entry.label is not None:
                found.setdefault(entry.id, entry.label)
        return found

    @property
    def listed(self) -> Listed:
        """All names of each id, for reading class ids by."""
        names: dict[int, tuple[str, ...]] = {}
        for entry in self.entries:
            stated = tuple(dict.fromkeys(name for name in (entry.display_name, entry.name) if name is not None))
            if entry.id is not None and stated:
                names.setdefault(entry.id, stated)
        return Listed(self.path, names, is_numbered=not all(entry.is_position for entry in self.entries))

    @property
    def ids(self) -> dict[str, int]:
        """Id by display name and by name; a name that several entries share (as 'NA') names none of them."""
        found: dict[str, int] = {}
        for kind in ("display_name", "name"):
            shared = Counter(getattr(entry, kind) for entry in self.entries)
            for entry in self.entries:
                name = getattr(entry, kind)
                if entry.id is not None and name is not None and shared[name] == 1:
                    found.setdefault(name, entry.id)
        return found


def problems_of(classes: Mapping[int, str]) -> list[str]:
    """What is wrong with a label map of these classes, in words."""
    return list(dict.fromkeys(problem.observed for problem in check([Entry(k, name) for k, name in classes.items()])))


def check(entries: Sequence[Entry]) -> Iterator[Problem]:
    """What no label map may have, however it is written."""
    ids = Counter(entry.id for entry in entries)
    labels = Counter(entry.label for entry in entries)
    for entry in entries:
        if entry.id is None:
            yield Problem(entry.line, f"class {entry.label!r} has no id", "an id from 1 for each class")
        elif entry.id < 0:
            yield Problem(entry.line, f"id {entry.id}", "an id from 1 for each class")
        elif ids[entry.id] > 1:
            yield Problem(entry.line, f"id {entry.id} stands {ids[entry.id]} times", "each id once")
        if entry.label is None:
            yield Problem(entry.line, f"id {entry.id} has no name", "a name for each class")
        elif labels[entry.label] > 1:
            yield Problem(entry.line, f"name {entry.label!r} stands {labels[entry.label]} times", "each name once")
        for name in dict.fromkeys((entry.name, entry.display_name)):
            if name is not None and not is_text(name):
                yield Problem(entry.line, f"name {name!r}", "a name without the character NUL")
