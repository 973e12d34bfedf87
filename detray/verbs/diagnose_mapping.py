"""Faults of ids and formats, searched on a sample of images, and the shards seen with them repaired."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from detray.arrays import Ints
from detray.diagnose.api import read_listing
from detray.diagnose.columns import join, take
from detray.diagnose.evidence.counts import ClassCounts
from detray.diagnose.image_set import Images, ImageSet, sort_detections
from detray.diagnose.mapping.box_encoding import RECALL_RAISE
from detray.diagnose.mapping.faults import find_split_faults, reading_of_class
from detray.diagnose.mapping.label_map import find_remaps
from detray.diagnose.mapping.pairing import SAMPLE_IMAGES, Named, Pairing, spread
from detray.diagnose.mapping.repairs import MappingFaults
from detray.evaluate.kernel import GroundTruth
from detray.store import Json, ShardKey
from detray.verbs.base import Context, Old
from detray.verbs.diagnose_look import look_at_all, rows_of_classes, view_of
from detray.verbs.diagnose_sources import IMAGE_COLUMNS, Source, Work, keep_part, parts_of, read_shard

CLASSES_A_TASK = 16


@dataclass(frozen=True)
class MappingSearch:
    """The search for faults of a whole split on a sample of images."""

    name: str
    keys: tuple[ShardKey, ...]
    images: tuple[int, ...]
    source: Source


def search_mapping(work: Work, task: MappingSearch) -> Json:
    """The faults as JSON; how images are to be renamed goes to scratch."""
    images = np.array(task.images)
    sample = _sample(work, task, images)
    listing = read_listing(
        pa.concat_tables([work.stage.store.read_range("images", key, IMAGE_COLUMNS) for key in task.keys])
    )
    counts: Counter[int] = Counter()
    for part in task.source.all():
        counts.update(dict(zip(*(x.tolist() for x in np.unique(part.image, return_counts=True)), strict=True)))
    ids = np.array(sorted(counts), np.int64)
    named = Named(ids, np.array([counts[k] for k in ids.tolist()], np.int64))

    def boxes() -> Iterator[GroundTruth]:
        nothing = Source(work, ())
        return (read_shard(work, key, nothing).gt for key in task.keys)

    faults, pairing = find_split_faults(sample, listing, named, task.source.naming, boxes)
    if pairing is not None:
        renaming = pa.table({"source": pairing.source, "target": pairing.target})
        work.stage.write_scratch(f"{task.name}-pairing", renaming)
    return work.stage.write(task.name, {}, {"faults": faults.to_json(), "is_renamed": pairing is not None})


def _sample(work: Work, task: MappingSearch, images: Ints) -> ImageSet:
    # without any box there is no image to look at, and one empty shard gives the empty scene
    own = [key for key in task.keys if any(_holds(key, k) for k in task.images)] or task.keys[:1]
    scenes = [read_shard(work, key, Source(work, ())) for key in own]
    parts = [
        (take(scene.gt, rows), scene.annotation_id[rows], scene.annotation_row[rows])
        for scene in scenes
        for rows in [np.isin(scene.gt.image, images)]
    ]
    known = [take(scene.images, np.isin(scene.images.id, images)) for scene in scenes]
    return ImageSet(
        join(known) if known else Images(np.empty(0, np.int64), np.empty((0, 2))),
        join([gt for gt, _, _ in parts]),
        np.concatenate([ids for _, ids, _ in parts]),
        np.concatenate([rows for _, _, rows in parts]),
        task.source.naming(images),
    )


def _holds(key: ShardKey, image: int) -> bool:
    return (key.low is None or image >= key.low) and (key.high is None or image < key.high)


def rename_part(work: Work, task: tuple[str, str, Source, int]) -> Json:
    """Keep the detections of one part under the images that they mean."""
    name, mapping, source, number = task
    rows = work.stage.read_scratch(f"{mapping}-pairing")
    pairing = Pairing("", rows["source"].to_numpy(), rows["target"].to_numpy())
    found = next(part for place, part in enumerate(source.all()) if place == number)
    renamed = replace(found, image=pairing.rename(found.image))
    return work.stage.write(name, {}, keep_part(work.stage, name, sort_detections(take(renamed, renamed.image >= 0))))


def search_class_readings(work: Work, task: tuple[str, tuple[int, ...], tuple[str, ...]]) -> Json:
    """Weak classes whose own boxes are in another format."""
    name, classes, shards = task
    seen = rows_of_classes(work, shards, classes)
    found = {}
    for category in classes:
        view = view_of(seen, category)
        fault = reading_of_class(view.boxes, view.detections)
        if fault is not None:
            found[category] = fault
    return work.stage.write(name, {}, {"faults": MappingFaults(class_readings=found).to_json()})


def find_faults(
    context: Context,
    work: Work,
    keys: Sequence[ShardKey],
    done: dict[str, bytes],
    outcome: Old,
    source: Source,
    receipts: Sequence[Json],
    given: ClassCounts,
    class_lists: Mapping[str, Mapping[int, str]],
) -> tuple[MappingFaults, tuple[str, ...], ClassCounts]:
    """The faults of the mapping, the shards as they are with these repaired, and the counts of these.

    ``class_lists`` are classes by id as other files list them.
    """
    faults, last, tally = MappingFaults(), tuple(receipt["shard"] for receipt in receipts), given

    def again(round: str) -> None:
        nonlocal last, tally
        found, tally = look_at_all(context, work, keys, done, round, source, faults.repairs)
        outcome.receipts += found
        last = tuple(receipt["shard"] for receipt in found)

    sample = sorted(entry for receipt in receipts for entry in receipt["facts"]["sample"])
    order = np.argsort(spread(np.array([entry[0] for entry in sample], np.int64)), kind="stable")[:SAMPLE_IMAGES]
    n_boxes, n_hit = (sum(sample[place][column] for place in order) for column in (1, 2))
    if n_hit <= (1 - RECALL_RAISE) * n_boxes and work.weak:
        name = f"{work.prefix}-mapping"
        images = tuple(sample[place][0] for place in order)
        task = MappingSearch(name, tuple(keys), images, source)
        searched = context.run_tasks("mapping", partial(search_mapping, work), {name: task}, done)
        outcome.receipts += searched
        faults = MappingFaults.from_json(searched[0]["facts"]["faults"])
        if searched[0]["facts"]["is_renamed"]:
            n_parts = sum(1 for _ in source.parts) if source.parts is not None else sum(1 for _ in source.all())
            tasks = {
                label: (label, name, source, number)
                for number in range(n_parts)
                for label in [f"{work.prefix}-rename-{number:06d}"]
            }
            renamed = context.run_tasks("rename images", partial(rename_part, work), tasks, done)
            outcome.receipts += renamed
            source = Source(work, parts_of(renamed))
        if faults.reading is not None or searched[0]["facts"]["is_renamed"]:
            again("mapped")
    labels = find_remaps(tally, work.names(), class_lists)
    if labels is not None:
        faults = replace(faults, labels=labels)
        again("labelled")
    if faults.reading is None and work.weak:
        groups = [work.weak[start : start + CLASSES_A_TASK] for start in range(0, len(work.weak), CLASSES_A_TASK)]
        searches = {
            label: (label, group, last)
            for number, group in enumerate(groups)
            for label in [f"{work.prefix}-formats-{number:05d}"]
        }
        found = context.run_tasks("formats", partial(search_class_readings, work), searches, done)
        outcome.receipts += found
        readings = {
            k: fault
            for receipt in found
            for k, fault in MappingFaults.from_json(receipt["facts"]["faults"]).class_readings.items()
        }
        if readings:
            faults = replace(faults, class_readings=readings)
            again("read")
    return faults, last, tally
