"""How boxes are distributed: their sizes in each split, where they lie, and how many an image holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Flags, Floats, Ints
from detray.report import plots
from detray.report.plots import Axis
from detray.report.reader import Reader
from detray.report.sections.common import Content

MAX_SPLITS = 3
"""Splits whose lines are told apart."""
GRID = 8
"""Cells across and down the map of centres."""
DEPTHS = 5
"""Depths of colour."""
ENOUGH = 20
"""Boxes from which sizes and places are said in words."""
MANY = 256
"""Boxes an image that are told apart; more count as so many."""
DRIFT = 1.25
"""Ratio of two splits' median sizes that is said in words."""
ONE_SIDED, CENTRED = 0.65, 0.5
"""Share of the centres in one half of the picture, and in the quarter around its middle, that is said in words."""

_PER_OCTAVE, _DRAWN = 8, 4  # bins of sizes in an octave, and those of a point of the line
_OCTAVES = 14  # up to 16,384 px
_BINS = _PER_OCTAVE * _OCTAVES
_RANGE = (0.002, 0.998)  # of all boxes, that the axis of sizes covers
_FEW_OCTAVES = 5  # each of which has its tick
_NO_ID = -(2**63)
_SIDES, _BOX = ("width", "height"), ("x", "y", "width", "height")


@dataclass(frozen=True)
class Counts:
    """Counts of the boxes of some classes; the last class stands for all.

    Attributes:
        splits: in the order of the arrays.
        sizes: bins of the square root of the area, int64 ``[splits, classes + 1, bins]``.
        centres: cells of the picture, the topmost row first, int64 ``[classes + 1, GRID, GRID]``.
        images: how many images hold so many boxes, int64 ``[splits, boxes]``; the last: as many, or more.
    """

    splits: Sequence[str]
    sizes: Ints
    centres: Ints
    images: Ints


@dataclass(frozen=True)
class _Images:
    """The images of a split, by rising id: width and height, px, NaN where not stated; how many boxes each holds."""

    ids: Ints
    sides: Floats
    boxes: Ints


def count(reader: Reader, splits: Sequence[str], class_ids: Sequence[int]) -> Counts:
    """Count the boxes of some splits. Of images that share an id the first has all boxes of it."""
    ids = np.sort(np.array(class_ids, np.int64))
    order = np.searchsorted(ids, class_ids)
    sizes = np.zeros((len(splits), len(ids) + 1, _BINS), np.int64)
    centres = np.zeros((len(ids) + 1, GRID, GRID), np.int64)
    images = _images(reader)
    for split, rows in _rows(reader, "annotations", ("category_id", *_BOX)):
        if split not in splits or split not in images:
            continue
        place, is_known = _find(images[split].ids, _numbers(rows, "image_id"))
        np.add.at(images[split].boxes, place[is_known], 1)
        number, is_own = _find(ids, _numbers(rows, "category_id"))
        number = np.where(is_own, number, len(ids))
        box = np.array([_lengths(rows, side) for side in _BOX], np.float64)
        _add_sizes(sizes[splits.index(split)], number, box)
        _add_centres(centres, number[is_known], box[:, is_known], images[split].sides[:, place[is_known]])
    for found in (sizes, centres):  # all classes, and those asked for in the order asked for
        axis = 1 if found is sizes else 0
        total = found.sum(axis=axis, keepdims=True)
        found[...] = np.concatenate([np.take(found, order, axis=axis), total], axis=axis)
    held = [np.minimum(images[split].boxes, MANY) if split in images else np.zeros(0, np.int64) for split in splits]
    return Counts(splits, sizes, centres, np.array([np.bincount(n, minlength=MANY + 1) for n in held]))


def _rows(reader: Reader, table: str, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Some columns of a table, bit by bit and by split, with ``image_id``; rows without one are left out."""
    for batch in reader.batches(table, ("split", "image_id", *columns)):
        rows = batch.filter(pc.field("image_id").is_valid())
        for split in rows["split"].unique().to_pylist():
            yield split, rows.filter(pc.field("split") == split)


def _images(reader: Reader) -> dict[str, _Images]:
    parts: dict[str, list[pa.Table]] = {}
    for split, rows in _rows(reader, "images", _SIDES):
        parts.setdefault(split, []).append(rows)
    found = {}
    for split, tables in parts.items():
        rows = pa.concat_tables(tables)
        ids, first = np.unique(_numbers(rows, "image_id"), return_index=True)
        sides = np.array([_lengths(rows, side)[first] for side in _SIDES], np.float64)
        found[split] = _Images(ids, np.where(sides > 0, sides, np.nan), np.zeros(len(ids), np.int64))
    return found


def _numbers(rows: pa.Table, name: str) -> Ints:
    """Ids; NULL is one that no image or class has."""
    return np.asarray(pc.fill_null(rows[name], _NO_ID), np.int64)


def _lengths(rows: pa.Table, name: str) -> Floats:
    """Pixels; NULL is NaN."""
    return np.asarray(pc.fill_null(rows[name].cast(pa.float64()), np.nan), np.float64)


def _find(ids: Ints, wanted: Ints) -> tuple[Ints, Flags]:
    """Where each of ``wanted`` stands in the rising ``ids``, and whether it does."""
    place = np.minimum(np.searchsorted(ids, wanted), max(len(ids) - 1, 0))
    return place, ids[place] == wanted if len(ids) else np.zeros(len(wanted), bool)


def _add_sizes(sizes: Ints, number: Ints, box: Floats) -> None:
    is_box = (box[2] > 0) & (box[3] > 0)
    octave = np.log2(box[2:, is_box]).mean(axis=0)
    bins = np.clip(octave * _PER_OCTAVE, 0, _BINS - 1).astype(np.int64)
    np.add.at(sizes, (number[is_box], bins), 1)


def _add_centres(centres: Ints, number: Ints, box: Floats, sides: Floats) -> None:
    with np.errstate(over="ignore"):  # absurd coordinates lie outside
        at = (box[:2] + box[2:] / 2) / sides * GRID
    inside = ((at >= 0) & (at < GRID) & (box[2:] > 0)).all(axis=0)  # NaN is not
    column, line = at[:, inside].astype(np.int64)
    np.add.at(centres, (number[inside], line, column), 1)


def plot(counts: Counts, place: int) -> Content:
    """What is drawn of a class, by its place in ``counts``, and what it says: sizes and centres."""
    return {"sizes": _sizes(counts, place), "centres": _centres(counts.centres[place])}


def _sizes(counts: Counts, place: int) -> Content:
    """A line a split, over the octaves that the boxes of all classes cover."""
    every = counts.sizes[:, -1].sum(axis=0).cumsum()
    low, high = (int(np.searchsorted(every, share * every[-1])) // _DRAWN for share in _RANGE)
    own = counts.sizes[:, place]
    wide = own.reshape(len(own), -1, _DRAWN).sum(axis=2)
    drawn = np.zeros((len(own), high + 1 - low), np.int64)  # what lies beyond counts at the ends
    at = np.clip(np.arange(wide.shape[1]), low, high) - low
    for line, all_bins in zip(drawn, wide, strict=True):
        np.add.at(line, at, all_bins)
    high += 1
    shares = drawn / np.maximum(own.sum(axis=1, keepdims=True), 1)
    x, y = Axis(low, high), plots.covering(shares.ravel().tolist(), least=0.01)
    middles = [low, *(np.arange(low, high) + 0.5).tolist(), high]
    chosen = [k for k in range(len(own)) if own[k].any()][:MAX_SPLITS]
    every_octave = 1 if high - low <= _FEW_OCTAVES * _PER_OCTAVE // _DRAWN else 2
    octaves = range(-(-low * _DRAWN // _PER_OCTAVE), high * _DRAWN // _PER_OCTAVE + 1)
    return {
        "lines": [(counts.splits[k], plots.polyline(middles, [0.0, *shares[k].tolist(), 0.0], x, y)) for k in chosen],
        "ticks": [(x.at(o * _PER_OCTAVE / _DRAWN), f"{2**o:,}") for o in octaves if o % every_octave == 0],
        "top": y.high,
        "sentence": _of_sizes(counts.splits, own),
    }


def _of_sizes(splits: Sequence[str], sizes: Ints) -> str:
    """The middle half of the sizes, and the two splits whose medians differ most."""
    n = int(sizes.sum())
    if n < ENOUGH:
        return f"{n} boxes" if n != 1 else "1 box"
    low, high = (_quantile(sizes.sum(axis=0), share) for share in (0.25, 0.75))
    medians = [(_quantile(row, 0.5), split) for row, split in zip(sizes, splits, strict=True) if row.sum() >= ENOUGH]
    said = f"half of them about {low:,.0f} to {high:,.0f} px"
    smallest, largest = min(medians, default=(1.0, "")), max(medians, default=(1.0, ""))
    if largest[0] / smallest[0] < DRIFT:
        return said
    return f"{said}; `{largest[1]}` has {largest[0] / smallest[0]:.1f} times the size of `{smallest[1]}`"


def _quantile(sizes: Ints, share: float) -> float:
    """A quantile of sizes in bins, px: the middle of its bin."""
    at = int(np.searchsorted(sizes.cumsum(), share * sizes.sum()))
    return float(2 ** ((at + 0.5) / _PER_OCTAVE))


def _centres(cells: Ints) -> Content:
    n, half, quarter = int(cells.sum()), GRID // 2, GRID // 4
    sides = {
        "left": cells[:, :half], "right": cells[:, half:], "upper": cells[:half], "lower": cells[half:],
    }  # fmt: skip
    share, side = max((float(part.sum()) / max(n, 1), name) for name, part in sides.items())
    middle = float(cells[quarter:-quarter, quarter:-quarter].sum()) / max(n, 1)
    if n < ENOUGH:
        said = f"{n} boxes" if n != 1 else "1 box"
    elif share >= ONE_SIDED:
        said = f"{share:.0%} in the {side} half"
    else:
        said = f"{middle:.0%} in the middle quarter" if middle >= CENTRED else "all over the picture"
    return {"cells": plots.cells(cells.astype(np.float64), DEPTHS), "sentence": said}


def images(counts: Counts) -> Content:
    """Boxes an image: a line a split, and what most hold."""
    held = counts.images
    total = np.maximum(held.sum(axis=1, keepdims=True), 1)
    edges = [0, 1, *(2**k for k in range(1, MANY.bit_length()))]
    parts = np.add.reduceat(held, edges, axis=1) / total
    last = int(np.flatnonzero(parts.sum(axis=0)).max(initial=1)) + 1
    x, y = Axis(-0.5, last - 0.5), plots.covering(parts.ravel().tolist(), least=0.01)
    every = held.sum(axis=0)
    median = int(np.searchsorted(every.cumsum(), every.sum() / 2))
    names = ["0", "1", *(f"{low}–{2 * low - 1}" for low in edges[2:-1]), f"{MANY}+"]
    step = 1 + last // 5  # so that they do not touch
    return {
        "lines": [
            (split, plots.polyline(range(last), parts[k, :last].tolist(), x, y))
            for k, split in enumerate(counts.splits)
            if held[k].any()
        ][:MAX_SPLITS],
        "ticks": [(x.at(k), names[k]) for k in range(0, last, step)],
        "top": y.high,
        "sentence": f"half of the images hold {median} boxes or fewer; {every[0]:,} hold none",
    }
