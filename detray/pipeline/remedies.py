"""Train and prediction settings of detray as changes of a pipeline.config, and as lines to paste.

What the API has no field for is said in a comment, which protobuf's text format keeps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detray.pipeline.edit import Value, apply, lines_of
from detray.pipeline.geometry import resize_of
from detray.pipeline.read import PipelineFile, parse_pipeline
from detray.pipeline.schedule import Schedule, schedule_of

USUAL_RATE = 3.0e-3
"""train.learning_rate's default: another one scales the rate that is stated, as optimizers differ."""
WARMUP_SHARE = 20
MULTIPLE = 32
"""Of px that inputs are rounded to, the stride of a pyramid's coarsest backbone level."""
SCHEDULE = "cosine_decay_learning_rate"
STEPS = "train_config.data_augmentation_options"
STRONG: Mapping[str, Mapping[str, Any]] = {
    "random_horizontal_flip": {},
    "random_crop_image": {},
    "random_adjust_brightness": {},
    "random_adjust_contrast": {},
    "random_adjust_saturation": {},
}
DEFAULT = ("random_horizontal_flip", "random_adjust_brightness", "random_adjust_contrast")
"""Steps of the augmentations that detray calls strong and default."""


@dataclass(frozen=True)
class Changes:
    """``overrides`` as `edit.apply` takes them, and ``notes`` on what has no field."""

    overrides: Mapping[str, Value]
    notes: tuple[str, ...] = ()


def _none(note: str) -> Changes:
    return Changes({}, (note,))


def _focal(field: str) -> Callable[[PipelineFile, Any], Changes]:
    def change(file: PipelineFile, value: Any) -> Changes:
        ssd = file.config.model.ssd
        if ssd is None or ssd.loss.classification_loss.weighted_sigmoid_focal is None:
            return _none(f"{field}: this model's classification loss is not focal")
        return Changes({f"model.ssd.loss.classification_loss.weighted_sigmoid_focal.{field}": float(value)})

    return change


def _rate(file: PipelineFile, value: Any) -> Changes:
    schedule = schedule_of(file.config.train_config.optimizer)
    if schedule is None:
        return _none("learning_rate: no schedule is stated")
    return Changes(_with_rate(schedule, float(f"{schedule.rate * value / USUAL_RATE:.3g}")))


def _with_rate(schedule: Schedule, rate: float) -> dict[str, Value]:
    cosine = schedule.stated.cosine_decay_learning_rate
    found: dict[str, Value] = {f"{schedule.place}.{schedule.field}": rate}
    if cosine is not None and cosine.warmup_steps and cosine.warmup_learning_rate > rate:  # which the API refuses
        found[f"{schedule.place}.warmup_learning_rate"] = float(f"{rate / 3:.3g}")
    return found


def _steps(file: PipelineFile, value: Any) -> Changes:
    schedule = schedule_of(file.config.train_config.optimizer)
    found: dict[str, Value] = {"train_config.num_steps": int(value)}
    cosine = None if schedule is None else schedule.stated.cosine_decay_learning_rate
    if schedule is not None and cosine is not None:
        found[f"{schedule.place}.total_steps"] = int(value)
        if cosine.warmup_steps >= value:
            found[f"{schedule.place}.warmup_steps"] = int(value) // WARMUP_SHARE
    return Changes(found)


def _box_loss(file: PipelineFile, value: Any) -> Changes:
    ssd, rcnn = file.config.model.ssd, file.config.model.faster_rcnn
    if ssd is not None:
        return Changes({"model.ssd.loss.localization_weight": ssd.loss.localization_weight * value})
    if rcnn is not None:
        place = "model.faster_rcnn.second_stage_localization_loss_weight"
        return Changes({place: rcnn.second_stage_localization_loss_weight * value})
    return _none("box_loss_weight: CenterNet's is scale_loss_weight in object_detection_task")


def _augmentation(file: PipelineFile, value: Any) -> Changes:
    stated = file.config.train_config.data_augmentation_options
    if value == "none":
        return Changes({STEPS: None})
    if value not in ("default", "strong"):
        return _none("augmentation: choose steps of data_augmentation_options of like effect")
    wanted = STRONG if value == "strong" else {name: STRONG[name] for name in DEFAULT}
    missing = [{name: step} for name, step in wanted.items() if not any(getattr(one, name) for one in stated)]
    return Changes({f"{STEPS}[+]": missing} if missing else {})


def _suppression(field: str) -> Callable[[PipelineFile, Any], Changes]:
    def change(file: PipelineFile, value: Any) -> Changes:
        places = {"model.ssd": "post_processing", "model.faster_rcnn": "second_stage_post_processing"}
        section = places.get(file.architecture_place) if file.architecture is not None else None
        if section is None:
            cap = "model.center_net.object_center_params.max_box_predictions"
            is_cap = file.config.model.center_net is not None and field == "max_total_detections"
            return Changes({cap: value}) if is_cap else _none(f"{field}: this model has no non-maximum suppression")
        place = f"{file.architecture_place}.{section}.batch_non_max_suppression"
        both = ("max_detections_per_class", field) if field == "max_total_detections" else (field,)
        return Changes({f"{place}.{name}": value for name in both})

    return change


def _input_scale(file: PipelineFile, value: Any) -> Changes:
    architecture = file.architecture
    resize = resize_of(architecture.image_resizer) if architecture is not None else None
    if resize is None or resize.kind not in ("stretch", "fit"):
        return _none("input size: state a keep_aspect_ratio_resizer in image_resizer")
    larger = resize.scaled(value)
    height, width = (round(side / MULTIPLE) * MULTIPLE for side in (larger.height, larger.width))
    return _input(file, {"height": height, "width": width})


def _input(file: PipelineFile, value: Any) -> Changes:
    architecture = file.architecture
    place = f"{file.architecture_place}.image_resizer"
    if architecture is not None and architecture.image_resizer.fixed_shape_resizer is not None:
        fixed = f"{place}.fixed_shape_resizer"
        return Changes({f"{fixed}.height": value["height"], f"{fixed}.width": value["width"]})
    if architecture is not None and architecture.image_resizer.keep_aspect_ratio_resizer is not None:
        kept, sides = f"{place}.keep_aspect_ratio_resizer", sorted(value.values())
        return Changes({f"{kept}.min_dimension": sides[0], f"{kept}.max_dimension": sides[-1]})
    return _none("input size: state a keep_aspect_ratio_resizer in image_resizer")


def _top_level(file: PipelineFile, value: Any) -> Changes:
    ssd = file.config.model.ssd
    generator = ssd.anchor_generator.multiscale_anchor_generator if ssd is not None else None
    pyramid = next((name for name in ("fpn", "bifpn") if ssd and getattr(ssd.feature_extractor, name)), None)
    if generator is None or pyramid is None:
        return _none("larger objects: add larger scales to the anchor generator")
    level = generator.max_level + value
    return Changes(
        {
            "model.ssd.anchor_generator.multiscale_anchor_generator.max_level": level,
            f"model.ssd.feature_extractor.{pyramid}.max_level": level,
        }
    )


def _oversample(file: PipelineFile, value: Any) -> Changes:
    factors = value if isinstance(value, Mapping) else {"the class": value}
    if all(factor <= 1 for factor in factors.values()):
        return Changes({})
    return Changes(
        {},
        tuple(
            f"oversample: write the images with {name} to a record file of their own, and name it"
            f" {max(round(factor) - 1, 1)} more times in input_path of train_input_reader"
            for name, factor in factors.items()
            if factor > 1
        ),
    )


_CHANGES: Mapping[str, Callable[[PipelineFile, Any], Changes]] = {
    "focal_alpha": _focal("alpha"),
    "focal_gamma": _focal("gamma"),
    "learning_rate": _rate,
    "batch_size": lambda file, value: Changes({"train_config.batch_size": value}),
    "steps": _steps,
    "clip_norm": lambda file, value: Changes({"train_config.gradient_clipping_by_norm": float(value or 0)}),
    "box_loss_weight": _box_loss,
    "augmentation": _augmentation,
    "oversample": _oversample,
    "input": _input,
    "input_scale": _input_scale,
    "top_level": _top_level,
    "score_threshold": _suppression("score_threshold"),
    "max_detections": _suppression("max_total_detections"),
    "nms_iou": _suppression("iou_threshold"),
    "freeze_norm": lambda file, value: Changes(
        {"model.ssd.freeze_batchnorm": bool(value)} if file.config.model.ssd else {}
    ),
    "freeze_units": lambda file, value: Changes(
        {},
        ("freeze_units: nothing freezes layers in TF2, freeze_variables has no effect; lower the rate instead",)
        if value
        else (),
    ),
    "class_weights": lambda file, value: Changes(
        {},
        ("class_weights: image/object/weight of each box in the training records weighs its class",)
        if value != "none"
        else (),
    ),
    "weight_decay": lambda file, value: _none(
        "weight_decay: weight of l2_regularizer in the conv_hyperparams of feature_extractor and box_predictor"
    ),
}
"""By the name of a setting: of train, but for steps (in place of epochs), input (height and width), input_scale (a
factor), top_level (levels more) and those of prediction."""


def changes(file: PipelineFile, settings: Mapping[str, Any], n_images: int | None = None) -> Changes:
    """What ``settings`` change of ``file``.

    Args:
        file: a pipeline.config.
        settings: values by name, of the section train, or as `_CHANGES` names them.
        n_images: of the training split, by which epochs become steps.
    """
    overrides: dict[str, Value] = {}
    notes: list[str] = []
    for name, value in _plain(file, settings, n_images).items():
        change = _CHANGES.get(name)
        found = _none(f"{name}: a pipeline.config has no field for it") if change is None else change(file, value)
        overrides |= found.overrides
        notes += found.notes
    return Changes(overrides, tuple(notes))


def _plain(file: PipelineFile, settings: Mapping[str, Any], n_images: int | None) -> dict[str, Any]:
    """``settings`` with epochs as steps, and height and width as one."""
    found = dict(settings)
    epochs = found.pop("epochs", None)
    if epochs is not None and n_images:
        batch = found.get("batch_size", file.config.train_config.batch_size)
        found["steps"] = max(-(-epochs * n_images // max(batch, 1)), 1)
    sides = {name: found.pop(f"input_{name}", None) for name in ("height", "width")}
    if all(sides.values()):
        found["input"] = sides
    return found


def apply_settings(text: str, settings: Mapping[str, Any], n_images: int | None = None) -> str:
    """``text`` of a pipeline.config with ``settings`` as `changes` takes them; what has no field is left out."""
    return apply(text, changes(parse_pipeline(text, "pipeline.config"), settings, n_images).overrides)


def remedy_lines(file: PipelineFile, space: Mapping[str, Sequence[Any]]) -> list[str]:
    """Lines that set each setting of ``space`` to the first value that changes something, with the others in a comment.

    Args:
        file: a pipeline.config.
        space: values to try by setting, as `changes` takes them.
    """
    lines: list[str] = []
    for name, values in space.items():
        tried = [changes(file, {name: value}) for value in values]
        told = [one for one in tried if _differs(file, one.overrides)]
        lines += list(_told(file, told)) if told else []
        notes = next((one.notes for one in reversed(tried) if one.notes), ())
        lines += [f"# {note}" for note in notes]
    return list(dict.fromkeys(lines))


def _differs(file: PipelineFile, overrides: Mapping[str, Value]) -> bool:
    return any(place.endswith("[+]") or _stated(file, place) != value for place, value in overrides.items())


def _told(file: PipelineFile, found: Sequence[Changes]) -> Iterator[str]:
    for place, value in found[0].overrides.items():
        section, _, _ = place.rpartition(".")
        others = list(dict.fromkeys(str(one.overrides[place]) for one in found[1:] if one.overrides.get(place)))
        now = _stated(file, place)
        line = file.lines.get(place)
        was = f", line {line}, in place of {now}" if line is not None and not isinstance(now, tuple) else ""
        more = f"; or {', '.join(others)}" if others and not place.endswith("[+]") else ""
        *rest, last = lines_of(place, value)
        yield from rest
        yield f"{last}  # in {section}{was}{more}"


def _stated(file: PipelineFile, place: str) -> Any:
    """The value of a field, with the API's default where it is not stated."""
    found: Any = file.config
    for name in place.removesuffix("[+]").split("."):
        found = getattr(found, name, None)
    return found
