"""Annotations whose class ids are shifted against their own files' list of classes, the label map or another split."""

from collections.abc import Mapping

from detray import tables
from detray.audit.rule import ERROR, FATAL, Effect, Fact
from detray.audit.summary import Summary

MAX_NAMED = 5


def shifted_against_list(data: Summary, split: str) -> list[Fact]:
    """The fact that all ids of a split's boxes are shifted against its list, if some are not on it and all would be.

    Proven where the shift makes them the whole list; where the list has more classes an error.
    """
    return _shifted(data, split, data.listed[split], "their own list") if data.has_list(split) else []


def shifted_against_map(data: Summary, split: str) -> list[Fact]:
    """The same against the label map, of boxes that carry numbers without names, and no list of their own."""
    names = data.label_map.names if data.label_map is not None else {}
    if data.has_list(split) or any(name not in (None, names.get(key)) for key, name in data.stated[split].items()):
        return []
    return _shifted(data, split, names, "the label map")


def shifted_against_split(data: Summary, split: str, other: str) -> list[Fact]:
    """The same against another split, where boxes of neither have names, nor a list."""
    if any(data.has_list(one) or any(data.stated[one].values()) for one in (split, other)):
        return []
    return _shifted(data, split, data.stated[other], f"those of split {other}")


def _shifted(data: Summary, split: str, listed: Mapping[int, str | None], whose: str) -> list[Fact]:
    used = sorted({*data.boxes[split], *data.crowds[split]})
    shift = tables.shift_onto(used, listed)
    if shift is None:
        return []
    is_all = {key + shift for key in used} == listed.keys()
    pairs = [f"{key} is {listed[key + shift] or f'class {key + shift}'}" for key in used[:MAX_NAMED]]
    more = f" and {len(used) - MAX_NAMED} more" if len(used) > MAX_NAMED else ""
    ids = frozenset([*used, *listed])
    return [
        Fact(
            split,
            f"the boxes count classes from {used[0]} and {whose} from {min(listed)}: their ids are shifted by"
            f" {-shift:+d} against it, {', '.join(pairs)}{more}",
            fix=f"add {shift} to each category_id of the boxes, or number the list as the boxes do",
            confidence=1.0 if is_all else 0.9,
            severity=FATAL if is_all else ERROR,
            share=whose,
            count=sum(data.boxes[split].get(key, 0) for key in used),
            explains=("unknown-category",),
            effects=(
                *(Effect(rule, ids, split) for rule in ("absent-class", "category-id-zero", "split-drift")),
                Effect("class-missing-in-split", ids),
            ),
        )
    ]
