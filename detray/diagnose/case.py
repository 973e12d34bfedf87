"""What the causes judge: one weak class, and the evidence on it."""

from dataclasses import dataclass
from functools import cached_property

from detray.diagnose.evidence.background import BackgroundEvidence
from detray.diagnose.evidence.boxes import BoxEvidence
from detray.diagnose.evidence.caps import CapEvidence
from detray.diagnose.evidence.confusion import ConfusionEvidence
from detray.diagnose.evidence.cuts import CutEvidence
from detray.diagnose.evidence.detections import DetectionEvidence
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.evidence.split import Split
from detray.diagnose.evidence.training import TrainingEvidence


@dataclass(frozen=True)
class Case:
    """One weak class in its split; each kind of evidence on it is made when a cause first asks for it."""

    category: int
    n_crowd: int
    given: ClassResult
    """As the files say."""
    result: ClassResult
    """With the mapping faults of the split repaired; the same as ``given`` without any."""
    split: Split
    trained: ClassResult | None = None
    """The same on training pictures, by the ids of these; None where the model was not run on them."""

    @property
    def name(self) -> str:
        """The class's name, or its id in words."""
        return self.split.name(self.category)

    @property
    def label(self) -> str:
        """The class as sentences name it."""
        return self.split.label(self.category)

    @property
    def is_repaired(self) -> bool:
        """Whether a mapping fault touches the class."""
        return self.result is not self.given

    @property
    def mapping_gain(self) -> float | None:
        """AP regained by the repair of all mapping faults together."""
        if self.given.ap is None or self.result.ap is None:
            return None
        return max(self.result.ap - self.given.ap, 0.0)

    @cached_property
    def scores(self) -> ScoreEvidence:
        """How its detections score."""
        return ScoreEvidence(self.result, self.split.reference.seen_by(self.category))

    @cached_property
    def confusion(self) -> ConfusionEvidence:
        """What is taken for it, and what it is taken for."""
        return ConfusionEvidence(self.category, self.result, self.scores, self.split)

    @cached_property
    def boxes(self) -> BoxEvidence:
        """What became of its boxes."""
        return BoxEvidence(self.result, self.scores, self.confusion, self.split.inputs.input_size)

    @cached_property
    def detections(self) -> DetectionEvidence:
        """What its false detections are."""
        return DetectionEvidence(self.result, self.scores)

    @cached_property
    def background(self) -> BackgroundEvidence:
        """Its detections where no box stands."""
        return BackgroundEvidence(self.result, self.scores, self.detections)

    @cached_property
    def cuts(self) -> CutEvidence:
        """Whether its low scores were left out."""
        return CutEvidence(self.result, self.scores, self.boxes, self.split)

    @cached_property
    def caps(self) -> CapEvidence:
        """Whether images were full before it came."""
        return CapEvidence(
            self.result, self.boxes, self.split.inputs.max_detections, self.split.repaired.image_detections
        )

    @cached_property
    def training(self) -> TrainingEvidence:
        """What training holds of it."""
        return TrainingEvidence(self.category, self.result, self.split, self.trained)
