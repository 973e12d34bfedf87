"""What is counted in every shard, for the rules on classes, splits and the data set.

By class:

====================  ==================================================================
crowd                 crowd regions
boxes_per_image       images that hold the class; key: how many of its boxes
area                  single objects; key 0 small, 1 medium, 2 large (COCO)
size, aspect          objects; key: octave bin of sqrt(w h), of w / h
exchanged             boxes whose corners are exchanged; key: octave bin of sqrt(w h) in the other order
beside                objects among neighbours; key: octave bin of size over the neighbours' median
effective             objects; key: bins of width and height at the detector's input
at_input              the same at the input that a pipeline.config states
augmented             what `augmented` counts
companions            images that hold the class and another; key: the other's id, the higher one
====================  ==================================================================

By class, and once more without a class for each annotator who is known and each source file, if there
are few (the measure's name then ends as `groups` says):

====================  ==================================================================
boxes                 annotations
placed, implausible   boxes of known image size; those that cannot be right as they stand
left, top,            objects in images of known size; key: 64ths of the image's width
right, bottom         or height where that edge lies, from -64 to 256
grid                  objects; key: the largest 2^a 5^b that divides x, y, w and h
images                images that hold one of the boxes; not by class
====================  ==================================================================

Without a class: ``split_images``, ``many_files`` (shards with more source files than are told apart), ``low_area``
(objects whose stated area is below half of their box's; key: bin of that area), ``objects_per_image`` (images with
objects of any class; key: how many), what `agreement` counts for pairs of annotators, and what
`pattern_counts` does. What `drawings` counts of images that several annotators drew on is added elsewhere.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from detray.arrays import Flags, Floats, Ints
from detray.audit import tally
from detray.audit.agreement import compare_annotators
from detray.audit.groups import of_people_and_files, suffix_of
from detray.audit.pattern_counts import of_patterns
from detray.audit.view import NO_ID, View
from detray.boxes import OVER_TOLERANCE, Reach
from detray.pipeline.geometry import Resize

EDGE_STEPS = 64
MIN_EDGE, MAX_EDGE = -EDGE_STEPS, 4 * EDGE_STEPS
EDGE_ROUNDING = 1 / 16
"""Of a step: about what few digits in a file, and arithmetic, move an edge by."""
EFFECTIVE_BINS = 8  # an octave
EFFECTIVE_BASE = 1 << 12
MAX_COMPANIONS = 64
"""Classes of one image beyond which their pairs are not counted."""

Selection = Ints | slice


def measure(view: View, reach: Reach | None = None, at_input: Resize | None = None) -> pa.Table:
    """The tally of one shard; with ``reach`` and ``at_input`` also of sizes at the input of a detector."""
    parts = [tally.count_all("split_images", np.zeros(view.images.num_rows, np.int64))]
    everything = _among(slice(None), view.category_ids != NO_ID)
    places = pa.concat_tables(_of_places(view, everything, view.class_ids, view.class_codes, ""))
    low = view.is_object & (view.areas > 0) & (view.areas < view.width * view.height / 2)
    parts.append(
        tally.count_all("low_area", np.floor(np.log2(view.areas[low]) * tally.BINS_PER_OCTAVE).astype(np.int64))
    )
    parts.append(_of_whole_images(view))
    parts += [places, *_of_sizes(view, everything, reach, at_input), *_of_images(view, everything)]
    parts += _of_groups(view, places)
    parts += [*compare_annotators(view), *of_patterns(view)]
    return pa.concat_tables([tally.TALLY.empty_table(), *parts])


def _of_groups(view: View, places: pa.Table) -> Iterator[pa.Table]:
    """What `_of_places` counts, by annotator and source file; ``places`` is the same by class."""
    if view.annotations.num_rows and not view.source_files:
        yield tally.count_all("many_files", np.zeros(1, np.int64))
    nobody = np.zeros(view.annotations.num_rows, np.int64)
    for suffix, rows in of_people_and_files(view):
        held = np.zeros(view.images.num_rows + 1, bool)
        held[view.image_of[rows]] = True  # -1, no image, is the last
        yield tally.count_all(f"images{suffix}", np.zeros(np.count_nonzero(held[:-1]), np.int64))
        if len(view.source_files) == 1 and suffix == suffix_of(source_file=view.source_files[0][0]):
            yield tally.without_class(places, suffix)
        else:
            yield from _of_places(view, rows, np.array([NO_ID]), nobody, suffix)


def _of_places(view: View, rows: Selection, ids: Ints, codes: Ints, suffix: str) -> Iterator[pa.Table]:
    """Where the annotations ``rows`` lie; ``codes`` are places in ``ids``."""

    def count(measure: str, among: Selection, keys: Ints | None = None) -> pa.Table:
        return tally.count(measure + suffix, ids, codes[among], keys)

    yield count("boxes", rows)
    objects = _among(rows, view.is_object)
    yield count("grid", objects, _grid(*(side[objects] for side in (view.x, view.y, view.width, view.height))))
    placed = _among(rows, ~np.isnan(view.overhang))
    wrong = (view.overhang > OVER_TOLERANCE) | (view.shorter_side < 1)
    yield count("placed", placed)
    yield count("implausible", _among(rows, wrong))
    sized = _among(rows, view.is_object & ~np.isnan(view.image_width))
    for low, high, place, length, full in (
        ("left", "right", view.x, view.width, view.image_width),
        ("top", "bottom", view.y, view.height, view.image_height),
    ):
        scale = EDGE_STEPS / full[sized]
        # on the border of two bins a box begins in the later one and ends in the earlier one, also if it is mirrored
        yield count(low, sized, _edge(np.floor(place[sized] * scale + EDGE_ROUNDING)))
        yield count(high, sized, _edge(np.ceil((place[sized] + length[sized]) * scale - EDGE_ROUNDING) - 1))


def _of_sizes(view: View, rows: Selection, reach: Reach | None, at_input: Resize | None) -> Iterator[pa.Table]:
    """How large the annotations ``rows`` are, by class."""

    def count(measure: str, among: Selection, keys: Ints | None = None) -> pa.Table:
        return tally.count(measure, view.class_ids, view.class_codes[among], keys)

    yield count("crowd", _among(rows, view.is_crowd))
    stated = _among(rows, ~view.is_crowd & np.isfinite(view.areas))
    area = view.areas[stated]
    yield count("area", stated, (area > 32.0**2).astype(np.int64) + (area > 96.0**2))
    objects = _among(rows, view.is_object)
    log_width, log_height = view.log_width[objects], view.log_height[objects]
    yield count("size", objects, _rounded(tally.BINS_PER_OCTAVE / 2 * (log_width + log_height)))
    yield count("aspect", objects, _rounded(tally.BINS_PER_OCTAVE * (log_width - log_height)))
    exchanged = _among(rows, view.is_exchanged)
    log_area = np.log2(np.abs(view.width[exchanged])) + np.log2(np.abs(view.height[exchanged]))
    yield count("exchanged", exchanged, _rounded(tally.BINS_PER_OCTAVE / 2 * log_area))
    beside = _among(rows, ~np.isnan(view.beside))
    yield count("beside", beside, _rounded(tally.BINS_PER_OCTAVE * view.beside[beside]))
    stretch = None if reach is None else Resize("stretch", reach.input_width, reach.input_height)
    for name, resize in (("effective", stretch), ("at_input", at_input)):
        if resize is not None:
            sized = _among(rows, view.is_object & ~np.isnan(view.image_width))
            yield count(name, sized, _at_input(view, sized, resize))


def _at_input(view: View, rows: Selection, resize: Resize) -> Ints:
    """Bins of width and height at a detector's input."""
    factors = resize.factors(view.image_width[rows], view.image_height[rows])
    seen = [
        np.clip(
            _rounded(EFFECTIVE_BINS * (log_side[rows] + np.log2(factor)) + EFFECTIVE_BASE // 2), 0, EFFECTIVE_BASE - 1
        )
        for log_side, factor in zip((view.log_width, view.log_height), factors, strict=True)
    ]
    return seen[0] * EFFECTIVE_BASE + seen[1]


def _among(rows: Selection, mask: Flags) -> Selection:
    """Those of ``rows`` where ``mask``, which is about all rows; all rows stay a slice, which costs no copy."""
    if isinstance(rows, slice):
        return rows if mask.all() else np.flatnonzero(mask)
    return rows[mask[rows]]


def _rounded(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)


def _edge(bins: Floats) -> Ints:
    return np.clip(bins, MIN_EDGE, MAX_EDGE).astype(np.int64)


def _grid(*sides: Floats) -> Ints:
    """The largest 2^a 5^b, at most 160, that divides all four numbers of each box; 1 where they are no integers."""
    grid = np.ones(len(sides[0]), np.int64)
    rows = np.arange(len(grid))
    for side in sides:
        rows = rows[(side[rows] == np.floor(side[rows])) & (np.abs(side[rows]) < 2**30)]
    numbers = [side[rows].astype(np.int32) for side in sides]
    bits = numbers[0] | numbers[1] | numbers[2] | numbers[3]
    fives = np.logical_and.reduce([number % 5 == 0 for number in numbers])
    grid[rows] = np.clip(bits & -bits, 1, 32) * np.where(fives, 5, 1)
    return grid


def _of_whole_images(view: View) -> pa.Table:
    """Images with objects of any class; key: how many."""
    n = np.bincount(view.image_of[view.is_object & (view.image_of >= 0)], minlength=view.images.num_rows)
    return tally.count_all("objects_per_image", n[n > 0])


def _of_images(view: View, rows: Selection) -> Iterator[pa.Table]:
    """Tallies of the images that hold each class, and of the classes that stand together."""
    ids = view.class_ids
    cells = np.sort(view.cells[_among(rows, view.image_of >= 0)])
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
    ends = np.append(np.flatnonzero(np.diff(image)) + 1, len(image))
    later = np.repeat(ends, np.diff(ends, prepend=0)) - np.arange(1, len(image) + 1)  # classes that follow each
    later = np.minimum(later, MAX_COMPANIONS - 1)
    first = np.repeat(np.arange(len(image)), later)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(later) - later, later)
    return tally.count("companions", ids, code[first], code[second], names=ids)
