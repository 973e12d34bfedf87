"""What the causes judge: one weak class, and the evidence on it."""

from dataclasses import dataclass
from functools import cached_property

from detray.diagnose.evidence.background import BackgroundEvidence
from detray.diagnose.evidence.boxes import BoxEvidence
from detray.diagnose.evidence.caps import CapEvidence
from detray.diagnose.evidence.confusion import ConfusionEvidence
from detray.diagnose.evidence.cuts import CutEvidence
from detray.diagnose.evidence.detections import DetectionEvidence
from detray.diagnose.evidence.lacking import Lacking, find_lacking
from detray.diagnose.evidence.looseness import Looseness, find_looseness
from detray.diagnose.evidence.pictures import PICTURES_FAR
from detray.diagnose.evidence.renaming import Renamed, find_renamed
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.scores import ScoreEvidence
from detray.diagnose.evidence.sides import EVALUATED, TRAIN, Side, Sides
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
    def sides(self) -> Sides | None:
        """The class here and on training pictures; None where these are unknown, or ids or boxes are mixed up, or the
        pictures are others here: then nothing that differs tells of labels."""
        seen = self.split.inputs.trained
        if seen is None or self.trained is None or self.is_repaired or not self.pictures_alike:
            return None
        own = {k: k for k in self.split.names}
        return Sides(
            Side(EVALUATED, self.result, self.split.repaired, own, seen.n_evaluated),
            Side(TRAIN, self.trained, seen.counts, seen.ids, seen.n_images),
        )

    @property
    def pictures_alike(self) -> bool:
        """Whether nothing says that the pictures are others than in training."""
        return not any(drift.distance >= PICTURES_FAR for drift in self.split.inputs.pictures or ())

    @cached_property
    def lacking(self) -> Lacking | None:
        """The split that lacks labels of the class."""
        return None if self.sides is None else find_lacking(self.sides)

    @cached_property
    def looseness(self) -> Looseness | None:
        """The split whose boxes of the class are loose."""
        return None if self.sides is None else find_looseness(self.sides)

    @cached_property
    def renamed(self) -> Renamed | None:
        """The split in which names of the class are wrong."""
        return None if self.sides is None else find_renamed(self.sides, self.category)

    @property
    def has_faulty_split(self) -> bool:
        """Whether the labels of one split alone are at fault, of which any difference of the labels may come."""
        return any(found is not None for found in (self.lacking, self.looseness, self.renamed))

    @cached_property
    def training(self) -> TrainingEvidence:
        """What training holds of it."""
        return TrainingEvidence(self.category, self.result, self.split, self.trained)
