"""Names of classes: when two spellings are the same name, and which classes of two lists are the same."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BETWEEN = re.compile(r"[\W_]+")
_TELLING = "#%&*@!?"
_VOWELS = "aeiou"
_NO_PLURALS = frozenset({"news", "glasses", "goods", "arms", "shorts", "briefs"})
"""Words that mean another thing than what they look like the plural of."""

_PLACEHOLDER = re.compile(r"(class|label|category|id|object)?[\W_]*\d+", re.IGNORECASE)


def plain(name: str) -> str:
    """A name without case, Unicode's variants, spaces and punctuation.

    What tells names apart stays: symbols (c++ and c#), a hyphen at an end (A-), and that there is something between
    two digits (1.5 and 15).
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    return _BETWEEN.sub(_kept, folded) or folded


def _kept(between: re.Match[str]) -> str:
    start, end, name = between.start(), between.end(), between.string
    at_end = start == 0 or end == len(name)
    kept = "".join(
        sign
        for sign in between[0]
        if sign in _TELLING or unicodedata.category(sign)[0] == "S" or (at_end and unicodedata.category(sign) == "Pd")
    )
    if not kept and not at_end and name[start - 1].isdigit() and name[end].isdigit():
        return "-"
    return kept


def plurals(word: str) -> set[str]:
    """The English plurals that a `plain` name may have."""
    if len(word) < 3:
        return set()
    if word.endswith(("s", "x", "z", "ch", "sh")):
        found = {f"{word}es"}
    elif word[-1] == "y" and word[-2] not in _VOWELS:
        found = {f"{word[:-1]}ies"}
    else:
        found = {f"{word}s"}
    if word[-1] == "o":
        found.add(f"{word}es")
    for ending in ("fe", "f"):
        if word.endswith(ending):
            found.add(f"{word.removesuffix(ending)}ves")
    return found - _NO_PLURALS


@dataclass(frozen=True)
class Matched:
    """Classes of a list by id: the data's class that each is, and the names of those that the data lacks."""

    ids: Mapping[int, int]
    foreign: Mapping[int, str]


def match_names(theirs: Mapping[int, Sequence[str]], own: Mapping[int, str], *, numbers: bool = False) -> Matched:
    """Which of the data's classes (``own``, by id) those of another list are, each called by one or several names.

    By the same name, else by one that differs only as `plain` and `plurals` say; of several classes that are called
    so, the one with the lowest id. With ``numbers`` a name may also be an id of the data's.
    """
    exact = {str(number): number for number in own} if numbers else {}
    spelt: dict[str, int] = {}
    plural: dict[str, int] = {}
    for number, name in sorted(own.items(), reverse=True):
        exact[name] = spelt[plain(name)] = number
        plural |= dict.fromkeys(plurals(plain(name)), number)

    def found(name: str) -> int | None:
        word = plain(name)
        singular = sorted(spelt[one] for one in plurals(word) if one in spelt)
        return exact.get(name, spelt.get(word, plural.get(word, singular[0] if singular else None)))

    meant = {key: next((k for name in names if (k := found(name)) is not None), None) for key, names in theirs.items()}
    return Matched(
        {key: k for key, k in meant.items() if k is not None},
        {key: names[0] for key, names in theirs.items() if meant[key] is None and names},
    )


def say_nothing(names: Mapping[int, str]) -> bool:
    """Whether all names of a list only number the classes: '3', 'class_3'."""
    return all(_PLACEHOLDER.fullmatch(name.strip()) for name in names.values())
