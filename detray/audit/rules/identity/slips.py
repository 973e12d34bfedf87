"""Names that a slip of the pen tells apart."""

_LEAST_LETTERS, _LEAST_TO_REPLACE = 6, 8
"""Of the shorter of two names; shorter ones are words of their own (shirt, skirt)."""


def is_slip(one: str, other: str) -> bool:
    """Whether plain names (`detray.meaning.names.plain`) differ by one letter within them.

    It is left out, put in, replaced, or exchanged with the next. Digits tell names apart, and so does the first or the
    last letter (bottle a and bottle b, carrot and parrot).
    """
    shorter, longer = sorted((one, other), key=len)
    if one == other or len(longer) - len(shorter) > 1 or len(shorter) < _LEAST_LETTERS:
        return False
    start = next(at for at in range(len(longer)) if shorter[at : at + 1] != longer[at])
    if len(shorter) < len(longer):
        changed = longer[start]
        is_near = 0 < start < len(shorter) and shorter[start:] == longer[start + 1 :]
    elif shorter[start + 1 :] == longer[start + 1 :]:
        changed = shorter[start] + longer[start]
        is_near = 0 < start < len(shorter) - 1 and len(shorter) >= _LEAST_TO_REPLACE
    else:
        changed = longer[start : start + 2]
        is_near = shorter[start : start + 2] == changed[::-1] and shorter[start + 2 :] == longer[start + 2 :]
    return is_near and changed.isalpha()


def slip_keys(word: str) -> set[str]:
    """Texts of which two names have one in common if a slip tells them apart: a name, and it without each letter."""
    if len(word) < _LEAST_LETTERS:
        return set()
    return {word} | {word[:at] + word[at + 1 :] for at in range(len(word))}
