"""The stage ``train``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from detray.arrays import Floats
from detray.detectors.catalogue import require_trainable
from detray.detectors.retinanet.pretrained import require_weights
from detray.detectors.training.flow import Work, training
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import UsageError
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import class_scores
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.extras import TRAINING
from detray.flow.flow import Flow
from detray.store import absolute
from detray.tables import Shard
from detray.verbs.base import Context, Outcome, StageDefinition, command
from detray.verbs.pictures import read_pictures, require_pictures


@dataclass(frozen=True)
class TruthJudge:
    """Judges as the stage evaluate does."""

    truth: GroundTruth

    @property
    def class_ids(self) -> Sequence[int]:
        found: list[int] = np.unique(self.truth.category).tolist()
        return found

    def __call__(self, detections: pa.Table, class_ids: Sequence[int]) -> Floats:
        return class_scores(self.truth, detections, class_ids).ap


def judge(shard: Shard) -> TruthJudge:
    """What the detections of an epoch are compared with."""
    return TruthJudge(read_scene(shard, EvaluateSettings()).gt)


def check(context: Context) -> None:
    """Refuse a detector that cannot be trained, and weights of another backbone."""
    config = context.config
    require_trainable(config.detector, "training")
    if TRAIN not in config.dataset.splits:
        raise UsageError(
            "training needs a split called train: set dataset.splits.train, or detector.path to a trained model"
        )
    require_weights(config.detector)


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the detector and what judges its epochs."""
    config = context.config
    require_pictures(config, flow.data, (TRAIN, VAL))
    weights = config.detector.weights
    detector = replace(config.detector, weights=absolute(weights)) if weights else config.detector
    work = Work(flow.data, config.name, detector, config.train, judge, config.predict.max_unreadable)
    return training(flow, work, config.cluster.gpus_per_actor)


STAGE = StageDefinition(
    name="train",
    tables=("history",),
    sections=("detector", "train", "predict.max_unreadable"),
    run=run,
    check=check,
    pictures=read_pictures,
    gpus=lambda config: True,
    modules=lambda config: TRAINING,
    needs=lambda config: ("ingest",),
    inputs=lambda config: (config.detector.weights,) if config.detector.weights else (),
    then=lambda config, outcome: f"{command('diagnose', config)}: says which classes are weak, why, and what to do",
)
