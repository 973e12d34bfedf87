"""The pictures of several splits as one data set, and their folds: copies of a picture are in the same one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.arrays import Flags, Ints
from detray.audit.alike import boxes_by_group, grouped, looking_alike, shared_out
from detray.errors import UsageError
from detray.flow.data import Data, names_of
from detray.tables import Shard, numpy

_STATS = ("image_id", "content_hash", "perceptual_hash")


@dataclass(frozen=True)
class Pictures:
    """The pictures of some splits, numbered from 0: ids of splits can collide.

    Attributes:
        images: split, image_id, file_name and path; row i is picture i.
        annotations: their boxes; ``image_id`` is the picture's number, ``category_id`` one of ``classes``.
        classes: of all splits by id. Splits that call one name by different ids are brought together by the name.
    """

    images: pa.Table
    annotations: pa.Table
    classes: Mapping[int, str]

    @classmethod
    def read(cls, data: Data, splits: Sequence[str], columns: Mapping[str, Sequence[str]]) -> "Pictures":
        """Read them; boxes without a picture or a class are left out.

        Raises:
            UsageError: there are none.
        """
        classes: dict[int, str] = {}
        images, annotations = [], []
        start = 0
        for split in splits:
            shards = [data.read_shard(key, columns=columns) for key in data.shards([split])]
            if not shards:
                continue
            own = pa.concat_tables([shard.images for shard in shards]).filter(pc.field("image_id").is_valid())
            ids, first = np.unique(own["image_id"].to_numpy(), return_index=True)
            boxes = pa.concat_tables([shard.annotations for shard in shards])
            number = _number(boxes["image_id"], {one: start + place for place, one in enumerate(ids.tolist())})
            category = _number(boxes["category_id"], _common(names_of(data, split), classes))
            for name, values in (("image_id", number), ("category_id", category)):
                boxes = boxes.set_column(boxes.column_names.index(name), name, values)
            images.append(own.take(pa.array(first)))
            annotations.append(boxes.filter(pc.and_(number.is_valid(), category.is_valid())))
            start += len(ids)
        if not start:
            raise UsageError(f"clean.folds: there are no pictures in {' and '.join(splits)}")
        return cls(pa.concat_tables(images), pa.concat_tables(annotations), classes)

    def shard(self, which: Flags) -> Shard:
        """Some of the pictures, ``[n]``, with their boxes."""
        rows = np.flatnonzero(which)
        images = self.images.take(pa.array(rows)).set_column(
            self.images.column_names.index("image_id"), "image_id", pa.array(rows, pa.int64())
        )
        own = self.annotations.filter(pa.array(which[self.annotations["image_id"].to_numpy()]))
        return Shard("", images, own, schema.empty("categories"))

    def folds(self, data: Data, splits: Sequence[str], n: int) -> tuple[Ints, Ints]:
        """The fold of each picture, each class's boxes shared out evenly, and its group of copies; both ``[n]``."""
        stats, rows = [], []
        for split in splits:
            mine = np.flatnonzero(pc.equal(self.images["split"], split).to_numpy())
            place = dict(zip(self.images["image_id"].take(pa.array(mine)).to_pylist(), mine.tolist(), strict=True))
            for key in data.shards([split]):
                found = data.read_range("image_stats", key, _STATS).drop_null()
                stats.append(found)
                rows += [place[one] for one in found["image_id"].to_pylist()]
        hashes = pa.concat_tables(stats)
        links = looking_alike(numpy(hashes, "perceptual_hash").view(np.uint64), hashes["content_hash"].to_pylist())
        groups = grouped(self.images.num_rows, np.array(rows, np.int64)[links])
        counts = boxes_by_group(np.arange(self.images.num_rows), groups, self.annotations)
        return shared_out(counts, np.bincount(groups, minlength=len(counts)), n)[groups], groups


def _common(names: Mapping[int, str], classes: dict[int, str]) -> dict[int, int]:
    """The common id of each of a split's; ``classes`` learns the names that it does not have."""
    known = {name: number for number, name in classes.items()}
    found = {}
    for number, name in names.items():
        if name not in known:
            known[name] = number if number not in classes else max(classes) + 1
            classes[known[name]] = name
        found[number] = known[name]
    return found


def own_ids(names: Mapping[int, str], classes: Mapping[int, str]) -> dict[int, int]:
    """What a split's ids are, by the common ones."""
    by_name: dict[str, int] = {}
    for number, name in names.items():
        by_name.setdefault(name, number)
    return {number: by_name[name] for number, name in classes.items() if name in by_name}


def _number(values: pa.ChunkedArray, numbers: Mapping[int, int]) -> pa.Array:
    """What each value becomes; NULL where that is not said."""
    place = pc.index_in(values, value_set=pa.array(list(numbers), pa.int64()))
    return pa.array(list(numbers.values()), pa.int64()).take(place.combine_chunks())
