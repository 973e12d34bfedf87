"""Training the RetinaNet: one call, one process, the same result for the same settings and seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from detray.ahead import ahead
from detray.detectors.augmentation.settings import written_out
from detray.detectors.data import CROWD, TrainingData
from detray.detectors.retinanet.anchors import make_anchors
from detray.detectors.retinanet.fitting import fitted
from detray.detectors.retinanet.freezing import count_trainable, freeze, freezes_norm
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.retinanet.pretrained import take_backbone
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.batches import Batches, Job, jobs
from detray.detectors.training.best import Best
from detray.detectors.training.checkpoint import Checkpoint
from detray.detectors.training.class_weights import class_weights
from detray.detectors.training.sampling import epoch_order, image_factors, steps_per_epoch
from detray.detectors.training.schedules import Schedule
from detray.detectors.training.step import backbone_rate, computing_in, make_optimizer, make_step, require_precision
from detray.errors import DetrayError, UsageError
from detray.flow.executor import cpus
from detray.flow.workspace import Workspace

MOST_INPUT_THREADS = 8
BATCHES_AHEAD = 2
"""Beside those that threads are at."""
VALIDATION_CHUNK = 256


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    Losses are means over the epoch's steps; ``loss`` is what was minimised, the penalty of the weights included.
    ``seconds`` is the wall time of the steps, ``waited`` how much of it went by until their pictures were there.
    ``boxes_lost`` counts the boxes that augmentation moved out of the picture or covered. ``detections`` are the
    model's on the validation images after the epoch, with the columns image_id, category_id, x, y, width, height,
    score and rank of the table predictions (pixels of the image as displayed); None where there is no validation data.
    """

    epoch: int
    loss: float
    class_loss: float
    box_loss: float
    learning_rate: float
    seconds: float
    waited: float
    boxes_lost: int
    detections: pa.Table | None


@dataclass(frozen=True)
class Learned:
    """A trained model, the epoch whose weights it has, and how many there were."""

    model: RetinaNet
    epoch: int
    epochs: int


def train(
    data: TrainingData,
    validation: TrainingData | None,
    detector: DetectorSettings,
    settings: TrainSettings,
    classes: Mapping[int, str],
    *,
    predict: PredictSettings | None = None,
    on_epoch: Callable[[EpochResult], float | None] = lambda result: None,
    checkpoint: Workspace | None = None,
) -> Learned:
    """Train a RetinaNet.

    Args:
        data: the images and boxes to learn from.
        validation: the images whose detections every `EpochResult` carries.
        detector: input size, backbone and its first weights.
        settings: every field is used.
        classes: category_id to name, all classes of the data.
        predict: how the validation detections are made; the defaults where None.
        on_epoch: called after each epoch, of one that was cut off again, and says how good it is: by this the best
            one is kept and patience ends. None: nobody knows.
        checkpoint: a place for the state after each epoch, from which a training that was cut off goes on, on whichever
            machine.

    Raises:
        UsageError: a setting names a class that is not there, more units than there are, a warm-up longer than the
            training, or a precision that this machine lacks.
        DetrayError: no image to train on, or a loss that is not finite.
    """
    check_class_names(settings, classes)
    require_precision(settings)
    if not len(data):
        raise DetrayError("no picture to train on is left: see the quarantine table, or the split's list of images")
    names = [classes[number] for number in sorted(classes)]
    factors = image_factors(data, names, settings)
    schedule = Schedule.of(settings, steps_per_epoch(factors, settings.batch_size))
    fit = fitted(detector, data.boxes[data.labels != CROWD])
    with computing_in(settings.precision):
        model = _untrained(fit.detector, settings, classes, predict or PredictSettings())
    judged = _in_float32(model)
    optimizer = make_optimizer(model.network, settings, backbone_rate(detector, settings))
    step = make_step(model.network, optimizer, settings, class_weights(data.labels, names, settings.class_weights))
    batches = Batches(data, names, make_anchors(model.settings), settings.augmentation)
    best = Best(settings)
    saved = Checkpoint(checkpoint, model.network, optimizer, best, (detector, settings)) if checkpoint else None
    epoch = saved.restore() if saved else 0
    while epoch < settings.epochs and not best.is_over(epoch):
        epoch += 1
        order = epoch_order(factors, settings.batch_size, settings.seed, epoch)
        result = _learn(epoch, step, optimizer, schedule, batches, jobs(*order, (settings.seed, epoch)))
        if validation is not None:
            result = replace(result, detections=detections(_brought_to(model, judged), validation))
        best.take(epoch, on_epoch(result), model.network)
        if saved:  # after the call, so that an epoch is reported twice rather than never
            saved.save(epoch)
    kept = best.put_back(epoch, model.network)
    return Learned(_brought_to(model, judged), kept, epoch)


def _in_float32(model: RetinaNet) -> RetinaNet:
    """A model that computes as it does when it is loaded again, so that what its history says is what it detects."""
    if all(layer.compute_dtype == "float32" for layer in model.network.layers if layer.weights):
        return model
    return replace(model, network=build_network(model.settings, len(model.classes)))


def _brought_to(model: RetinaNet, judged: RetinaNet) -> RetinaNet:
    """``judged`` with the weights of ``model``."""
    if judged is not model:
        judged.network.set_weights(model.network.get_weights())
    return judged


def _learn(
    epoch: int, step: Any, optimizer: Any, schedule: Schedule, batches: Batches, steps: Iterator[Job]
) -> EpochResult:
    """One epoch of ``steps``, not yet judged.

    Raises:
        DetrayError: the loss is not finite.
    """
    start, waited, lost, rate = perf_counter(), 0.0, 0, 0.0
    losses = []
    done = (epoch - 1) * (schedule.total // schedule.settings.epochs)
    threads = max(1, min(cpus() - 1, MOST_INPUT_THREADS))  # one is for the steps
    waiting = ahead(batches, steps, threads=threads, depth=threads + BATCHES_AHEAD)
    asked = perf_counter()
    for number, batch in enumerate(waiting, done):
        waited += perf_counter() - asked
        optimizer.learning_rate.assign(rate := schedule.rate(number))
        losses.append(step(batch.images, batch.classes, batch.boxes))
        lost += batch.boxes_lost
        asked = perf_counter()
    class_part, box_part, penalty = (float(part) for part in np.mean(np.array(losses, np.float64), axis=0))
    loss = class_part + schedule.settings.box_loss_weight * box_part + penalty
    if not np.isfinite(loss):
        raise DetrayError(f"the loss is {loss} in epoch {epoch}; lower train.learning_rate")
    return EpochResult(epoch, loss, class_part, box_part, rate, perf_counter() - start, waited, lost, None)


def _untrained(
    detector: DetectorSettings, settings: TrainSettings, classes: Mapping[int, str], predict: PredictSettings
) -> RetinaNet:
    """The network as training begins: its backbone's weights taken over, and what is frozen frozen."""
    network = build_network(detector, len(classes), settings.seed, dropout=settings.dropout)
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
    named_by = {
        "oversample": settings.oversample,
        "undersample": settings.undersample,
        "class_weights": weights,
        "focus": settings.focus,
        "augmentation.copy_paste.classes": pasted,
    }
    for key, named in named_by.items():
        unknown = sorted(set(named) - set(classes.values()))
        if unknown:
            raise UsageError(
                f"train.{key} names the class {unknown[0]} but the classes are {', '.join(classes.values())}"
            )


def detections(model: RetinaNet, data: TrainingData) -> pa.Table:
    """The model's detections on some data, with the columns that `EpochResult` states."""
    parts = []
    for start in range(0, max(len(data), 1), VALIDATION_CHUNK):
        rows = slice(start, start + VALIDATION_CHUNK)
        found = model.detect(data.prepared(rows))
        parts.append(pa.table(found.columns(data.image_ids[rows])))
    return pa.concat_tables(parts)
