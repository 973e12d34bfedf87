"""Where no split is kept for the proof: val cut in two, pictures of one scene on the same side.

What the search chose on some pictures is too good on them, and on their near-duplicates: so these stay together.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints
from detray.audit.likeness import MASKS, MAX_DISTANCE, stem
from detray.flow.data import Data
from detray.store import ShardKey
from detray.tables import numpy

STEPS = 16
"""Pictures after each, in the order of hashes, that it is compared with."""


def cut(data: Data, keys: Sequence[ShardKey]) -> tuple[Ints, Ints, str]:
    """The image ids to search on and to prove on, each class's boxes shared out evenly, and in words by what pictures
    are held together: the audit's hashes where they are there, and names."""
    shards = [
        data.read_shard(key, columns={"images": ("image_id", "file_name"), "annotations": _BOXES}) for key in keys
    ]
    images = pa.concat_tables([shard.images for shard in shards])
    boxes = pa.concat_tables([shard.annotations for shard in shards])
    ids, names = numpy(images, "image_id"), images["file_name"].to_pylist()
    links, by = _named_alike(names), "names"
    if data.manifest("audit") is not None:
        stats = pa.concat_tables([data.read_range("image_stats", key, _STATS) for key in keys]).drop_null()
        place = {number: row for row, number in enumerate(ids.tolist())}
        rows = np.array([place[number] for number in stats["image_id"].to_pylist()], np.int64)
        alike = _looking_alike(numpy(stats, "perceptual_hash").view(np.uint64), stats["content_hash"].to_pylist())
        links, by = np.concatenate([links, rows[alike]]), "what they look like and names"
    groups = grouped(len(ids), links)
    counts = _counts(ids, groups, boxes)
    is_proof = shared_out(counts, np.bincount(groups, minlength=len(counts)))[groups]
    return ids[~is_proof], ids[is_proof], by


_BOXES, _STATS = ("image_id", "category_id", "is_crowd"), ("image_id", "content_hash", "perceptual_hash")


def grouped(n: int, links: Ints) -> Ints:
    """The group of each of ``n`` pictures, ``[n]`` from 0, by ``links`` ``[l, 2]`` between two of them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(n, n))
    found: Ints = connected_components(edges, directed=False)[1].astype(np.int64)
    return found


def shared_out(counts: Ints, pictures: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which groups, of ``counts`` ``[g, c]`` boxes by class and ``pictures`` ``[g]``, go to the proof: about half.

    The rarest class goes first, its largest group first, each group to the side that has less of the class (Sechidis
    et al., On the Stratification of Multi-Label Data, ECML 2011).
    """
    side = np.full(len(counts), -1)
    left = counts.sum(axis=0)
    totals = np.zeros((2, counts.shape[1] + 1), np.int64)
    weighted = np.concatenate([counts, pictures[:, None]], axis=1)
    for place in [*np.argsort(left, kind="stable").tolist(), counts.shape[1]]:
        wanted = np.flatnonzero((side < 0) & (weighted[:, place] > 0))
        for group in wanted[np.argsort(-weighted[wanted, place], kind="stable")].tolist():
            ours, theirs = ((int(totals[one, place]), int(totals[one, -1])) for one in (0, 1))
            side[group] = int(theirs < ours)
            totals[side[group]] += weighted[group]
    return side == 1


def _named_alike(names: Sequence[str | None]) -> Ints:
    """Links between frames of one clip or burst, by their names."""
    first: dict[str, int] = {}
    stems = [stem(name or "") for name in names]
    pairs = [(first.setdefault(one, row), row) for row, one in enumerate(stems) if one is not None]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _looking_alike(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], contents: Sequence[str]) -> Ints:
    """Links between files that are equal, and pictures whose hashes differ in few bits."""
    first: dict[str, int] = {}
    found = [np.array([(first.setdefault(one, row), row) for row, one in enumerate(contents)], np.int64).reshape(-1, 2)]
    for mask in MASKS:
        order = np.lexsort((hashes, hashes & mask))
        for step in range(1, min(STEPS, len(order) - 1) + 1):
            one, other = order[:-step], order[step:]
            gap = np.bitwise_count(hashes[one] ^ hashes[other])
            close = (hashes[one] & mask == hashes[other] & mask) & (gap <= MAX_DISTANCE)
            found.append(np.stack([one[close], other[close]], axis=1))
    return np.concatenate(found)


def _counts(ids: Ints, groups: Ints, boxes: pa.Table) -> Ints:
    """Boxes that count, ``[g, c]`` by group and class."""
    kept = boxes.filter(pc.invert(boxes["is_crowd"]))
    classes, labels = np.unique(numpy(kept, "category_id"), return_inverse=True)
    order = np.argsort(ids)
    of = groups[order[np.searchsorted(ids, numpy(kept, "image_id"), sorter=order)]]
    found = np.zeros((groups.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(found, (of, labels), 1)
    return found
