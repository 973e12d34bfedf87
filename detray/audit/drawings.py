"""How far two drawings of one picture agree.

Boxes of the two are matched class by class, one to one, the highest IoU first and at least at .5: those matched at a
higher threshold are then the matches of at least that IoU. What is left of both is matched once more whatever its
class: the classes that differ.

Left out are pictures that one of the two left without boxes; copies, half of whose matches or more coincide up to the
rounding of pixels (nobody draws so: the boxes were taken over, and the few others corrected); and pictures that are
only nearly the same and half of whose boxes find no partner of any class: another moment of the scene. What is nearly
the same may be the scene some pixels aside: the second drawing is moved by the median offset of the matches first.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Flags, Floats, Ints
from detray.audit import tally
from detray.audit.pairs import sweep
from detray.audit.view import NO_ID, distinct

MIN_IOU = 0.5

MIN_MATCHES = 4
"""Of a pair of pictures, from which on their offset is no accident of drawing."""

BOXES = pa.schema(
    [
        ("pair", pa.uint64()),
        ("is_second", pa.bool_()),
        ("picture", pa.uint64()),
        ("is_near", pa.bool_()),
        ("first_split", pa.string()),
        ("second_split", pa.string()),
        ("row", pa.int64()),
        ("other", pa.string()),
        ("other_file_name", pa.string()),
        ("other_split", pa.string()),
        ("class", pa.uint64()),
        ("category_id", pa.int64()),
        ("order", pa.int64()),
        *((name, pa.float64()) for name in ("x", "y", "width", "height", "half_x", "half_y")),
    ]
)
"""Boxes of pairs of drawings, as shares of their picture; half_x and half_y are half a pixel of it.

``picture`` is one where several pairs are of one; ``row`` that of the image in its shard; ``other`` says in words
whom the image is compared with (NULL: the image is told of by the first drawing), and ``other_file_name`` and
``other_split`` name the other picture, if there is one; ``class`` is the same in both splits.
"""

PICTURES = pa.schema(
    [
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("other", pa.string()),
        ("other_file_name", pa.string()),
        ("other_split", pa.string()),
        ("splits", pa.string()),
        *((name, pa.int64()) for name in ("mine", "theirs", "matched", "close", "differing")),
        ("median", pa.float64()),
    ]
)
"""Images that are drawn twice: boxes of both drawings, those matched at .5, at .75 (``close``), those whose class
differs, and the median IoU of the matches (NULL without)."""


@dataclass(frozen=True)
class _Pairs:
    """Pairs of drawings: places of matched boxes, of those of different class, and which pairs are two drawings."""

    first: Ints
    second: Ints
    iou: Floats
    differing: Ints
    is_drawn_twice: Flags


def one_to_one(first: Ints, second: Ints, iou: Floats) -> Ints:
    """Which of some pairs are matched where each row is matched once, and of all left the highest IoU goes first.

    Equal ones go by the place of the first row, then of the second.
    """
    left = np.lexsort((second, first, -iou))
    chosen = [left[:0]]
    while len(left):
        taken = np.zeros(len(left), bool)
        taken[np.unique(first[left], return_index=True)[1]] = True
        alone = np.zeros(len(left), bool)
        alone[np.unique(second[left], return_index=True)[1]] = True
        best = left[taken & alone]
        chosen.append(best)
        left = left[~np.isin(first[left], first[best]) & ~np.isin(second[left], second[best])]
    return np.sort(np.concatenate(chosen))


def compare(boxes: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What pairs of drawings agree on, all of the same two splits.

    Args:
        boxes: as `BOXES`, with the column ``shard``.

    Returns:
        A tally, and `PICTURES`. By class (NULL: one that the first drawings have not) the tally has ``drawn:boxes``
        (key 0 those of the first drawing, 1 of the second), ``drawn:matched`` (key: IoU in hundredths) and
        ``drawn:class_pictures``; without class ``drawn:pictures`` and ``drawn:differing``.
    """
    boxes = _aligned(_in_order(boxes))
    code = _pair_codes(boxes)
    found = _match(boxes, code)
    drawn = found.is_drawn_twice[code]
    picture = np.unique(tables.numpy(boxes, "picture"), return_inverse=True)[1]
    keep = found.is_drawn_twice[code[found.first]]
    first, iou = found.first[keep], found.iou[keep]
    differing = found.differing[found.is_drawn_twice[code[found.differing]]]
    second, category = tables.numpy(boxes, "is_second"), _categories(boxes)
    ids, codes = distinct(category)
    pictures_of = np.unique(np.stack([picture[drawn], codes[drawn]]), axis=1)
    hundredths = np.floor(100 * iou + 1e-9).astype(np.int64)
    counted = [
        tally.count_all("drawn:pictures", np.zeros(len(np.unique(picture[drawn])), np.int64)),
        tally.count_all("drawn:differing", np.zeros(len(differing), np.int64)),
        tally.count("drawn:boxes", ids, codes[drawn], second[drawn].astype(np.int64)),
        tally.count("drawn:matched", ids, codes[first], hundredths),
        tally.count("drawn:class_pictures", ids, pictures_of[1]),
    ]
    told = _pictures(boxes, picture, drawn, picture[first], iou, picture[differing])
    return pa.concat_tables([tally.TALLY.empty_table(), *counted]), told


def _in_order(boxes: pa.Table) -> pa.Table:
    return boxes.sort_by([(name, "ascending") for name in ("pair", "x", "is_second", "order")]).combine_chunks()


def _pair_codes(boxes: pa.Table) -> Ints:
    codes: Ints = np.unique(tables.numpy(boxes, "pair"), return_inverse=True)[1]
    return codes


def _aligned(boxes: pa.Table) -> pa.Table:
    """The boxes, those of the second drawings of near-duplicates moved by the median offset of their matches."""
    near = tables.numpy(boxes, "is_near")
    if not near.any():
        return boxes
    code = _pair_codes(boxes)
    found, sides = _match(boxes, code), _columns(boxes, "x", "y", "width", "height")
    if not len(found.first):
        return boxes
    centres = sides[:, :2] + sides[:, 2:] / 2
    offsets = centres[found.second] - centres[found.first]
    moves = np.zeros((len(found.is_drawn_twice), 2))
    order = np.argsort(code[found.first], kind="stable")
    pairs, starts = np.unique(code[found.first][order], return_index=True)
    for pair, members in zip(pairs.tolist(), np.split(offsets[order], starts[1:]), strict=True):
        moves[pair] = np.median(members, axis=0) if len(members) >= MIN_MATCHES else 0.0
    moved = sides[:, :2] - moves[code] * (near & tables.numpy(boxes, "is_second"))[:, None]
    for place, name in enumerate("xy"):
        boxes = boxes.set_column(boxes.schema.get_field_index(name), name, pa.array(moved[:, place]))
    return _in_order(boxes)


def _match(boxes: pa.Table, code: Ints) -> _Pairs:
    """Match the boxes of each pair ``code``; they are in its order and that of their left edges."""
    sides = _columns(boxes, "x", "y", "width", "height")
    second, named = tables.numpy(boxes, "is_second"), tables.numpy(boxes, "class")
    (one, other, iou), _ = sweep(sides, code, MIN_IOU)
    across = second[one] != second[other]
    one, other, iou = one[across], other[across], iou[across]
    one, other = np.where(second[one], other, one), np.where(second[one], one, other)
    alike = np.flatnonzero(named[one] == named[other])
    matched = alike[one_to_one(one[alike], other[alike], iou[alike])]
    left = np.flatnonzero(~np.isin(one, one[matched]) & ~np.isin(other, other[matched]))
    differing = left[one_to_one(one[left], other[left], iou[left])]
    n_pairs = int(code.max()) + 1 if len(code) else 0

    def number(rows: Ints) -> Ints:
        return np.bincount(code[rows], minlength=n_pairs)

    n_first, n_second = number(np.flatnonzero(~second)), number(np.flatnonzero(second))
    pairs, same = number(one[matched]), _coincide(boxes, sides, one[matched], other[matched])
    is_copy = (pairs > 0) & (2 * number(one[matched][same]) >= pairs)
    is_near = number(np.flatnonzero(tables.numpy(boxes, "is_near"))) > 0
    is_moment = is_near & (4 * (pairs + number(one[differing])) < n_first + n_second)
    drawn = (n_first > 0) & (n_second > 0) & ~is_copy & ~is_moment
    return _Pairs(one[matched], other[matched], iou[matched], one[differing], drawn)


def _coincide(boxes: pa.Table, sides: Floats, one: Ints, other: Ints) -> Flags:
    """Whether no edge of two boxes is farther from the other's than rounding to pixels moves it."""
    half = np.tile(_columns(boxes, "half_x", "half_y"), 2)
    edges = sides.copy()
    edges[:, 2:] += edges[:, :2]
    apart = np.abs(edges[one] - edges[other]) - np.maximum(half[one], half[other])
    near: Flags = np.all(apart <= 1e-9, axis=1)
    return near


def _categories(boxes: pa.Table) -> Ints:
    """The id of each box's class in the first split; NO_ID where no first drawing has it."""
    first = ~tables.numpy(boxes, "is_second")
    named, category = tables.numpy(boxes, "class"), tables.numpy(boxes, "category_id", NO_ID)
    names, codes = np.unique(named, return_inverse=True)
    ids = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(ids, codes[first], category[first])
    return np.where(ids == np.iinfo(np.int64).max, NO_ID, ids)[codes]


def _pictures(
    boxes: pa.Table, picture: Ints, drawn: Flags, of_match: Ints, iou: Floats, of_differing: Ints
) -> pa.Table:
    """The images among pictures that are drawn twice; ``of_match`` is the picture of each match."""
    n = int(picture.max()) + 1 if len(picture) else 0
    second = tables.numpy(boxes, "is_second")
    sides = [np.bincount(picture[drawn & (second == side)], minlength=n) for side in (False, True)]
    matched = np.bincount(of_match, minlength=n)
    close = np.bincount(of_match[iou >= 0.75], minlength=n)
    ordered = iou[np.lexsort((iou, of_match))]
    starts = np.cumsum(matched) - matched
    middle = np.full(n, np.nan)
    has = matched > 0
    low, high = starts + (matched - 1) // 2, starts + matched // 2
    middle[has] = (ordered[low[has]] + ordered[high[has]]) / 2
    rows = np.flatnonzero(drawn)
    _, first = np.unique(np.stack([picture[rows], second[rows]]), axis=1, return_index=True)
    rows = rows[first]
    rows = rows[boxes["other"].take(pa.array(rows)).is_valid().to_numpy()] if len(rows) else rows
    own, is_second = picture[rows], second[rows]
    chosen = boxes.take(pa.array(rows))
    splits = sorted({*boxes["first_split"].to_pylist(), *boxes["second_split"].to_pylist()})
    return pa.table(
        {
            "shard": chosen["shard"],
            "row": chosen["row"],
            **{name: chosen[name] for name in ("other", "other_file_name", "other_split")},
            "splits": pa.repeat(pa.scalar(" and ".join(splits)), len(rows)),
            "mine": np.where(is_second, sides[1][own], sides[0][own]),
            "theirs": np.where(is_second, sides[0][own], sides[1][own]),
            "matched": matched[own],
            "close": close[own],
            "differing": np.bincount(of_differing, minlength=n)[own],
            "median": pa.array(middle[own], from_pandas=True),
        },
        schema=PICTURES,
    )


def _columns(boxes: pa.Table, *names: str) -> Floats:
    return np.stack([tables.numpy(boxes, name) for name in names], axis=1)
