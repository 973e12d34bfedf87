"""The search space: what it holds, and what it refuses."""

from typing import Any

import pytest

from detray.detectors.settings import TrainSettings
from detray.errors import UsageError
from detray.settings import convert
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
    return search_space(settings, baseline or TrainSettings(), focus, pretrained=pretrained)


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
    ],
)
def test_refused_as_configuration(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        convert({"space": values}, TuneSettings, "test", "tune")


@pytest.mark.parametrize("values", [{}, {"focal_gamma": []}, {"focal_gamma": [2.0]}])
def test_a_space_without_a_second_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"tune\.space"):
        space(values)
