"""Groups of pictures that are copies of each other, or nearly, and the groups shared out evenly.

What is learnt from a picture shows in its copies: so what judges a model, and what it learns from, shares no group.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints
from detray.audit.likeness import MASKS, MAX_DISTANCE, MIN_BITS
from detray.tables import numpy

STEPS = 16
"""Pictures after each, in the order of hashes, that it is compared with."""


def looking_alike(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], contents: Sequence[str]) -> Ints:
    """Links ``[l, 2]`` between files that are equal, and pictures whose hashes differ in few bits."""
    first: dict[str, int] = {}
    found = [np.array([(first.setdefault(one, row), row) for row, one in enumerate(contents)], np.int64).reshape(-1, 2)]
    bits = np.bitwise_count(hashes)
    shaped = np.flatnonzero((bits >= MIN_BITS) & (bits <= 64 - MIN_BITS))
    for mask in MASKS:
        order = shaped[np.lexsort((hashes[shaped], hashes[shaped] & mask))]
        for step in range(1, min(STEPS, len(order) - 1) + 1):
            one, other = order[:-step], order[step:]
            gap = np.bitwise_count(hashes[one] ^ hashes[other])
            close = (hashes[one] & mask == hashes[other] & mask) & (gap <= MAX_DISTANCE)
            found.append(np.stack([one[close], other[close]], axis=1))
    return np.concatenate(found)


def grouped(n: int, links: Ints) -> Ints:
    """The group of each of ``n`` pictures, ``[n]`` from 0, by ``links`` ``[l, 2]`` between two of them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(n, n))
    found: Ints = connected_components(edges, directed=False)[1].astype(np.int64)
    return found


def shared_out(counts: Ints, pictures: Ints, sides: int) -> Ints:
    """The side, from 0, of groups of ``counts`` ``[g, c]`` boxes by class and ``pictures`` ``[g]``: evenly, ``[g]``.

    The rarest class goes first, its largest group first, each group to the side that has least of the class (Sechidis
    et al., On the Stratification of Multi-Label Data, ECML 2011).
    """
    side = np.full(len(counts), -1)
    left = counts.sum(axis=0)
    totals = np.zeros((sides, counts.shape[1] + 1), np.int64)
    weighted = np.concatenate([counts, pictures[:, None]], axis=1)
    for place in [*np.argsort(left, kind="stable").tolist(), counts.shape[1]]:
        wanted = np.flatnonzero((side < 0) & (weighted[:, place] > 0))
        for group in wanted[np.argsort(-weighted[wanted, place], kind="stable")].tolist():
            side[group] = int(np.lexsort((totals[:, -1], totals[:, place]))[0])
            totals[side[group]] += weighted[group]
    return side


def boxes_by_group(ids: Ints, groups: Ints, boxes: pa.Table) -> Ints:
    """Boxes that count, ``[g, c]`` by group and class."""
    kept = boxes.filter(pc.invert(boxes["is_crowd"]))
    classes, labels = np.unique(numpy(kept, "category_id"), return_inverse=True)
    order = np.argsort(ids)
    of = groups[order[np.searchsorted(ids, numpy(kept, "image_id"), sorter=order)]]
    found = np.zeros((groups.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(found, (of, labels), 1)
    return found
