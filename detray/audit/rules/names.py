"""What the rules on class names share: when two spellings are the same name."""

import re
import unicodedata

_BETWEEN = re.compile(r"[\W_]+")


def plain(name: str) -> str:
    """A name without case, accents' encoding, spaces and punctuation."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", name).casefold())


def singular(name: str) -> str:
    """`plain`, and an English plural's ending taken off."""
    word = plain(name)
    for ending, kept in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + kept
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
