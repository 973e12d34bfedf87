"""Settings of detray become changes and lines of a pipeline.config, or a comment where it has no field."""

from pathlib import Path
from typing import Any

import pytest

from detray.pipeline.read import PipelineFile, parse_pipeline
from detray.pipeline.remedies import apply_settings, changes, remedy_lines

OWN = (Path(__file__).parent / "ssd.config").read_text()
COSINE = "train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate"
STEPS = "train_config.data_augmentation_options"
NMS = "model.ssd.post_processing.batch_non_max_suppression"


@pytest.fixture
def file() -> PipelineFile:
    return parse_pipeline(OWN, "pipeline.config")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"focal_alpha": 0.4}, {"model.ssd.loss.classification_loss.weighted_sigmoid_focal.alpha": 0.4}),
        ({"focal_gamma": 1}, {"model.ssd.loss.classification_loss.weighted_sigmoid_focal.gamma": 1.0}),
        ({"learning_rate": 6e-3}, {f"{COSINE}.learning_rate_base": 0.02}),
        (
            {"learning_rate": 3e-4},  # below the warm-up's, which the API refuses
            {f"{COSINE}.learning_rate_base": 0.001, f"{COSINE}.warmup_learning_rate": 0.000333},
        ),
        ({"epochs": 100, "batch_size": 8}, {"train_config.batch_size": 8, **dict.fromkeys(
            ("train_config.num_steps", f"{COSINE}.total_steps"), 2500)}),
        ({"epochs": 1}, {"train_config.num_steps": 13, f"{COSINE}.total_steps": 13, f"{COSINE}.warmup_steps": 0}),
        ({"box_loss_weight": 2.0}, {"model.ssd.loss.localization_weight": 2.0}),
        ({"max_detections": 300}, {f"{NMS}.max_detections_per_class": 300, f"{NMS}.max_total_detections": 300}),
        ({"nms_iou": 0.5}, {f"{NMS}.iou_threshold": 0.5}),
        ({"freeze_norm": True}, {"model.ssd.freeze_batchnorm": True}),
        ({"clip_norm": None}, {"train_config.gradient_clipping_by_norm": 0.0}),
        ({"augmentation": "none"}, {STEPS: None}),
        (
            {"augmentation": "default"},
            {f"{STEPS}[+]": [{"random_adjust_brightness": {}}, {"random_adjust_contrast": {}}]},
        ),
        (
            {"input_height": 512, "input_width": 640},
            {
                "model.ssd.image_resizer.fixed_shape_resizer.height": 512,
                "model.ssd.image_resizer.fixed_shape_resizer.width": 640,
            },
        ),
        (
            {"top_level": 1},
            {
                "model.ssd.anchor_generator.multiscale_anchor_generator.max_level": 8,
                "model.ssd.feature_extractor.fpn.max_level": 8,
            },
        ),
    ],
)  # fmt: skip
def test_settings_with_a_field(file: PipelineFile, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    found = changes(file, settings, n_images=200)
    assert found.overrides == expected
    assert found.notes == ()
    text = apply_settings(OWN, settings, n_images=200)
    assert len(parse_pipeline(text, "p").unknown) == len(file.unknown) - (settings.get("augmentation") == "none")


@pytest.mark.parametrize("name", ["freeze_units", "class_weights", "weight_decay", "oversample", "label_smoothing"])
def test_settings_without_a_field_are_a_note(file: PipelineFile, name: str) -> None:
    found = changes(file, {name: {"Platelets": 4.0} if name == "oversample" else 2})
    assert found.overrides == {}
    assert found.notes[0].startswith(f"{name}: ")
    assert apply_settings(OWN, {name: {"Platelets": 4.0} if name == "oversample" else 2}) == OWN


def test_other_architectures() -> None:
    resizer = "keep_aspect_ratio_resizer { min_dimension: 640 max_dimension: 1024 }"
    file = parse_pipeline(f"model {{ faster_rcnn {{ image_resizer {{ {resizer} }} }} }}", "p")
    place = "model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer"
    assert changes(file, {"input_scale": 1.5}).overrides == {
        f"{place}.min_dimension": 960,
        f"{place}.max_dimension": 1536,
    }
    assert changes(file, {"focal_alpha": 0.4}).notes
    assert changes(file, {"learning_rate": 1e-3}).notes
    assert list(changes(file, {"box_loss_weight": 2.0}).overrides.values()) == [2.0]
    centre = parse_pipeline("model { center_net { } }", "p")
    assert changes(centre, {"max_detections": 300}).overrides == {
        "model.center_net.object_center_params.max_box_predictions": 300
    }
    for name in ("nms_iou", "input_scale", "box_loss_weight", "top_level"):
        assert changes(centre, {name: 0.5}).overrides == {}
        assert changes(centre, {name: 0.5}).notes


def test_lines_say_where_they_belong_and_what_they_replace(file: PipelineFile) -> None:
    section = "model.ssd.loss.classification_loss.weighted_sigmoid_focal"
    assert remedy_lines(file, {"focal_alpha": [0.25, 0.4], "focal_gamma": [1.0, 1.5, 2.0], "oversample": [1, 4]}) == [
        f"alpha: 0.4  # in {section}, line 52, in place of 0.25",
        f"gamma: 1  # in {section}, line 53, in place of 2.0; or 1.5",
        "# oversample: write the images with the class to a record file of their own, and name it 3 more times in"
        " input_path of train_input_reader",
    ]
    assert remedy_lines(file, {"focal_alpha": [0.25], "freeze_units": [0]}) == []
    added = remedy_lines(file, {"augmentation": ["default"]})
    assert added[-1] == "data_augmentation_options { random_adjust_contrast { } }  # in train_config"


def test_lines_can_be_pasted(file: PipelineFile) -> None:
    lines = remedy_lines(file, {"augmentation": ["strong"], "batch_size": [4], "freeze_units": [3]})
    pasted = parse_pipeline("train_config {\n" + "\n".join(lines) + "\n}", "p")
    assert pasted.config.train_config.batch_size == 4
    assert len(pasted.config.train_config.data_augmentation_options) == 4
