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
from detray.tune.space import AUTO, Space, search_space

FOCUS = ("rare",)


def space(
    values: Any = "auto",
    baseline: TrainSettings | None = None,
    focus: tuple[str, ...] = FOCUS,
    pretrained: bool = True,
) -> Space:
    settings = convert({"space": values}, TuneSettings, "test")
    detector = DetectorSettings(weights="some.h5" if pretrained else None)
    return search_space(settings, baseline or TrainSettings(), focus, detector)


def test_the_baseline_is_the_origin() -> None:
    baseline = TrainSettings(focal_alpha=0.3, oversample={"rare": 3.0, "other": 2.0})
    found = space(baseline=baseline)
    assert found.train_settings(found.origin) == baseline
    assert found.changed(found.origin) == {}


def test_every_point_is_a_whole_train_setting() -> None:
    found = space()
    assert set(found.values) == set(AUTO)
    for field, values in found.values.items():
        for index, value in enumerate(values):
            settings = found.train_settings(found.origin | {field: index})
            assert getattr(settings, field) == value
            assert convert(settings, TrainSettings, "test") == settings


def test_points_differ_in_what_reaches_the_trainer() -> None:
    found = space({"focal_gamma": [1, 3], "oversample": [2, 4]})
    points = [{"focal_gamma": gamma, "oversample": factor} for gamma in range(3) for factor in range(3)]
    assert found.size == len(points) == len({repr(found.train_settings(point)) for point in points})


def test_a_number_for_oversample_repeats_the_focus_classes_and_leaves_the_others() -> None:
    found = space({"oversample": [4]}, TrainSettings(oversample={"other": 2.0}), focus=("rare", "scarce"))
    assert found.values["oversample"] == ({"other": 2.0}, {"other": 2.0, "rare": 4.0, "scarce": 4.0})


def test_values_equal_to_the_baseline_are_not_tried_again() -> None:
    assert space({"focal_gamma": [2, 2.0, 1, 1]}).values == {"focal_gamma": (2.0, 1.0)}


def test_random_weights_are_hardly_frozen() -> None:
    assert space().values["freeze_units"] == (0, 1, 2)
    assert space(pretrained=False).values["freeze_units"] == (0, 1)
    assert space({"freeze_units": [3]}, pretrained=False).values["freeze_units"] == (0, 3)


def test_auto_guesses_the_lever_that_worked_elsewhere() -> None:
    (guess,) = space().guesses
    assert space().changed(guess) == {"oversample": {"rare": 8.0}}
    assert space(baseline=TrainSettings(oversample={"rare": 8.0})).guesses == ()
    assert space({"oversample": [8]}).guesses == ()


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
    assert found.size == 8
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
    assert space({"cycles": [3]}, TrainSettings(schedule="cyclical")).size == 2


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
