"""The search for faults of ids and formats: of a split on a sample of images, and of single classes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Ints
from detray.diagnose.mapping.box_encoding import EncodingFault
from detray.diagnose.mapping.faults import find_split_faults, reading_of_class
from detray.diagnose.mapping.pairing import Listing, Named
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet, joined, subset
from detray.diagnose.steps.look import ShardRows, rows_of_classes
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import IMAGE_COLUMNS, ShardTask, Work, image_set, read_tables
from detray.evaluate.kernel import GroundTruth
from detray.flow.step import Keep, Output, Step
from detray.store import ShardKey


class SplitFaults(msgspec.Struct, frozen=True):
    """What is wrong with all boxes or all image ids, and whether it is known which images are meant."""

    faults: MappingFaults
    is_renamed: bool


@dataclass(frozen=True)
class SampleSearch:
    """The search for faults of a whole split on a sample of its images."""

    keys: tuple[ShardKey, ...]
    images: tuple[int, ...]
    source: DetectionSource


def search_split(work: Work, task: SampleSearch) -> Output[SplitFaults]:
    """Search the faults; how images are to be renamed is kept."""
    sample = _sample(work, task, np.array(task.images))
    listing = _listing(pa.concat_tables([work.data.read_range("images", key, IMAGE_COLUMNS) for key in task.keys]))
    counts: Counter[int] = Counter()
    for part in task.source.all():
        counts.update(dict(zip(*(x.tolist() for x in np.unique(part.image, return_counts=True)), strict=True)))
    ids = np.array(sorted(counts), np.int64)
    named = Named(ids, np.array([counts[k] for k in ids.tolist()], np.int64))

    def boxes() -> Iterator[GroundTruth]:
        return (_boxes(work, key).gt for key in task.keys)

    faults, pairing = find_split_faults(sample, listing, named, task.source.naming, boxes)
    renaming = {} if pairing is None else {"pairing": pa.table({"source": pairing.source, "target": pairing.target})}
    return Output(SplitFaults(faults, pairing is not None), kept=renaming)


def _boxes(work: Work, key: ShardKey) -> ImageSet:
    return image_set(read_tables(work, ShardTask(key, DetectionSource(work.data, work.split, ()))))


def _sample(work: Work, task: SampleSearch, images: Ints) -> ImageSet:
    # without any box there is no image to look at, and one empty shard gives an empty set of images
    own = [key for key in task.keys if any(_holds(key, k) for k in task.images)] or task.keys[:1]
    boxes = joined([subset(_boxes(work, key), images) for key in own])
    return replace(boxes, dt=task.source.naming(images))


def _holds(key: ShardKey, image: int) -> bool:
    return (key.low is None or image >= key.low) and (key.high is None or image < key.high)


def _listing(images: pa.Table) -> Listing:
    """The images of a table ``images``, each id once."""
    ids = tables.numpy(images, "image_id", -1).astype(np.int64)
    ids, first = np.unique(ids, return_index=True)
    position = tables.numpy(images, "image_row", -1).astype(np.int64)[first]
    return Listing(ids, images["file_name"].take(pa.array(first)).to_pylist(), position)


SEARCH: Step[Work, SampleSearch, SplitFaults] = Step("mapping", search_split, SplitFaults, (Keep("pairing"),))


class ClassFaults(msgspec.Struct, frozen=True):
    """Classes whose own boxes are in another format."""

    readings: dict[int, EncodingFault]


@dataclass(frozen=True)
class ClassSearch:
    """Some classes, by rising id, and the rows of all shards."""

    classes: tuple[int, ...]
    shards: tuple[ShardRows, ...]


def search_classes(work: Work, task: ClassSearch) -> Output[ClassFaults]:
    """Search each class for another format of its boxes."""
    boxes, found = rows_of_classes(task.shards, task.classes)
    readings = {
        k: reading_of_class(take(boxes, boxes.category == k), take(found, found.category == k)) for k in task.classes
    }
    return Output(ClassFaults({k: fault for k, fault in readings.items() if fault is not None}))


FORMATS: Step[Work, ClassSearch, ClassFaults] = Step("formats", search_classes, ClassFaults)
