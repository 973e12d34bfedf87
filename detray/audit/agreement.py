"""What annotators who drew on the same images agree on.

Boxes of two annotators match where each is the other's best, at IoU of at least 0.5. Counted for
each pair of annotators, A before B, on the images where both drew, as measures without a class
named ``pair:<what>:<A>|<B>``. Where several images carry one id nobody knows who drew on which,
and they are left out; so are images that more than `MAX_TOGETHER` drew on.

- ``boxes``: boxes of A (key 0) and of B (key 1);
- ``count``: images by boxes of A less boxes of B;
- ``matched``: matches by IoU in hundredths;
- ``classes``: matches of different classes (key 0) and of the same (key 1);
- ``size``: matches by octave bin of sqrt(area of A / area of B).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from detray.arrays import Ints
from detray.audit import tally
from detray.audit.pairs import close_pairs
from detray.audit.view import View

MIN_IOU = 0.5

MAX_TOGETHER = 32
"""Annotators of one image beyond which their pairs are not compared: the field then names no people."""


def compare_annotators(view: View) -> Iterator[pa.Table]:
    """The tallies of every pair of annotators who drew on the same image of the shard."""
    people = view.annotators
    if len(people) < 2:
        return
    images = shared_images(view)
    for one, other in _together(view, images):
        (name, rows), (other_name, other_rows) = people[one], people[other]
        yield from _compare(view, images, f"{name}|{other_name}", rows, other_rows)


def shared_images(view: View) -> Ints:
    """Position of each annotation's image, ``[n]``; -1 where none, or several, have its id, or too many drew on it."""
    ids, n = np.unique(view.own_image_ids, return_counts=True)
    images = np.where(np.isin(view.image_ids, ids[n > 1]), -1, view.image_of)
    drawn, n = np.unique(who_drew(view, images)[:, 0], return_counts=True)
    return np.where(np.isin(images, drawn[n > MAX_TOGETHER]), -1, images)


def who_drew(view: View, images: Ints) -> Ints:
    """Image and annotator, by place, of each pair of them, in order, ``[k, 2]``."""
    drew = np.flatnonzero((view.annotator_codes >= 0) & (images >= 0))
    return np.unique(np.stack([images[drew], view.annotator_codes[drew]], axis=1), axis=0)


def _together(view: View, images: Ints) -> list[tuple[int, int]]:
    """The pairs of annotators, by place, who share an image: of many, most share none."""
    both = who_drew(view, images)
    image, code = both[:, 0], both[:, 1]
    found: set[tuple[int, int]] = set()
    active = np.arange(len(both))
    for step in range(1, MAX_TOGETHER):
        active = active[active + step < len(both)]
        active = active[image[active + step] == image[active]]
        if not len(active):
            break
        found.update(zip(code[active].tolist(), code[active + step].tolist(), strict=True))
    return sorted(found)


def _compare(view: View, images: Ints, pair: str, a: Ints, b: Ints) -> Iterator[pa.Table]:
    both = np.intersect1d(images[a], images[b])
    both = both[both >= 0]
    a, b = (rows[np.isin(images[rows], both) & view.is_object[rows]] for rows in (a, b))
    if not len(both):
        return
    yield tally.count_all(f"pair:boxes:{pair}", np.repeat([0, 1], [len(a), len(b)]))
    n_a, n_b = (np.bincount(np.searchsorted(both, images[rows]), minlength=len(both)) for rows in (a, b))
    yield tally.count_all(f"pair:count:{pair}", n_a - n_b)
    is_a = np.zeros(view.annotations.num_rows, bool)
    is_a[a] = True
    first, second, iou = close_pairs(view, np.concatenate([a, b]), MIN_IOU)
    across = is_a[first] != is_a[second]
    first, second, iou = first[across], second[across], iou[across]
    mine, theirs = np.where(is_a[first], first, second), np.where(is_a[first], second, first)
    best = _is_best(mine, iou) & _is_best(theirs, iou)
    mine, theirs, iou = mine[best], theirs[best], iou[best]
    yield tally.count_all(f"pair:matched:{pair}", np.floor(100 * iou).astype(np.int64))
    same = view.category_ids[mine] == view.category_ids[theirs]
    yield tally.count_all(f"pair:classes:{pair}", same.astype(np.int64))
    size = (view.log_width + view.log_height) / 2
    larger = size[mine] - size[theirs]
    yield tally.count_all(f"pair:size:{pair}", np.round(tally.BINS_PER_OCTAVE * larger).astype(np.int64))


def _is_best(rows: Ints, iou: np.ndarray) -> np.ndarray:
    """Whether each pair has the highest IoU among those of its row; equal ones are all best."""
    _, back = np.unique(rows, return_inverse=True)
    highest = np.zeros(back.max() + 1 if len(back) else 0)
    np.maximum.at(highest, back, iou)
    return iou == highest[back]
