"""What may be given beside ground truth and detections: training, label map, other detections, the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from detray.boxes import Reach
from detray.diagnose.evidence.learning import Course, ap50s
from detray.diagnose.evidence.pictures import PictureDrift
from detray.diagnose.observation.counts import ClassCounts
from detray.diagnose.observation.shapes import Shapes


class Input(StrEnum):
    """What a cause may need, as notes call it."""

    TRAINING_ANNOTATIONS = "training annotations"
    TRAINING_DETECTIONS = "training detections"
    BASE_DETECTIONS = "base detections"
    AUDIT = "audit"


@dataclass(frozen=True)
class Training:
    """The training annotations: their shapes, and their classes' names."""

    shapes: Shapes
    names: Mapping[int, str]


@dataclass(frozen=True)
class TrainingSeen:
    """Training pictures with what the same model detects there.

    Attributes:
        counts: of their boxes and detections, by the ids of the training annotations.
        ids: these by the ids of the evaluated split, of the classes that both have.
        n_images: how many pictures these are.
        n_evaluated: pictures of the evaluated split.
        is_sample: whether they are not the whole training split.
    """

    counts: ClassCounts
    ids: Mapping[int, int]
    n_images: int
    n_evaluated: int
    is_sample: bool = False

    @cached_property
    def ap50s(self) -> dict[int, float]:
        """AP50 there by class, by the ids of the training annotations."""
        return ap50s(self.counts)

    @property
    def words(self) -> str:
        """The pictures as sentences name them."""
        return f"a sample of {self.n_images:,} training pictures" if self.is_sample else "the training split"


@dataclass(frozen=True)
class Inputs:
    """All that may be given beside ground truth and detections; None where it is not."""

    training: Training | None = None
    label_map: Mapping[int, str] | None = None
    model_classes: Mapping[int, str] | None = None
    """The classes that the model's own file lists, one for each of its outputs."""
    trained: TrainingSeen | None = None
    """What the model does on training pictures."""
    pictures: tuple[PictureDrift, ...] | None = None
    """Properties in which the pictures differ from those of training; None where they were not measured."""
    course: Course | None = None
    """Of the training, where it was run here."""
    base_aps: Mapping[int, tuple[float, float]] | None = None
    """AP and AP50 of the model that it was fine-tuned from, on the evaluated split, by class."""
    findings: Mapping[tuple[int, str], int] | None = None
    """The audit's findings of the evaluated split, by class and rule."""
    shapes: Shapes = field(default_factory=Shapes)
    """Of the evaluated split."""
    reach: Reach | None = None
    """The input that the model resizes pictures to, and its anchors."""

    settled: Mapping[int, int] = field(default_factory=dict)
    """Ids of predictions by those that the detector writes, where they are not the same."""

    max_detections: int = 100
    """That the evaluation takes an image and class."""

    thresholds: Mapping[int, float] = field(default_factory=dict)
    """By class the score up to which the detector at hand was told to leave detections out; empty where it is not."""

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height that the model resizes pictures to."""
        return None if self.reach is None else (self.reach.input_width, self.reach.input_height)

    @property
    def given(self) -> frozenset[Input]:
        """Which of the inputs that causes may need are there."""
        known = {
            Input.TRAINING_ANNOTATIONS: self.training,
            Input.TRAINING_DETECTIONS: self.trained,
            Input.BASE_DETECTIONS: self.base_aps,
            Input.AUDIT: self.findings,
        }
        return frozenset(name for name, value in known.items() if value is not None)

    @property
    def class_lists(self) -> dict[str, Mapping[int, str]]:
        """Classes by id as other files list them, by what sentences call these."""
        training = self.training.names if self.training is not None else None
        listed = {"label map": self.label_map, "model": self.model_classes, "training annotations": training}
        return {words: names for words, names in listed.items() if names}
