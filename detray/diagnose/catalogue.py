"""All causes, in the order in which they stand where nothing else orders them."""

from detray.diagnose.cause import Cause
from detray.diagnose.causes.ground_truth.crowd_only import CrowdOnly
from detray.diagnose.causes.ground_truth.degenerate_ground_truth import DegenerateGroundTruth
from detray.diagnose.causes.ground_truth.missing_labels import MissingLabels
from detray.diagnose.causes.ground_truth.no_ground_truth import NoGroundTruth
from detray.diagnose.causes.ground_truth.noisy_boxes import NoisyBoxes
from detray.diagnose.causes.ground_truth.wrong_labels import WrongLabels
from detray.diagnose.causes.mapping.box_format import BoxFormat
from detray.diagnose.causes.mapping.image_id_mismatch import ImageIdMismatch
from detray.diagnose.causes.mapping.label_id_mismatch import LabelIdMismatch
from detray.diagnose.causes.output.duplicates import Duplicates
from detray.diagnose.causes.output.max_detections import MaxDetections
from detray.diagnose.causes.output.score_threshold import ScoreThreshold
from detray.diagnose.causes.symptoms.background_confusion import BackgroundConfusion
from detray.diagnose.causes.symptoms.bad_ranking import BadRanking
from detray.diagnose.causes.symptoms.class_confusion import ClassConfusion
from detray.diagnose.causes.symptoms.localization import Localization
from detray.diagnose.causes.symptoms.missed_objects import MissedObjects
from detray.diagnose.causes.symptoms.no_detections import NoDetections
from detray.diagnose.causes.symptoms.receives_class import ReceivesClass
from detray.diagnose.causes.training.overfit import Overfit
from detray.diagnose.causes.training.undertrained import Undertrained
from detray.diagnose.causes.training_data.absent_in_training import AbsentInTraining
from detray.diagnose.causes.training_data.class_imbalance import ClassImbalance
from detray.diagnose.causes.training_data.few_examples import FewExamples
from detray.diagnose.causes.training_data.forgetting import Forgetting
from detray.diagnose.causes.training_data.large_objects import LargeObjects
from detray.diagnose.causes.training_data.small_objects import SmallObjects
from detray.diagnose.causes.training_data.train_eval_shift import TrainEvalShift

CAUSES: tuple[Cause, ...] = (
    NoGroundTruth(),
    CrowdOnly(),
    ImageIdMismatch(),
    LabelIdMismatch(),
    BoxFormat(),
    DegenerateGroundTruth(),
    MissingLabels(),
    WrongLabels(),
    NoisyBoxes(),
    ScoreThreshold(),
    MaxDetections(),
    Duplicates(),
    AbsentInTraining(),
    Forgetting(),
    TrainEvalShift(),
    SmallObjects(),
    LargeObjects(),
    ClassImbalance(),
    FewExamples(),
    Undertrained(),
    Overfit(),
    NoDetections(),
    ClassConfusion(),
    ReceivesClass(),
    Localization(),
    BadRanking(),
    BackgroundConfusion(),
    MissedObjects(),
)
