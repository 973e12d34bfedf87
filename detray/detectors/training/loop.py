"""Training the RetinaNet: one call, one process, the same result for the same settings and seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from detray.arrays import Floats32
from detray.detectors.ahead import ahead
from detray.detectors.augmentation.settings import written_out
from detray.detectors.data import CROWD, TrainingData
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.fitting import fitted
from detray.detectors.retinanet.freezing import count_trainable, freeze, freezes_norm
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.retinanet.pretrained import take_backbone
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.batches import Batches, jobs
from detray.detectors.training.checkpoint import Checkpoint
from detray.detectors.training.class_weights import class_weights
from detray.detectors.training.losses import box_loss, focal_loss
from detray.detectors.training.schedules import epoch_order, learning_rate, repeat_factors, steps_per_epoch
from detray.errors import DetrayError, UsageError

CLIP_NORM = 10.0
MOMENTUM = 0.9
BATCHES_AHEAD = 3
VALIDATION_CHUNK = 256


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    Losses are means over the epoch's steps. ``boxes_lost`` counts the boxes that augmentation moved
    out of the picture. ``detections`` are the model's on the validation images after the epoch, with
    the columns image_id, category_id, x, y, width, height, score and rank of the table predictions
    (pixels of the image as displayed); None where there is no validation data.
    """

    epoch: int
    loss: float
    class_loss: float
    box_loss: float
    learning_rate: float
    seconds: float
    boxes_lost: int
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
) -> RetinaNet:
    """Train a RetinaNet and return it.

    Args:
        data: the images and boxes to learn from.
        validation: the images whose detections every `EpochResult` carries.
        detector: input size, backbone and its first weights.
        settings: every field is used.
        classes: category_id to name, all classes of the data.
        predict: how the validation detections are made; the defaults where None.
        on_epoch: called after each epoch, of one that was cut off again; a False ends the training.
        checkpoint: a local folder for the state after each epoch, from which a training that was cut off goes on.

    Raises:
        UsageError: a setting names a class that is not there, or more units than there are.
        DetrayError: no image to train on, or a loss that is not finite.
    """
    check_class_names(settings, classes)
    if not len(data):
        raise DetrayError("no picture to train on is left: see the quarantine table, or the split's list of images")
    fit = fitted(detector, data.boxes[data.labels != CROWD])
    model = _untrained(fit.detector, settings, classes, predict or PredictSettings())
    network, names = model.network, list(model.classes.values())
    steps = steps_per_epoch(factors := repeat_factors(data, names, settings.oversample), settings.batch_size)
    optimizer = make_optimizer(network, settings)
    step = make_step(network, optimizer, settings, class_weights(data.labels, names, settings.class_weights))
    batches = Batches(data, names, make_anchors(model.settings), settings.augmentation)
    saved = Checkpoint(checkpoint, network, optimizer, (detector, settings)) if checkpoint else None
    for epoch in range(saved.restore() + 1 if saved else 1, settings.epochs + 1):
        start = perf_counter()
        losses, lost, rate = [], 0, 0.0
        order = epoch_order(factors, settings.batch_size, settings.seed, epoch)
        steps_of = jobs(*order, (settings.seed, epoch))
        for number, batch in enumerate(ahead(batches, steps_of, threads=1, depth=BATCHES_AHEAD)):
            rate = learning_rate((epoch - 1) * steps + number, settings.epochs * steps, settings)
            optimizer.learning_rate.assign(rate)
            losses.append(step(batch.images, batch.classes, batch.boxes))
            lost += batch.boxes_lost
        loss, class_part, box_part = _mean_loss(losses, settings, epoch)
        if on_epoch is not None:
            spent = perf_counter() - start
            found = None if validation is None else detections(model, validation)
            if not on_epoch(EpochResult(epoch, loss, class_part, box_part, rate, spent, lost, found)):
                break
        if saved:  # after the call, so that an epoch is reported twice rather than never
            saved.save(epoch)
    return model


def _mean_loss(losses: Sequence[Floats32], settings: TrainSettings, epoch: int) -> tuple[float, float, float]:
    """The loss of an epoch, and its parts for classes and boxes, from those of its steps ``[2]``.

    Raises:
        DetrayError: it is not finite.
    """
    class_part, box_part = (float(part) for part in np.mean(np.array(losses, np.float64), axis=0))
    loss = class_part + settings.box_loss_weight * box_part
    if not np.isfinite(loss):
        raise DetrayError(f"the loss is {loss} in epoch {epoch}; lower train.learning_rate")
    return loss, class_part, box_part


def _untrained(
    detector: DetectorSettings, settings: TrainSettings, classes: Mapping[int, str], predict: PredictSettings
) -> RetinaNet:
    """The network as training begins: its backbone's weights taken over, and what is frozen frozen."""
    network = build_network(detector, len(classes), settings.seed)
    if detector.weights is not None:
        take_backbone(network, detector)
    frozen = freeze(network, settings.freeze_units, freezes_norm(detector, settings, network))
    return RetinaNet(network, dict(sorted(classes.items())), detector, predict, frozen, count_trainable(network))


def check_class_names(settings: TrainSettings, classes: Mapping[int, str]) -> None:
    """Refuse settings that name a class which is not there.

    Raises:
        UsageError: naming the setting and the classes.
    """
    weights = settings.class_weights if isinstance(settings.class_weights, dict) else {}
    pasting = written_out(settings.augmentation).copy_paste
    pasted = pasting.classes if pasting else ()
    named_by = {"oversample": settings.oversample, "class_weights": weights, "augmentation.copy_paste.classes": pasted}
    for key, named in named_by.items():
        unknown = sorted(set(named) - set(classes.values()))
        if unknown:
            raise UsageError(
                f"train.{key} names the class {unknown[0]} but the classes are {', '.join(classes.values())}"
            )


def make_optimizer(network: Any, settings: TrainSettings) -> Any:
    """AdamW or SGD with momentum; norms and biases do not decay; gradients are clipped by their global norm."""
    _, keras = tensorflow()
    options = {"weight_decay": settings.weight_decay or None, "global_clipnorm": CLIP_NORM}
    if settings.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(settings.learning_rate, **options)
    else:
        optimizer = keras.optimizers.SGD(settings.learning_rate, momentum=MOMENTUM, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    return optimizer


def make_step(network: Any, optimizer: Any, settings: TrainSettings, weights: Floats32) -> Any:
    """The traced training step: a batch's arrays to its class and box loss."""
    tf, _ = tensorflow()

    @tf.function(reduce_retracing=True, autograph=False)
    def step(images: Any, classes: Any, boxes: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            class_part = focal_loss(
                outputs["logits"],
                classes,
                weights,
                alpha=settings.focal_alpha,
                gamma=settings.focal_gamma,
                label_smoothing=settings.label_smoothing,
            )
            box_part = box_loss(outputs["boxes"], boxes, classes)
            loss = class_part + settings.box_loss_weight * box_part
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return class_part, box_part

    return step


def detections(model: RetinaNet, data: TrainingData) -> pa.Table:
    """The model's detections on some data, with the columns that `EpochResult` states."""
    parts = []
    for start in range(0, max(len(data), 1), VALIDATION_CHUNK):
        rows = slice(start, start + VALIDATION_CHUNK)
        found = model.detect(data.prepared(rows))
        parts.append(pa.table(found.columns(data.image_ids[rows])))
    return pa.concat_tables(parts)
