"""Annotations whose class ids are shifted against the list of classes in their own files."""

from detray import tables
from detray.audit.rule import ERROR, FATAL, Effect, Fact
from detray.audit.summary import Summary

MAX_NAMED = 5


def shifted_against_list(data: Summary, split: str) -> list[Fact]:
    """The fact that all ids of a split's boxes are shifted against its list, if some are not on it and all would be.

    Proven where the shift makes them the whole list; where the list has more classes an error.
    """
    used, listed = sorted({*data.boxes[split], *data.crowds[split]}), data.listed[split]
    shift = tables.shift_onto(used, listed) if data.has_list(split) else None
    if shift is None:
        return []
    is_all = {key + shift for key in used} == listed.keys()
    pairs = [f"{key} is {listed[key + shift] or f'class {key + shift}'}" for key in used[:MAX_NAMED]]
    more = f" and {len(used) - MAX_NAMED} more" if len(used) > MAX_NAMED else ""
    ids = frozenset([*used, *listed])
    return [
        Fact(
            split,
            f"the boxes count classes from {used[0]} and their own list from {min(listed)}: their ids are shifted by"
            f" {-shift:+d} against it, {', '.join(pairs)}{more}",
            fix=f"add {shift} to each category_id of the boxes, or number the list as the boxes do",
            confidence=1.0 if is_all else 0.9,
            severity=FATAL if is_all else ERROR,
            share="own list",
            count=sum(data.boxes[split].get(key, 0) for key in used),
            explains=("unknown-category",),
            effects=tuple(
                Effect(rule, ids, split) for rule in ("absent-class", "class-missing-in-split", "split-drift")
            ),
        )
    ]
