"""The search space: what it holds, and what it refuses."""

from typing import Any

import pytest
from msgspec.structs import replace

from detray.detectors.augmentation.settings import WRITTEN_OUT, AugmentationSettings, Flip, Rotate
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.settings import convert
from detray.tune.dotted import differences
from detray.tune.settings import TuneSettings
from detray.tune.space import Range, Space, require_whole_grid, search_space

FOCUS = ("rare",)


def space(values: Any, baseline: TrainSettings | None = None, focus: tuple[str, ...] = FOCUS) -> Space:
    settings = convert({"space": values}, TuneSettings, "test", "tune")
    return search_space(settings, baseline or TrainSettings(), focus, DetectorSettings(weights="some.h5"))


def test_the_baseline_is_the_origin() -> None:
    baseline = TrainSettings(focal_alpha=0.3, oversample={"rare": 3.0, "other": 2.0})
    found = space({"focal_alpha": [0.25], "oversample": [2, 4]}, baseline)
    assert found.train_settings(found.origin) == baseline
    assert found.changed(found.origin) == {}


def test_points_differ_in_what_reaches_the_trainer() -> None:
    found = space({"focal_gamma": [1, 3], "oversample": [2, 4]})
    points = [{"focal_gamma": gamma, "oversample": factor} for gamma in range(3) for factor in range(3)]
    assert found.size(99) == len(points) == len({repr(found.train_settings(point)) for point in points})


def test_a_number_for_oversample_repeats_the_focus_classes_and_leaves_the_others() -> None:
    found = space({"oversample": [4]}, TrainSettings(oversample={"other": 2.0}), focus=("rare", "scarce"))
    assert found.values["oversample"] == ({"other": 2.0}, {"other": 2.0, "rare": 4.0, "scarce": 4.0})


def test_values_equal_to_the_baseline_are_not_tried_again() -> None:
    assert space({"focal_gamma": [2, 2.0, 1, 1]}).values == {"focal_gamma": (2.0, 1.0)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"focal_gama": [1]}, "focal_gama"),
        ({"seed": [1, 2]}, "seed"),
        ({"epochs": [1, 2]}, "epochs"),
        ({"focal_gamma": [11]}, "<= 10"),
        ({"augmentation": ["wild"]}, "wild"),
        ({"oversample": ["much"]}, "oversample"),
        ({"freeze_units": [1.5]}, "freeze_units"),
        ({"focal_gamma": 2}, "tune"),
        ({"keep": ["last"]}, "no setting that a trial may change"),
        ({"augmentation.flop.p": [1]}, "no setting 'flop'; known there: copy_paste"),
        ({"augmentation.flip.p": [2]}, "augmentation.flip.p: expected"),
        ({"focal_gamma.p": [2]}, "no setting 'p'"),
        ({"detector.path": ["x"]}, "no setting that a trial may change"),
        ({"detector.input_height": [100]}, "multiple of 32"),
        ({"focal_gamma": {"low": 1}}, "either choice, or low and high"),
        ({"focal_gamma": {"low": 1, "high": 2, "choice": [1]}}, "either choice, or low and high"),
        ({"focal_gamma": {"low": 2, "high": 1}}, "low below high, got 2 and 1"),
        ({"focal_gamma": {"low": 0, "high": 1, "log": True}}, "log range above 0"),
        ({"focal_gamma": {"low": 1, "high": 11}}, "<= 10"),
        ({"focal_gamma": {"low": 1, "high": 2, "steps": 1}}, "steps"),
        ({"focal_gamma": {"choice": [1], "step": 1}}, "log and step are of a range"),
        ({"freeze_units": {"low": 0, "high": 2.5}}, "freeze_units: expected `int`"),
        ({"freeze_units": {"low": 0, "high": 4, "step": 0.5}}, "a whole step"),
        ({"optimizer": {"low": 0, "high": 4}}, "optimizer: expected"),
        ({"freeze_norm": {"low": 0, "high": 1}}, "freeze_norm: expected"),
        ({"detector.input_height": {"low": 192, "high": 320}}, "multiple of 32"),
        ({"batch_size": {"low": 1, "high": 4096}}, "4096 numbers; 1000 are checked"),
        ({"l2": {"choice": [0.1], "when": {"optimiser": "sgd"}}}, "no setting 'optimiser'"),
        ({"l2": {"choice": [0.1], "when": {"optimizer": "sgdm"}}}, "optimizer: expected"),
        ({"l2": {"choice": [0.1], "when": {"optimizer": "sgd"}}, "optimizer": ["sgd"]}, "must stand before it"),
    ],
)
def test_refused_as_configuration(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        convert({"space": values}, TuneSettings, "test", "tune")


@pytest.mark.parametrize("values", [{}, {"focal_gamma": []}, {"focal_gamma": [2.0]}])
def test_a_space_without_a_second_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"tune\.space"):
        space(values)


def test_settings_within_settings_are_changed_alone() -> None:
    found = space({"augmentation.flip.p": [0, 0.9], "augmentation.rotate.degrees": [30], "augmentation.hue": [None]})
    assert found.values["augmentation.flip.p"] == (0.5, 0.0, 0.9)
    assert found.train_settings(found.origin) == found.baseline == TrainSettings()
    trial = found.train_settings({"augmentation.flip.p": 2, "augmentation.rotate.degrees": 1, "augmentation.hue": 1})
    assert isinstance(trial.augmentation, AugmentationSettings)
    assert trial.augmentation.flip == Flip(p=0.9)
    assert trial.augmentation.rotate == Rotate(degrees=30)
    assert trial.augmentation.hue is None
    assert trial.augmentation.contrast == WRITTEN_OUT["default"].contrast
    assert replace(trial, augmentation="default") == TrainSettings()


def test_a_trial_may_change_its_detector() -> None:
    found = space({"detector.input_height": [320], "detector.backbone": ["tiny", "resnet50"], "focal_gamma": [1]})
    assert found.size(99) == 8
    point = {"detector.input_height": 1, "detector.backbone": 1, "focal_gamma": 1}
    assert found.detector_settings(point) == DetectorSettings(weights="some.h5", input_height=320, backbone="resnet50")
    assert found.train_settings(point) == TrainSettings(focal_gamma=1.0)
    assert found.detector_settings(found.origin) == found.detectors[0] == found.detector
    assert len(found.detectors) == 4


def test_values_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match=r"tune\.space: optimizer adam, weight_decay 0\.1: .*adamw"):
        space({"optimizer": ["adam"], "weight_decay": [0.1]})
    with pytest.raises(UsageError, match=r"tune\.space: cycles 3"):
        space({"cycles": [3]})
    assert space({"cycles": [3]}, TrainSettings(schedule="cyclical")).size(99) == 2


def test_what_differs_is_named_by_its_place() -> None:
    changed = TrainSettings(focal_gamma=1.0, oversample={"rare": 2.0}, augmentation=AugmentationSettings(flip=Flip()))
    found = differences(TrainSettings(), changed)
    assert found["focal_gamma"] == 1.0
    assert found["oversample.rare"] == 2.0
    assert found["augmentation.flip.p"] == 0.5
    assert "oversample" not in found
    assert "augmentation" not in found
    assert differences(changed, TrainSettings())["augmentation"] == "default"
    assert differences(changed, TrainSettings())["oversample.rare"] is None
    assert differences(changed, changed) == {}


def test_ranges() -> None:
    found = space(
        {
            "learning_rate": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
            "freeze_units": {"low": 0, "high": 4, "step": 2},
            "focal_alpha": {"low": 0.1, "high": 0.5, "step": 0.1},
            "detector.input_height": {"low": 192, "high": 256, "step": 32},
        }
    )
    assert found.origin == {}
    assert not found.is_finite
    assert found.size(7) == 7
    point = {"learning_rate": 0.005, "freeze_units": 4, "focal_alpha": 0.3, "detector.input_height": 224}
    assert found.train_settings(point) == TrainSettings(learning_rate=0.005, freeze_units=4, focal_alpha=0.3)
    assert [one.input_height for one in found.detectors] == [192, 224, 256]
    alpha = found.values["focal_alpha"]
    assert isinstance(alpha, Range)
    assert alpha.numbers == [0.1, 0.2, 0.3, 0.4, 0.5]
    with pytest.raises(UsageError, match="learning_rate is a range without a step"):
        require_whole_grid(found, 100)


def test_a_setting_that_waits_for_another() -> None:
    found = space(
        {
            "optimizer": ["adamw", "adam"],
            "weight_decay": {"choice": [0.1, 0.01], "when": {"optimizer": ["adamw", "sgd"]}},
        }
    )
    assert found.origin == {"optimizer": 0, "weight_decay": 0}
    assert list(found.points()) == [
        *({"optimizer": 0, "weight_decay": place} for place in range(3)),
        {"optimizer": 1},
    ]
    assert found.active({"optimizer": 1, "weight_decay": 2}) == {"optimizer": 1}
    fixed = space({"l2": {"choice": [0.1], "when": {"schedule": "step"}}, "focal_gamma": [1]})
    assert list(fixed.points()) == [{"focal_gamma": 0}, {"focal_gamma": 1}]


def test_a_grid_takes_what_is_listed() -> None:
    found = space({"focal_gamma": [1, 3], "focal_alpha": [0.25, 0.4], "freeze_units": {"low": 0, "high": 1}})
    points = [found.changed(point) for point in found.points(is_grid=True)]
    assert len(points) == 8
    assert points[0] == {"focal_gamma": 1.0}
    assert points[-1] == {"focal_gamma": 3.0, "focal_alpha": 0.4, "freeze_units": 1}
    require_whole_grid(found, 9)
    with pytest.raises(UsageError, match=r"more points than tune\.trials, which is 8"):
        require_whole_grid(found, 8)
