"""An edit changes what it is told to and not a letter more."""

import difflib
from pathlib import Path
from typing import Any

import pytest

from detray.errors import UsageError
from detray.pipeline.edit import apply
from detray.pipeline.read import parse_pipeline

OWN = (Path(__file__).parent / "ssd.config").read_text()


def _changes(text: str, overrides: dict[str, Any]) -> list[str]:
    """The lines that differ, with their sign."""
    found = difflib.ndiff(text.splitlines(), apply(text, overrides).splitlines())
    return [line for line in found if line[0] in "+-"]


def test_a_stated_value_is_replaced_and_its_comment_stays() -> None:
    assert _changes(OWN, {"train_config.batch_size": 8}) == [
        "-   batch_size: 16  # what fits",
        "+   batch_size: 8  # what fits",
    ]


def test_what_is_not_stated_is_added_at_the_end_of_its_section() -> None:
    assert _changes(OWN, {"train_config.gradient_clipping_by_norm": 10.0}) == ["+   gradient_clipping_by_norm: 10"]
    assert _changes(OWN, {"train_input_reader.max_number_of_boxes": 300}) == ["+   max_number_of_boxes: 300"]
    flat = 'eval_config { metrics_set: "a" }'
    assert apply(flat, {"eval_config.batch_size": 1}) == 'eval_config { metrics_set: "a" batch_size: 1 }'


def test_sections_that_are_not_there_are_made() -> None:
    text = apply("model {\n  ssd {\n    num_classes: 3\n  }\n}", {"model.ssd.loss.localization_weight": 2.0})
    assert text == ("model {\n  ssd {\n    num_classes: 3\n    loss {\n      localization_weight: 2\n    }\n  }\n}")
    assert apply(text, {"train_config.num_steps": 5}).endswith("}\ntrain_config {\n  num_steps: 5\n}\n")


def test_what_repeats_is_replaced_as_a_whole() -> None:
    steps = [{"random_horizontal_flip": {"probability": 0.3}}, {"random_crop_image": {}}]
    text = apply(OWN, {"train_config.data_augmentation_options": steps})
    config = parse_pipeline(text, "p").config.train_config
    assert [bool(step.random_crop_image) for step in config.data_augmentation_options] == [False, True]
    assert config.data_augmentation_options[0].random_horizontal_flip is not None
    assert config.data_augmentation_options[0].random_horizontal_flip.probability == 0.3
    assert text.count("data_augmentation_options") == 2
    without = apply(OWN, {"train_config.data_augmentation_options": None})
    assert not parse_pipeline(without, "p").config.train_config.data_augmentation_options
    paths = ["a.record", 'b"\\.record']
    text = apply(OWN, {"train_input_reader.tf_record_input_reader.input_path": paths})
    reader = parse_pipeline(text, "p").config.train_input_reader.tf_record_input_reader
    assert reader is not None
    assert list(reader.input_path) == paths


def test_unknown_fields_comments_and_order_stay() -> None:
    text = apply(OWN, {"model.ssd.num_classes": 4, "model.ssd.freeze_batchnorm": True, "train_config.num_steps": 9})
    assert len(parse_pipeline(text, "p").unknown) == 8
    assert len(text.splitlines()) == len(OWN.splitlines())
    assert text.startswith("# A MobileNetV2")


@pytest.mark.parametrize("text", [OWN, " ".join(line.partition("#")[0] for line in OWN.splitlines())])
def test_nothing_and_the_same_value_change_nothing(text: str) -> None:
    assert apply(text, {}) == text
    assert apply(text, {"train_config.batch_size": 16, "train_config.gradient_clipping_by_norm": None}) == text


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        ({"train_config.batchsize": 3}, "no such field"),
        ({"train_config.batch_size.more": 3}, "no such field"),
        ({"model.center_net.num_classes": 3}, "another member of oneof"),
        ({"train_config.batch_size": -1}, "out of range"),
        ({"train_config.data_augmentation_options": [{"none": {}}]}, "no such field"),
    ],
)
def test_what_the_api_would_refuse_is_refused(overrides: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        apply(OWN, overrides)
