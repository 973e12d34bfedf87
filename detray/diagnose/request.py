"""What a diagnosis is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detray.boxes import Reach
from detray.detectors import flow as inference
from detray.diagnose.settings import DiagnoseSettings
from detray.meaning.settle import Stated
from detray.pipeline.read import PipelineFile


@dataclass(frozen=True)
class ModelAtHand:
    """The detector whose detections are diagnosed, where it can be run.

    Attributes:
        work: how it was run; the labels of its class ids by split.
        pictured: splits whose pictures are there.
    """

    work: inference.Work
    pictured: frozenset[str]


@dataclass(frozen=True)
class Request:
    """What is diagnosed, and what is known beside the data set.

    Attributes:
        run: what rows are marked with.
        splits: that are diagnosed.
        settings: which classes are weak, and further files of detections.
        detections: the file that the detections come from, if they do.
        stated: of their class ids.
        settled: by split the data's class ids by those that the detector writes, where they are not the same.
        train: the training split, if there is one.
        label_map: the classes by id of the label map, if one is given.
        model_classes: the classes by id that the model's own file lists, if one does.
        max_detections: that the evaluation takes an image and class.
        reach: the input that the model resizes pictures to, and its anchors, if they are known.
        pipeline: the pipeline.config that the model is trained with, if one is stated.
        model: that counter-tests may run again; where none are asked for, to measure what its settings cut.
        is_trained_here: whether the model is the one that was trained in the same output.
    """

    run: str
    splits: tuple[str, ...]
    settings: DiagnoseSettings = field(default_factory=DiagnoseSettings)
    detections: str | None = None
    stated: Stated = field(default_factory=Stated)
    settled: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    train: str | None = None
    label_map: Mapping[int, str] | None = None
    model_classes: Mapping[int, str] | None = None
    reach: Reach | None = None
    max_detections: int = 100
    pipeline: PipelineFile | None = None
    model: ModelAtHand | None = None
    is_trained_here: bool = False
