"""What the tasks of a split share, and how they read boxes and detections."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.diagnose.observation.columns import from_arrow, take, to_arrow
from detray.diagnose.observation.image_set import ImageSet, read_image_set
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.sources import DetectionSource
from detray.evaluate.kernel import Detections
from detray.flow.data import Data
from detray.flow.sample import Sample
from detray.pipeline.read import PipelineFile
from detray.store import ShardKey

IMAGE_COLUMNS = ("image_id", "file_name", "width", "height", "image_row")
BOX_COLUMNS = (
    *("annotation_id", "annotation_row", "image_id", "category_id", "x", "y", "width", "height"),
    *("area", "is_crowd"),
)


@dataclass(frozen=True)
class Work:
    """What all tasks of a split share.

    Attributes:
        data: what earlier stages wrote.
        run, model: what rows are marked with.
        settings: which classes are weak.
        split: that is diagnosed.
        names: its classes.
        weak: those that are diagnosed.
        max_detections: that the evaluation takes an image and class.
        capped: classes that are looked at only because that cap cuts them.
        floors: by class that is not weak, the score from which its detections are looked at.
        pipeline: the pipeline.config that remedies are also written for.
        sample: the images of the split that the detector has seen, where it has not seen all.
        is_tested: counter-tests come before the diagnoses are written.
    """

    data: Data
    run: str
    model: str
    settings: DiagnoseSettings
    split: str
    names: Mapping[int, str]
    weak: tuple[int, ...]
    floors: Mapping[int, float]
    max_detections: int = 100
    capped: frozenset[int] = frozenset()
    pipeline: PipelineFile | None = None
    sample: Sample | None = None
    is_tested: bool = False

    @property
    def not_working(self) -> list[int]:
        """The weak classes."""
        return [category for category in self.weak if category not in self.capped]


@dataclass(frozen=True)
class ShardTask:
    """A shard, with the detections of a source."""

    key: ShardKey
    source: DetectionSource


def read_tables(work: Work, task: ShardTask) -> dict[str, pa.Table]:
    """Images, annotations and detections of a shard, without images that the detector has not seen."""
    shard = work.data.read_shard(task.key, columns={"images": IMAGE_COLUMNS, "annotations": BOX_COLUMNS})
    shard = shard.without(task.source.unseen(task.key))
    if work.sample is not None:
        ids = pc.unique(pa.chunked_array([*shard.images["image_id"].chunks, *shard.annotations["image_id"].chunks]))
        shard = shard.without(ids.filter(pa.array(~work.sample.holds(ids.fill_null(-1).to_numpy()))))
    found = to_arrow(task.source.of(task.key))
    return {"images": shard.images, "annotations": shard.annotations, "detections": found}


def image_set(tables: Mapping[str, pa.Table]) -> ImageSet:
    """What `read_tables` read, without the detections of other images."""
    images = read_image_set(tables["images"], tables["annotations"], schema.empty("predictions"))
    found = from_arrow(Detections, tables["detections"])
    return replace(images, dt=take(found, np.isin(found.image, images.images.id)))
