"""Where no split is kept for the proof: val cut in two, pictures of one scene on the same side.

What the search chose on some pictures is too good on them, and on their near-duplicates: so these stay together.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from detray.arrays import Ints
from detray.audit.alike import boxes_by_group, grouped, looking_alike, shared_out
from detray.audit.likeness import stem
from detray.flow.data import Data
from detray.store import ShardKey
from detray.tables import numpy


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
        alike = looking_alike(numpy(stats, "perceptual_hash").view(np.uint64), stats["content_hash"].to_pylist())
        links, by = np.concatenate([links, rows[alike]]), "what they look like and names"
    groups = grouped(len(ids), links)
    counts = boxes_by_group(ids, groups, boxes)
    is_proof = shared_out(counts, np.bincount(groups, minlength=len(counts)), 2)[groups] == 1
    return ids[~is_proof], ids[is_proof], by


_BOXES, _STATS = ("image_id", "category_id", "is_crowd"), ("image_id", "content_hash", "perceptual_hash")


def _named_alike(names: Sequence[str | None]) -> Ints:
    """Links between frames of one clip or burst, by their names."""
    first: dict[str, int] = {}
    stems = [stem(name or "") for name in names]
    pairs = [(first.setdefault(one, row), row) for row, one in enumerate(stems) if one is not None]
    return np.array(pairs, np.int64).reshape(-1, 2)
