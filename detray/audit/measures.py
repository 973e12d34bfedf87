"""What is counted in every shard, for the rules on classes, splits and the data set.

By class, and where annotators are known once more for each of them without a class (the measure's
name then ends in ``@`` and the annotator):

====================  ==================================================================
boxes, crowd          annotations, crowd regions
boxes_per_image       images that hold the class; key: how many of its boxes
area                  single objects; key 0 small, 1 medium, 2 large (COCO)
size, aspect          objects; key: octave bin of sqrt(w h), of w / h
left, top,            objects in images of known size; key: 64ths of the image's width
right, bottom         or height where that edge lies, from -64 to 256
placed, implausible   boxes of known image size; those that cannot be right as they stand
grid                  objects; key: the largest 2^a 5^b that divides x, y, w and h
effective             objects; key: bins of width and height at the detector's input
companions            images that hold the class and another; key: the other's id, the higher one
====================  ==================================================================

Without a class: ``split_images``, and what `agreement` counts for pairs of annotators.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.audit import tally
from detray.audit.agreement import compare_annotators
from detray.audit.summary import Reach
from detray.audit.view import NO_ID, View

EDGE_STEPS = 64
MIN_EDGE, MAX_EDGE = -EDGE_STEPS, 4 * EDGE_STEPS
OVER_TOLERANCE = 2.0  # px: further outside is implausible
EFFECTIVE_BINS = 8  # an octave
EFFECTIVE_BASE = 1 << 12
MAX_COMPANIONS = 64
"""Classes of one image beyond which their pairs are not counted."""

Ints = NDArray[np.int64]


def measure(view: View, reach: Reach | None = None) -> pa.Table:
    """The tally of one shard; with ``reach`` also of sizes at the detector's input."""
    parts = [tally.count_all("split_images", np.zeros(view.images.num_rows, np.int64))]
    everything = np.flatnonzero(view.category_ids != NO_ID)
    parts += _of_boxes(view, everything, view.class_ids, view.class_codes, "", reach)
    parts += _of_images(view, everything)
    nobody = np.zeros(view.annotations.num_rows, np.int64)
    for name, rows in view.annotators:
        parts += _of_boxes(view, rows, np.array([NO_ID]), nobody, f"@{name}", None)
    parts += compare_annotators(view)
    return pa.concat_tables([tally.TALLY.empty_table(), *parts])


def _of_boxes(view: View, rows: Ints, ids: Ints, codes: Ints, suffix: str, reach: Reach | None) -> Iterator[pa.Table]:
    """Tallies of the annotations ``rows``."""

    def count(measure: str, among: Ints, keys: Ints | None = None) -> pa.Table:
        return tally.count(measure + suffix, ids, codes[among], keys)

    yield count("boxes", rows)
    yield count("crowd", rows[view.is_crowd[rows]])
    stated = rows[~view.is_crowd[rows] & np.isfinite(view.areas[rows])]
    yield count("area", stated, np.digitize(view.areas[stated], [32.0**2, 96.0**2], right=True))
    objects = rows[view.is_object[rows]]
    log_width, log_height = view.log_sides[objects].T
    yield count("size", objects, np.round(tally.BINS_PER_OCTAVE / 2 * (log_width + log_height)).astype(np.int64))
    yield count("aspect", objects, np.round(tally.BINS_PER_OCTAVE * (log_width - log_height)).astype(np.int64))
    yield count("grid", objects, _grid(view.boxes[objects]))
    sized = objects[~np.isnan(view.image_sizes[objects]).any(axis=1)]
    boxes, sizes = view.boxes[sized], view.image_sizes[sized]
    for axis, (low, high) in enumerate((("left", "right"), ("top", "bottom"))):
        scale = EDGE_STEPS / sizes[:, axis]
        yield count(low, sized, _edge(boxes[:, axis] * scale))
        yield count(high, sized, _edge((boxes[:, axis] + boxes[:, axis + 2]) * scale))
    placed = rows[~np.isnan(view.overhang[rows])]
    wrong = (view.overhang[placed] > OVER_TOLERANCE) | (view.boxes[placed, 2:].min(axis=1) < 1)
    yield count("placed", placed)
    yield count("implausible", placed[wrong])
    if reach is not None:
        seen = np.log2([reach.input_width, reach.input_height]) - np.log2(sizes)
        bins = np.round((view.log_sides[sized] + seen) * EFFECTIVE_BINS).astype(np.int64)
        bins = np.clip(bins + EFFECTIVE_BASE // 2, 0, EFFECTIVE_BASE - 1)
        yield count("effective", sized, bins[:, 0] * EFFECTIVE_BASE + bins[:, 1])


def _edge(place: NDArray[np.float64]) -> Ints:
    return np.floor(np.clip(place, MIN_EDGE, MAX_EDGE)).astype(np.int64)


def _grid(boxes: NDArray[np.float64]) -> Ints:
    """The largest 2^a 5^b, at most 160, that divides all four numbers of each box; 1 where they are no integers."""
    whole = (boxes == np.floor(boxes)).all(axis=1) & (np.abs(boxes) < 2**30).all(axis=1)
    numbers = np.where(whole[:, None], boxes, 1).astype(np.int32)
    low_bits = np.bitwise_or.reduce(numbers, axis=1)
    powers = np.minimum(low_bits & -low_bits, 32)
    fives = (numbers % 5 == 0).all(axis=1)
    return (np.maximum(powers, 1) * np.where(fives, 5, 1)).astype(np.int64)


def _of_images(view: View, rows: Ints) -> Iterator[pa.Table]:
    """Tallies of the images that hold each class, and of the classes that stand together."""
    rows = rows[view.image_of[rows] >= 0]
    ids = view.class_ids
    cells = view.image_of[rows] * len(ids) + view.class_codes[rows]
    cells.sort()
    starts = np.ones(len(cells), bool)
    starts[1:] = cells[1:] != cells[:-1]
    first = np.flatnonzero(starts)
    image, code = np.divmod(cells[first], max(len(ids), 1))
    yield tally.count("boxes_per_image", ids, code, np.diff(np.append(first, len(cells))))
    yield _companions(ids, image, code)


def _companions(ids: Ints, image: Ints, code: Ints) -> pa.Table:
    """Images that hold two classes, counted under the first (lower id) with the second's id as key.

    ``image`` and ``code`` (the place of a class in ``ids``) are pairs that differ, in rising order.
    """
    cells = len(ids) ** 2
    found: list[tuple[Ints, Ints]] = []
    active = np.arange(len(image))
    for step in range(1, MAX_COMPANIONS):
        active = active[active + step < len(image)]
        active = active[image[active + step] == image[active]]
        if not len(active):
            break
        keys = code[active] * len(ids) + code[active + step]
        if cells <= 1 << 22:
            n = np.bincount(keys, minlength=cells)
            found.append((np.flatnonzero(n), n[n > 0]))
        else:
            found.append(np.unique(keys, return_counts=True))
    if not found:
        return tally.TALLY.empty_table()
    first, second = np.divmod(np.concatenate([keys for keys, _ in found]), len(ids))
    return tally.count("companions", ids, first, ids[second], np.concatenate([n for _, n in found]))
