"""All causes, in the order in which they stand where nothing else orders them."""

from detray.diagnose.cause import Cause
from detray.diagnose.causes.absent_in_training import AbsentInTraining
from detray.diagnose.causes.background_confusion import BackgroundConfusion
from detray.diagnose.causes.bad_ranking import BadRanking
from detray.diagnose.causes.box_format import BoxFormat
from detray.diagnose.causes.class_confusion import ClassConfusion
from detray.diagnose.causes.class_imbalance import ClassImbalance
from detray.diagnose.causes.crowd_only import CrowdOnly
from detray.diagnose.causes.duplicates import Duplicates
from detray.diagnose.causes.few_examples import FewExamples
from detray.diagnose.causes.forgetting import Forgetting
from detray.diagnose.causes.image_id_mismatch import ImageIdMismatch
from detray.diagnose.causes.label_id_mismatch import LabelIdMismatch
from detray.diagnose.causes.localization import Localization
from detray.diagnose.causes.max_detections import MaxDetections
from detray.diagnose.causes.missed_objects import MissedObjects
from detray.diagnose.causes.missing_labels import MissingLabels
from detray.diagnose.causes.no_detections import NoDetections
from detray.diagnose.causes.no_ground_truth import NoGroundTruth
from detray.diagnose.causes.noisy_boxes import NoisyBoxes
from detray.diagnose.causes.overfit import Overfit
from detray.diagnose.causes.receives_class import ReceivesClass
from detray.diagnose.causes.score_threshold import ScoreThreshold
from detray.diagnose.causes.small_objects import SmallObjects
from detray.diagnose.causes.train_eval_shift import TrainEvalShift
from detray.diagnose.causes.undertrained import Undertrained
from detray.diagnose.causes.wrong_labels import WrongLabels

CAUSES: tuple[Cause, ...] = (
    NoGroundTruth(),
    CrowdOnly(),
    ImageIdMismatch(),
    LabelIdMismatch(),
    BoxFormat(),
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
