"""What may be given beside ground truth and detections: training, label map, other detections, the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detray.diagnose.evidence.shapes import Shapes


@dataclass(frozen=True)
class Training:
    """The training annotations: their shapes, and their classes' names."""

    shapes: Shapes
    names: Mapping[int, str]


@dataclass(frozen=True)
class Inputs:
    """All that may be given beside ground truth and detections; None where it is not."""

    training: Training | None = None
    label_map: Mapping[int, str] | None = None
    model_classes: Mapping[int, str] | None = None
    """The classes that the model's own file lists, one for each of its outputs."""
    training_aps: Mapping[int, tuple[float, float]] | None = None
    """AP and AP50 of the model on its training split, by class of the evaluated split."""
    base_aps: Mapping[int, tuple[float, float]] | None = None
    """The same of the model that it was fine-tuned from, on the evaluated split."""
    findings: Mapping[tuple[int, str], int] | None = None
    """The audit's findings of the evaluated split, by class and rule."""
    shapes: Shapes = field(default_factory=Shapes)
    """Of the evaluated split."""
    input_size: tuple[int, int] | None = None
    """Width and height that the model resizes pictures to."""

    @property
    def class_lists(self) -> dict[str, Mapping[int, str]]:
        """Classes by id as other files list them, by what sentences call these."""
        training = self.training.names if self.training is not None else None
        listed = {"label map": self.label_map, "model": self.model_classes, "training annotations": training}
        return {words: names for words, names in listed.items() if names}
