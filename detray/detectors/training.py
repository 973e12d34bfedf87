"""Training the RetinaNet: one call, one process, the same result for the same settings and seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from detray.detectors.data import TrainingData
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings

if TYPE_CHECKING:
    from detray.detectors.retinanet import RetinaNet


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    Losses are means over the epoch's steps. ``detections`` are the model's on the validation images
    after the epoch, with the columns image_id, category_id, x, y, width, height, score and rank of
    the table predictions (pixels of the image as displayed); None where there is no validation data.
    """

    epoch: int
    loss: float
    class_loss: float
    box_loss: float
    learning_rate: float
    seconds: float
    detections: pa.Table | None


def train(
    data: TrainingData,
    validation: TrainingData | None,
    detector: DetectorSettings,
    settings: TrainSettings,
    classes: Mapping[int, str],
    *,
    predict: PredictSettings | None = None,
    on_epoch: Callable[[EpochResult], bool] | None = None,
    checkpoint: Path | None = None,
) -> "RetinaNet":
    """Train a RetinaNet and return it.

    Args:
        data: the images and boxes to learn from.
        validation: the images whose detections every `EpochResult` carries.
        detector: input size and backbone.
        settings: every field is used.
        classes: category_id to name, all classes of the data.
        predict: how the validation detections are made; the defaults where None.
        on_epoch: called after each epoch; a False ends the training.
        checkpoint: a local folder that holds the state after the last epoch; training goes on from
            there if one is in it, with the same result as if it had not been interrupted.

    Raises:
        DetrayError: no image to train on, or a loss that is not finite.
    """
    raise NotImplementedError
