"""How fast a pipeline.config lets a model learn, and the configuration of the model zoo that it was made from.

Source: object_detection/configs/tf2 (batch size and rate), utils/learning_schedules.py (the schedules); Goyal et al.,
Accurate, Large Minibatch SGD, 2017 (a rate grows with the batch); Malladi et al., On the SDEs and Scaling Rules for
Adaptive Gradient Algorithms, 2022 (Adam's with its root).
"""

from dataclasses import dataclass
from math import cos, pi

from detray.pipeline.model import CenterNet, FasterRcnn, Ssd
from detray.pipeline.schema import LearningRate, Optimizer


@dataclass(frozen=True)
class Base:
    """A configuration of the TF2 model zoo: its name, images a step, and the rate that they are learned with."""

    name: str
    batch_size: int
    learning_rate: float


_ZOO = {
    "ssd_mobilenet_v2_keras": Base("ssd_mobilenet_v2_320x320_coco17_tpu-8", 512, 0.08),
    "ssd_mobilenet_v2_fpn_keras": Base("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", 128, 0.08),
    "ssd_mobilenet_v1_fpn_keras": Base("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", 64, 0.04),
    "ssd_resnet50_v1_fpn_keras": Base("ssd_resnet50_v1_fpn_640x640_coco17_tpu-8", 64, 0.04),
    "ssd_resnet101_v1_fpn_keras": Base("ssd_resnet101_v1_fpn_640x640_coco17_tpu-8", 64, 0.04),
    "ssd_resnet152_v1_fpn_keras": Base("ssd_resnet152_v1_fpn_640x640_coco17_tpu-8", 64, 0.04),
    "ssd_efficientnet": Base("ssd_efficientdet_d0_512x512_coco17_tpu-8", 128, 0.08),
    "faster_rcnn_resnet50_keras": Base("faster_rcnn_resnet50_v1_640x640_coco17_tpu-8", 64, 0.04),
    "faster_rcnn_resnet101_keras": Base("faster_rcnn_resnet101_v1_640x640_coco17_tpu-8", 64, 0.04),
    "faster_rcnn_resnet152_keras": Base("faster_rcnn_resnet152_v1_640x640_coco17_tpu-8", 64, 0.04),
    "hourglass_104": Base("centernet_hourglass104_512x512_coco17_tpu-8", 128, 1e-3),
    "resnet_v1": Base("centernet_resnet101_v1_fpn_512x512_coco17_tpu-8", 128, 1e-3),
    "resnet_v2": Base("centernet_resnet50_v2_512x512_coco17_tpu-8", 128, 1e-3),
}
"""By what the type of the feature extractor begins with."""


def base_of(architecture: Ssd | FasterRcnn | CenterNet) -> Base | None:
    """The configuration that one of this backbone is usually made from."""
    kind = architecture.feature_extractor.type
    return next((base for start, base in _ZOO.items() if kind.startswith(start)), None)


OPTIMIZERS = ("momentum_optimizer", "rms_prop_optimizer", "adam_optimizer")


def optimizer_of(optimizer: Optimizer) -> str | None:
    """The name of the optimizer that is stated."""
    return next((name for name in OPTIMIZERS if getattr(optimizer, name) is not None), None)


@dataclass(frozen=True)
class Schedule:
    """A schedule of the learning rate.

    Attributes:
        place: where it stands in the file.
        kind: the name of its message.
        field: the field that holds its highest rate, and that rate, ``rate``.
        adaptive: whether the optimizer is Adam.
        stated: all of it.
    """

    place: str
    kind: str
    field: str
    rate: float
    adaptive: bool
    stated: LearningRate

    def fitting(self, base: Base, batch_size: int) -> float:
        """The rate that has the base's effect an image at another batch size."""
        factor = batch_size / base.batch_size
        return base.learning_rate * (factor**0.5 if self.adaptive else factor)


_FIELDS = {
    "constant_learning_rate": "learning_rate",
    "exponential_decay_learning_rate": "initial_learning_rate",
    "manual_step_learning_rate": "initial_learning_rate",
    "cosine_decay_learning_rate": "learning_rate_base",
}


def schedule_of(optimizer: Optimizer) -> Schedule | None:
    """The schedule that is stated; None where none is."""
    name = optimizer_of(optimizer)
    if name is None:
        return None
    stated: LearningRate = getattr(optimizer, name).learning_rate
    kind = next((kind for kind in _FIELDS if getattr(stated, kind) is not None), None)
    if kind is None:
        return None
    place = f"train_config.optimizer.{name}.learning_rate.{kind}"
    rate = getattr(getattr(stated, kind), _FIELDS[kind])
    return Schedule(place, kind, _FIELDS[kind], rate, name == "adam_optimizer", stated)


def cosine_share(step: int, total: int, warmup: int, hold: int = 0) -> float:
    """The share of its base rate that a cosine decay has at ``step``, after the warm-up."""
    if step >= total:
        return 0.0
    return 0.5 * (1 + cos(pi * max(step - warmup - hold, 0) / max(total - warmup - hold, 1)))
