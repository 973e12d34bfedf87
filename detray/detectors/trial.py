"""A few pictures of a split through a detector, to tell what its class ids mean before all of them are."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Ints
from detray.detectors.flow import Chunk, Loaded, Work
from detray.flow.data import names_of
from detray.flow.flow import Flow
from detray.flow.step import Output, Resources, Step
from detray.meaning.hits import BOX_COLUMNS, Hits, count_hits
from detray.meaning.settle import Meaning, Stated, settle_model
from detray.store import ShardKey

IMAGES = 24
"""That are looked at: those of the split with boxes, spread over the first shards that have enough."""


@dataclass(frozen=True)
class Trial:
    """The shards of a split."""

    keys: tuple[ShardKey, ...]


def try_out(loaded: Loaded, task: Trial) -> Output[Hits]:
    """What the detections of a few images hit."""
    parts: list[Hits] = []
    left = IMAGES
    for key in task.keys:
        boxes = loaded.work.data.read_range("annotations", key, BOX_COLUMNS)
        images = loaded.work.images(Chunk(key, 0, key.n_images))
        chosen = _spread(np.intersect1d(images["image_id"].to_numpy(), _boxed(boxes)), left)
        if len(chosen):
            own, found = (_of(rows, chosen) for rows in (boxes, loaded.inference.unnamed(_of(images, chosen))))
            parts.append(count_hits(own, found))
        left -= len(chosen)
        if left <= 0:
            break
    return Output(Hits.sum(parts))


def _boxed(boxes: pa.Table) -> Ints:
    return np.unique(tables.numpy(boxes, "image_id", -1))


def _spread(images: Ints, count: int) -> Ints:
    return images[np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))]


def _of(rows: pa.Table, images: Ints) -> pa.Table:
    return rows.filter(pa.array(np.isin(tables.numpy(rows, "image_id", -1), images)))


TRY: Step[Work, Trial, Hits] = Step("trial", try_out, Hits, setup=Loaded.of, label="try the detector")


def meaning_of(
    flow: Flow, work: Work, split: str, classes: dict[int, str], stated: Stated, gpus: float, counts_from: int | None
) -> Meaning:
    """What the detector's class ids mean in a split.

    Args:
        flow, gpus: as in `flow.infer`.
        work: the detector; its labels are not looked at.
        split: of the data set.
        classes: the detector's own names by id; empty where it has none.
        stated: by a person.
        counts_from: the id of its first class, as detectors of its format have it.

    Raises:
        UsageError, DetrayError: as `settle_model`.
    """

    def ask() -> Hits:
        task = Trial(tuple(flow.data.shards([split])))
        return flow.reduce(TRY, replace(work, labels={}), task, split, resources=Resources(flow.cpus, gpus)).facts

    return settle_model(work.path, classes, names_of(flow.data, split), stated, ask, counts_from)
