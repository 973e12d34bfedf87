"""All counter-tests, and why a cause has none."""

from collections.abc import Mapping

from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import GROUND_TRUTH, MAPPING, OUTPUT, SYMPTOM, TRAINING, TRAINING_DATA
from detray.diagnose.counter_tests.box_format import BoxesConverted
from detray.diagnose.counter_tests.counter_test import CounterTest
from detray.diagnose.counter_tests.degenerate_ground_truth import FlatBoxesMended
from detray.diagnose.counter_tests.detector_cap import CapRaised
from detray.diagnose.counter_tests.duplicates import Suppressed
from detray.diagnose.counter_tests.image_id_mismatch import ImageIdsMapped
from detray.diagnose.counter_tests.label_edits import BoxesAdded, BoxesMoved, BoxesRelabelled
from detray.diagnose.counter_tests.label_id_mismatch import ClassIdsMapped
from detray.diagnose.counter_tests.large_objects import Smaller
from detray.diagnose.counter_tests.max_detections import CapLifted
from detray.diagnose.counter_tests.model_test import ModelTest
from detray.diagnose.counter_tests.overfit import NotOverfit
from detray.diagnose.counter_tests.score_threshold import LowerThreshold
from detray.diagnose.counter_tests.small_objects import InTiles
from detray.diagnose.counter_tests.train_eval_shift import AsInTraining

ALL: tuple[CounterTest, ...] = (
    ClassIdsMapped(),
    ImageIdsMapped(),
    BoxesConverted(),
    FlatBoxesMended(),
    BoxesAdded(),
    BoxesRelabelled(),
    BoxesMoved(),
    CapLifted(),
    Suppressed(),
)

OF_MODEL: tuple[ModelTest, ...] = (LowerThreshold(), CapRaised(), AsInTraining(), InTiles(), Smaller(), NotOverfit())
"""Those that run the detector again; a cause that files alone can test is tested there first."""

MODEL_BY_CAUSE: Mapping[str, ModelTest] = {test.cause: test for test in OF_MODEL}

MEASURED = tuple(test.cause for test in OF_MODEL if test.measures)
"""Causes whose remedy is a setting of the detector at hand, so that running it once more measures what is regained."""

BY_CAUSE: Mapping[str, CounterTest] = {test.cause: test for test in ALL}

NONE: Mapping[int, str] = {
    MAPPING: "needs a person",
    GROUND_TRUTH: "needs a person",
    OUTPUT: "needs another run of the detector",
    TRAINING_DATA: "needs a training on other data",
    TRAINING: "needs another training",
    SYMPTOM: "a symptom has no remedy of its own",
}
"""Why a cause of a group has no counter-test."""

_GROUPS = {cause.name: cause.group for cause in CAUSES}


def why_none(cause: str) -> str:
    """Why a cause without a counter-test has none."""
    return NONE[_GROUPS.get(cause, SYMPTOM)]
