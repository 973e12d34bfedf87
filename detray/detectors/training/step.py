"""One step of a training: the optimizer, and the traced function from a batch to its losses."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from detray.arrays import Floats32
from detray.detectors.retinanet.freezing import backbone_layers
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.detectors.training.losses import box_loss, focal_loss
from detray.errors import UsageError

MOMENTUM = 0.9
FINE_TUNING = 0.1
"""Learning rate of a pretrained backbone over that of the rest."""

UNDECAYED = ("bias", "gamma", "beta")
"""Names of biases and of norms."""


def require_precision(settings: TrainSettings) -> None:
    """Refuse half precision where nothing computes in it.

    Raises:
        UsageError: there is no GPU.
    """
    if settings.precision == "mixed_float16" and not tensorflow()[0].config.list_physical_devices("GPU"):
        raise UsageError(
            "train.precision mixed_float16 needs a GPU, and this machine has none: mixed_bfloat16 does not"
        )


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers that are made meanwhile compute so; their weights are float32."""
    _, keras = tensorflow()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def backbone_rate(detector: DetectorSettings, settings: TrainSettings) -> float:
    """The backbone's learning rate over that of the rest: the full one soon undoes what its weights know."""
    if settings.backbone_rate is not None:
        return settings.backbone_rate
    return FINE_TUNING if detector.weights is not None and detector.backbone != "tiny" else 1.0


def make_optimizer(network: Any, settings: TrainSettings, rate: float = 1.0) -> Any:
    """The optimizer; norms and biases do not decay; gradients are clipped by their global norm; the backbone learns
    at ``rate`` times the rate."""
    _, keras = tensorflow()
    options: dict[str, Any] = {
        "weight_decay": settings.decay or None,
        "global_clipnorm": settings.clip_norm,
        "gradient_accumulation_steps": settings.accumulate if settings.accumulate > 1 else None,
    }
    if settings.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = MOMENTUM
    kinds = keras.optimizers
    made = {"adamw": kinds.AdamW, "adam": kinds.Adam, "sgd": kinds.SGD, "rmsprop": kinds.RMSprop}
    optimizer = made[settings.optimizer](settings.learning_rate, **options)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    if rate != 1:
        _slow(optimizer, [variable for layer in backbone_layers(network) for variable in layer.variables], rate)
    if settings.precision == "mixed_float16":
        optimizer = kinds.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def _slow(optimizer: Any, variables: Sequence[Any], rate: float) -> None:
    """Have ``optimizer`` update ``variables`` at ``rate`` times its rate; Keras knows one rate for all."""
    slowed, update = {id(variable.value) for variable in variables}, optimizer.update_step  # TensorFlow's variables

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> Any:
        return update(gradient, variable, learning_rate * rate if id(variable) in slowed else learning_rate)

    optimizer.update_step = update_step


def make_step(network: Any, optimizer: Any, settings: TrainSettings, weights: Floats32) -> Any:
    """The traced training step: a batch's arrays to its class loss, box loss and penalty of the weights."""
    tf, _ = tensorflow()
    penalised = [
        variable for variable in network.trainable_variables if not re.search("|".join(UNDECAYED), variable.name)
    ]

    @tf.function(reduce_retracing=True, autograph=False)
    def step(images: Any, classes: Any, boxes: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            class_part = focal_loss(
                tf.cast(outputs["logits"], tf.float32),
                classes,
                weights,
                alpha=settings.focal_alpha,
                gamma=settings.focal_gamma,
                label_smoothing=settings.label_smoothing,
            )
            box_part = box_loss(tf.cast(outputs["boxes"], tf.float32), boxes, classes)
            loss = class_part + settings.box_loss_weight * box_part
            penalty = tf.constant(0.0)
            if settings.l2:
                penalty = settings.l2 * tf.add_n([tf.reduce_sum(tf.square(variable)) for variable in penalised])
                loss += penalty
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return class_part, box_part, penalty

    return step
