"""Lists of classes, and the ways in which class ids may be read by them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from detray.meaning.names import match_names


@dataclass(frozen=True)
class Listed:
    """Classes as a file lists them.

    Attributes:
        source: the file, for sentences.
        names: by id what each class is called, in one or several ways.
        is_numbered: the file states the ids; else they are positions from 1.
    """

    source: str
    names: Mapping[int, Sequence[str]]
    is_numbered: bool = True


@dataclass(frozen=True)
class Reading:
    """One way to read class ids.

    Attributes:
        words: how, in a sentence: "by labels.txt counted from 0".
        ids: the data's class that each id means.
        foreign: the names of ids that mean none of the data's classes.
        is_whole: other ids mean nothing; else they mean themselves.
    """

    words: str
    ids: Mapping[int, int] = field(default_factory=dict)
    foreign: Mapping[int, str] = field(default_factory=dict)
    is_whole: bool = False

    def of(self, number: int) -> int | None:
        """The data's class that an id means; None where it means none."""
        if number in self.ids:
            return self.ids[number]
        return None if self.is_whole or number in self.foreign else number

    def says_as(self, other: "Reading", numbers: Collection[int]) -> bool:
        """Whether two readings say the same of some ids."""
        return all(self.of(number) == other.of(number) for number in numbers)


AS_THEY_STAND = Reading("as they stand")


def by_list(listed: Listed, own: Mapping[int, str], shift: int = 0) -> Reading:
    """Ids as a list numbers them, or gives them by their positions from 1, plus ``shift``."""
    matched = match_names({key + shift: names for key, names in listed.names.items()}, own, numbers=True)
    file = PurePath(listed.source).name
    if listed.is_numbered:
        words = f"by the ids of {file}" + (f" less {-shift}" if shift else "")
    else:
        words = f"by {file} counted from {1 + shift}"
    return Reading(words, matched.ids, matched.foreign, is_whole=not listed.is_numbered)
