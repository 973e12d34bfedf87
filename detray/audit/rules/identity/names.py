"""What the rules on class names share: when two spellings are the same name."""

import re
import unicodedata

_BETWEEN = re.compile(r"[\W_]+")
_TELLING = "#%&*@!?"
_VOWELS = "aeiou"
_NO_PLURALS = frozenset({"news", "glasses", "goods", "arms", "shorts", "briefs"})
"""Words that mean another thing than what they look like the plural of."""


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
