"""What detray reads of a pipeline.config beside its section ``model``.

Source: object_detection/protos/{pipeline, train, optimizer, preprocessor, input_reader, eval}.proto of
github.com/tensorflow/models.
"""

from dataclasses import dataclass
from typing import Annotated

from detray.pipeline.fields import In
from detray.pipeline.model import DetectionModel


@dataclass(frozen=True)
class ConstantLearningRate:
    """One rate for all steps."""

    learning_rate: Annotated[float, In(1)] = 0.002


@dataclass(frozen=True)
class ExponentialDecayLearningRate:
    """A rate that falls by a factor."""

    initial_learning_rate: Annotated[float, In(1)] = 0.002
    decay_steps: Annotated[int, In(2, "uint32")] = 4_000_000
    decay_factor: Annotated[float, In(3)] = 0.95
    burnin_learning_rate: Annotated[float, In(5)] = 0.0
    burnin_steps: Annotated[int, In(6, "uint32")] = 0


@dataclass(frozen=True)
class LearningRateSchedule:
    """From ``step`` on this rate."""

    step: Annotated[int, In(1, "uint32")] = 0
    learning_rate: Annotated[float, In(2)] = 0.002


@dataclass(frozen=True)
class ManualStepLearningRate:
    """Rates from stated steps on."""

    initial_learning_rate: Annotated[float, In(1)] = 0.002
    schedule: Annotated[tuple[LearningRateSchedule, ...], In(2)] = ()
    warmup: Annotated[bool, In(3)] = False


@dataclass(frozen=True)
class CosineDecayLearningRate:
    """A warm-up, then half a cosine down to 0 at ``total_steps``, and 0 from there."""

    learning_rate_base: Annotated[float, In(1)] = 0.002
    total_steps: Annotated[int, In(2, "uint32")] = 4_000_000
    warmup_learning_rate: Annotated[float, In(3)] = 0.0002
    warmup_steps: Annotated[int, In(4, "uint32")] = 10_000
    hold_base_rate_steps: Annotated[int, In(5, "uint32")] = 0


@dataclass(frozen=True)
class LearningRate:
    """One of the schedules."""

    constant_learning_rate: Annotated[ConstantLearningRate | None, In(1, one_of="learning_rate")] = None
    exponential_decay_learning_rate: Annotated[ExponentialDecayLearningRate | None, In(2, one_of="learning_rate")] = (
        None
    )
    manual_step_learning_rate: Annotated[ManualStepLearningRate | None, In(3, one_of="learning_rate")] = None
    cosine_decay_learning_rate: Annotated[CosineDecayLearningRate | None, In(4, one_of="learning_rate")] = None


@dataclass(frozen=True)
class RateOnly:
    """An optimizer, of which only the schedule is read."""

    learning_rate: Annotated[LearningRate, In(1)] = LearningRate()


@dataclass(frozen=True)
class Optimizer:
    """One of the optimizers; moving averages of the weights where asked for."""

    rms_prop_optimizer: Annotated[RateOnly | None, In(1, one_of="optimizer")] = None
    momentum_optimizer: Annotated[RateOnly | None, In(2, one_of="optimizer")] = None
    adam_optimizer: Annotated[RateOnly | None, In(3, one_of="optimizer")] = None
    use_moving_average: Annotated[bool, In(4)] = True


@dataclass(frozen=True)
class Flip:
    """A flip or turn of half of the pictures."""

    probability: Annotated[float, In(2)] = 0.5


@dataclass(frozen=True)
class OtherStep:
    """A step of the augmentation whose parameters no rule reads."""


@dataclass(frozen=True)
class PreprocessingStep:
    """One step of the augmentation; what is none of these is kept as text."""

    random_horizontal_flip: Annotated[Flip | None, In(2, one_of="preprocessing_step")] = None
    random_adjust_brightness: Annotated[OtherStep | None, In(6, one_of="preprocessing_step")] = None
    random_adjust_contrast: Annotated[OtherStep | None, In(7, one_of="preprocessing_step")] = None
    random_adjust_hue: Annotated[OtherStep | None, In(8, one_of="preprocessing_step")] = None
    random_adjust_saturation: Annotated[OtherStep | None, In(9, one_of="preprocessing_step")] = None
    random_crop_image: Annotated[OtherStep | None, In(12, one_of="preprocessing_step")] = None
    ssd_random_crop: Annotated[OtherStep | None, In(21, one_of="preprocessing_step")] = None
    random_vertical_flip: Annotated[Flip | None, In(25, one_of="preprocessing_step")] = None
    random_rotation90: Annotated[Flip | None, In(26, one_of="preprocessing_step")] = None
    random_square_crop_by_scale: Annotated[OtherStep | None, In(37, one_of="preprocessing_step")] = None
    random_scale_crop_and_pad_to_square: Annotated[OtherStep | None, In(38, one_of="preprocessing_step")] = None


@dataclass(frozen=True)
class TrainConfig:
    """The section ``train_config``."""

    batch_size: Annotated[int, In(1, "uint32")] = 32
    data_augmentation_options: Annotated[tuple[PreprocessingStep, ...], In(2)] = ()
    optimizer: Annotated[Optimizer, In(5)] = Optimizer()
    gradient_clipping_by_norm: Annotated[float, In(6)] = 0.0
    fine_tune_checkpoint: Annotated[str, In(7)] = ""
    from_detection_checkpoint: Annotated[bool, In(8)] = False
    num_steps: Annotated[int, In(9, "uint32")] = 0
    freeze_variables: Annotated[tuple[str, ...], In(12)] = ()
    load_all_detection_checkpoint_vars: Annotated[bool, In(19)] = False
    max_number_of_boxes: Annotated[int, In(20)] = 100
    unpad_groundtruth_tensors: Annotated[bool, In(21)] = True
    fine_tune_checkpoint_type: Annotated[str, In(22)] = ""
    update_trainable_variables: Annotated[tuple[str, ...], In(25)] = ()
    fine_tune_checkpoint_version: Annotated[str, In(28, enum=("UNKNOWN", "V1", "V2"))] = "V1"


@dataclass(frozen=True)
class TFRecordInputReader:
    """Files of records, or patterns of their names."""

    input_path: Annotated[tuple[str, ...], In(1)] = ()


@dataclass(frozen=True)
class InputReader:
    """The sections ``train_input_reader`` and ``eval_input_reader``."""

    label_map_path: Annotated[str, In(1)] = ""
    shuffle: Annotated[bool, In(2)] = True
    queue_capacity: Annotated[int, In(3, "uint32")] = 2000
    min_after_dequeue: Annotated[int, In(4, "uint32")] = 1000
    num_epochs: Annotated[int, In(5, "uint32")] = 0
    num_readers: Annotated[int, In(6, "uint32")] = 64
    tf_record_input_reader: Annotated[TFRecordInputReader | None, In(8, one_of="input_reader")] = None
    shuffle_buffer_size: Annotated[int, In(11, "uint32")] = 2048
    use_display_name: Annotated[bool, In(17)] = False
    max_number_of_boxes: Annotated[int, In(21)] = 100
    sample_1_of_n_examples: Annotated[int, In(22, "uint32")] = 1
    sample_from_datasets_weights: Annotated[tuple[float, ...], In(34)] = ()


@dataclass(frozen=True)
class EvalConfig:
    """The section ``eval_config``."""

    num_examples: Annotated[int, In(2, "uint32")] = 5000
    max_evals: Annotated[int, In(4, "uint32")] = 0
    metrics_set: Annotated[tuple[str, ...], In(8)] = ()
    use_moving_averages: Annotated[bool, In(11)] = False
    include_metrics_per_category: Annotated[bool, In(24)] = False
    batch_size: Annotated[int, In(25, "uint32")] = 1


NO_MODEL = DetectionModel()


@dataclass(frozen=True)
class TrainEvalPipelineConfig:
    """A pipeline.config."""

    model: Annotated[DetectionModel, In(1)] = NO_MODEL
    train_config: Annotated[TrainConfig, In(2)] = TrainConfig()
    train_input_reader: Annotated[InputReader, In(3)] = InputReader()
    eval_config: Annotated[EvalConfig, In(4)] = EvalConfig()
    eval_input_reader: Annotated[tuple[InputReader, ...], In(5)] = ()
