"""What auto searches follows from the diagnosis, and is said."""

from dataclasses import replace
from typing import Any

import pytest

from detray import schema
from detray.detectors.augmentation.settings import AugmentationSettings, Brightness
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.flow.data import MemoryData
from detray.settings import to_yaml
from detray.tune.auto import Grounds, Remedy, auto_space, read_remedies
from detray.tune.survey import Survey

FOCUS = {"rare": 2, "scarce": 3}
IMBALANCE = Remedy(
    "rare", "class_imbalance", None, {"class_weights": ["none", "effective_number"], "oversample": [1, 4, 8]}
)
LOOSE = Remedy("rare", "localization", 0.2, {"box_loss_weight": [1.0, 2.0, 4.0]})


def grounds(
    baseline: TrainSettings | None = None, weights: str | None = "w.h5", holding: dict[int, int] | None = None
) -> Grounds:
    counts = holding or {1: 90, 2: 10, 3: 10}
    survey = Survey(100, counts, 20)
    return Grounds(baseline or TrainSettings(), DetectorSettings(weights=weights), survey, FOCUS)


def because(remedies: list[Remedy], on: Grounds) -> dict[str, str]:
    return {lever.name: lever.sentence for lever in auto_space(remedies, on).levers}


def test_the_union_of_what_causes_ask_for() -> None:
    found = auto_space([LOOSE, IMBALANCE], grounds())
    assert found.space.values == {
        "box_loss_weight": (1.0, 2.0, 4.0),
        "class_weights": ("none", "effective_number"),
        "oversample": ({}, {"rare": 4.0}, {"rare": 8.0}),
    }
    sentences = {lever.name: lever.sentence for lever in found.levers}
    assert sentences["box_loss_weight"] == "box_loss_weight: searched (2.0, 4.0) because rare: localization"
    assert sentences["focal_gamma"] == "focal_gamma: left alone because no cause that holds asks for it"
    assert "searched (rare x4, rare x8) because rare: class_imbalance" in sentences["oversample"]


def test_the_second_trial_is_the_remedy_that_can_regain_most() -> None:
    found = auto_space([LOOSE, IMBALANCE], grounds())
    (guess,) = found.space.guesses
    assert found.space.changed(guess) == {"box_loss_weight": 2.0}
    assert found.arm == (
        "the second trial is the remedy that regains 0.200 AP at most, rare: localization: box_loss_weight 2.0"
    )
    (guess,) = auto_space([IMBALANCE], grounds()).space.guesses
    assert guess["oversample"] == guess["class_weights"] == 1


def test_the_search_climbs_by_the_remedies_in_their_order() -> None:
    space = auto_space([LOOSE, IMBALANCE], grounds(TrainSettings(focal_gamma=0.0))).space
    assert [space.changed(step) for step in space.climb] == [
        {"box_loss_weight": 2.0},
        {"class_weights": "effective_number"},
        {"oversample": {"rare": 4.0}},
    ]
    assert auto_space([], grounds()).space.climb == ()


def test_a_remedy_may_change_the_detector() -> None:
    larger = {"detector.input_height": [512], "detector.anchors": ["auto"]}
    found = auto_space([Remedy("rare", "small_objects", None, larger)], grounds())
    assert found.space.values == {"detector.input_height": (192, 512), "detector.anchors": ("default", "auto")}
    assert found.arm == (
        "the second trial is the remedy that stands first, rare: small_objects: detector.input_height 512,"
        " detector.anchors auto"
    )
    told = because([Remedy("rare", "small_objects", None, {"detector.input_height": [33, 512]})], grounds())
    assert "searched (512) because rare: small_objects; not further: " in told["detector.input_height"]
    assert "multiple of 32" in told["detector.input_height"]


def test_an_augmentation_may_be_written_out() -> None:
    darker = [Remedy("rare", "train_eval_shift", 0.2, {"augmentation": [{"brightness": {"amount": 0.9}}, "strong"]})]
    found = auto_space(darker, grounds())
    assert found.arm is not None
    assert found.arm.endswith("rare: train_eval_shift: augmentation brightness (amount 0.9)")
    assert "searched (brightness (amount 0.9), strong) because" in because(darker, grounds())["augmentation"]
    point = found.space.train_settings(found.space.guesses[0])
    assert point.augmentation == AugmentationSettings(brightness=Brightness(amount=0.9))


def test_what_is_configured_otherwise_than_the_default_is_taken_back() -> None:
    odd = grounds(TrainSettings(focal_gamma=0.0, freeze_units=3, oversample={"rare": 2.0}))
    assert auto_space([LOOSE], odd).space.values == {"box_loss_weight": (1.0, 2.0, 4.0)}
    found = auto_space([LOOSE], replace(odd, usual=TrainSettings()))
    assert found.space.values == {
        "focal_gamma": (0.0, 2.0),
        "box_loss_weight": (1.0, 2.0, 4.0),
        "freeze_units": (3, 0),
    }
    remedy, back = found.space.guesses
    assert found.space.changed(remedy) == {"box_loss_weight": 2.0}
    assert found.space.changed(back) == {"focal_gamma": 2.0, "freeze_units": 0}
    assert str(found.arm).endswith("; the third has the defaults back: focal_gamma 2, freeze_units 0")
    sentences = {lever.name: lever.sentence for lever in found.levers}
    assert sentences["focal_gamma"] == (
        "focal_gamma: searched (2.0) because it is configured otherwise than the default, 2.0"
    )


def test_defaults_that_the_remedy_brings_back_are_no_trial_of_their_own() -> None:
    odd = replace(grounds(TrainSettings(augmentation="none")), usual=TrainSettings())
    overfit = Remedy("rare", "overfit", 0.3, {"augmentation": ["default"], "weight_decay": [0.01]})
    found = auto_space([overfit], odd)
    (guess,) = found.space.guesses
    assert found.space.changed(guess) == {"augmentation": "default", "weight_decay": 0.01}
    stronger = auto_space([replace(overfit, levers={"augmentation": ["strong"]})], odd).space
    assert [stronger.changed(one) for one in stronger.guesses] == [
        {"augmentation": "strong"},
        {"augmentation": "default"},
    ]


def test_images_of_a_class_are_repeated_only_where_its_own_causes_ask() -> None:
    both = [IMBALANCE, Remedy("scarce", "few_examples", None, {"oversample": [4]})]
    assert auto_space(both, grounds()).space.values["oversample"][1] == {"rare": 4.0, "scarce": 4.0}  # type: ignore[index]
    assert auto_space([IMBALANCE], grounds()).space.values["oversample"][1] == {"rare": 4.0}  # type: ignore[index]


def test_values_that_do_nothing_on_these_data_are_left_out_and_said() -> None:
    alone = because([IMBALANCE, LOOSE], grounds(holding={2: 100}))
    assert "oversample: left alone because 100% of the training pictures hold rare" in alone["oversample"]
    assert alone["class_weights"] == "class_weights: left alone because there is one class"
    longer = because([IMBALANCE], grounds(holding={1: 90, 2: 40, 3: 1}))["oversample"]
    assert "searched (rare x4)" in longer
    assert "at x8 an epoch is 3.8 times as long" in longer
    deep = [Remedy("rare", "overfit", 0.1, {"freeze_units": [0, 2, 6], "augmentation": ["strong"]})]
    assert "no further" not in because(deep, grounds())["freeze_units"]
    assert (
        "searched (2) because rare: overfit; not further: the detector has 5 units"
        in because(deep, grounds())["freeze_units"]
    )
    own = replace(grounds(), usual=TrainSettings())
    assert "none of its units start" in because(deep, replace(own, detector=DetectorSettings()))["freeze_units"]
    deeper = [Remedy("rare", "overfit", 0.1, {"freeze_units": [2, 4], "augmentation": ["strong"]})]
    assert "searched (2) because" in because(deeper, own)["freeze_units"]
    assert "3 of its units start from trained weights" in because(deeper, own)["freeze_units"]
    adam = because(
        [Remedy("rare", "overfit", 0.1, {"weight_decay": [0.1], "augmentation": ["strong"]})],
        grounds(TrainSettings(optimizer="adam")),
    )
    assert "left alone because weight_decay with the optimizer adam" in adam["weight_decay"]
    decay = [Remedy("rare", "overfit", 0.1, {"weight_decay": [0.01, 0.1]})]
    assert "searched (0.1)" in because(decay, grounds(TrainSettings(weight_decay=0.01)))["weight_decay"]


@pytest.mark.parametrize("remedies", [[], [Remedy("rare", "class_imbalance", None, {"class_weights": ["none"]})]])
def test_where_nothing_is_diagnosed_there_is_a_small_default_space(remedies: list[Remedy]) -> None:
    found = auto_space(remedies, grounds())
    assert set(found.space.values) == {"oversample", "focal_gamma", "augmentation"}
    assert any("a small default space" in lever.sentence for lever in found.levers)
    (guess,) = found.space.guesses
    assert found.space.changed(guess) == {"oversample": {"rare": 8.0, "scarce": 8.0}}
    assert found.arm is None


def test_nothing_to_try_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detray.tune.auto.DEFAULT", {})
    with pytest.raises(UsageError, match="finds nothing to try: oversample: left alone"):
        auto_space([], grounds())


def test_remedies_are_read_from_the_diagnoses() -> None:
    def row(category: int, cause: str, config: Any, **more: Any) -> dict[str, Any]:
        text = None if config is None else to_yaml(config)
        whole = {"split": "val", "model": "m", "rank": 1, "evidence": "{}", "sentence": "s", "remedy": "r"}
        whole |= {"category_id": category, "category_name": {1: "common", 2: "rare"}[category]}
        return whole | {"cause": cause, "remedy_config": text} | more

    space = {"tune": {"focus": ["rare"], "space": {"oversample": [1, 4]}}}
    rows = [
        row(2, "class_imbalance", space, d_ap=None),
        row(2, "localization", {"tune": {"focus": ["rare"], "space": {"box_loss_weight": [2.0]}}}, rank=2, d_ap=0.1),
        row(2, "wrong_labels", {"clean": {"actions": ["relabel"]}}, d_ap=0.5),
        row(2, "missed_objects", None, d_ap=0.5),
        row(2, "few_examples", space, split="train"),
        row(1, "few_examples", space),
    ]
    data = MemoryData([], {"diagnoses": schema.from_rows("diagnoses", rows, run="r")}, {})
    assert [(one.cause, one.d_ap) for one in read_remedies(data, [2])] == [
        ("localization", 0.1),
        ("class_imbalance", None),
    ]
