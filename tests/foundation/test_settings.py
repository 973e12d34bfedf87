"""Configuration: what is refused, and in which words."""

from pathlib import Path

import pytest

from detray import settings
from detray.errors import UsageError
from detray.verbs.config import Config

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.focal_alpa=1", ["train.focal_alpa", "focal_alpha"]),
        ("trian.epochs=3", ["trian", "train"]),
        ("train.focal_alpha=3", ["train.focal_alpha", "<= 1.0", "focal loss"]),
        ("train.epochs=many", ["train.epochs", "int"]),
        ("tune.guard.max_drop=-1", ["tune.guard.max_drop", ">= 0.0", "lose"]),
        ("dataset.splits.val.imags=x", ["dataset.splits.val.imags", "images"]),
        ("dataset.splits.val.annotations=[a, 1]", ["dataset.splits.val.annotations", "`str`", "got 1"]),
        ("train.class_weights.car=x", ["train.class_weights.car", "`float`", "got 'x'", "weight by class name"]),
        ("train.class_weights=heavy", ["'effective_number'", "`object`", "got 'heavy'"]),
        ("train.1=x", ["unknown key 'train.1'", "epochs"]),
        ("predict.category_map={a: 1}", ["predict.category_map.a", "`int`", "got 'a'"]),
        ("detector.input_height=33", ["detector.input_height", "a multiple of 32", "got 33"]),
        ("evaluate.seed=2147483648", ["< 2147483648", "got 2147483648"]),
        ("name=", ["name", "of length >= 1", "got null"]),
        ("tune.space={focal_gama: [1]}", ["tune", "focal_gama", "focal_gamma"]),
        ("tune.space={focal_gamma: [1, 20]}", ["tune", "focal_gamma", "<= 10.0", "got 20"]),
        ("train=3", ["train", "object"]),
        ("train.epochs", ["key.path=value"]),
        ("name.first=x", ["name"]),
        ("name=[1", ["not readable"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(assignment: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        settings.convert(settings.override({"name": "n"}, [assignment]), Config, "c.yaml")
    for word in words:
        assert word in str(caught.value)


def test_values_are_yaml_and_exponents_are_numbers() -> None:
    values = settings.override({}, ["train.learning_rate=3e-3", "diagnose.classes=[a, b]", "dataset.splits.val={}"])
    config = settings.convert(values, Config, "c.yaml")
    assert config.train.learning_rate == 0.003
    assert config.diagnose.classes == ("a", "b")
    assert "val" in config.dataset.splits


def test_a_configuration_survives_being_written() -> None:
    config = settings.convert(settings.override({}, ["tune.space={focal_gamma: [1, 2]}"]), Config, "c.yaml")
    again = settings.convert(settings.parse_yaml(settings.to_yaml(config), "written"), Config, "written")
    assert again == config


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_ready_configurations_load_and_say_command_and_cost(file: Path) -> None:
    settings.convert(settings.read_yaml(file), Config, str(file))
    head = file.read_text().split("\nname:")[0]
    assert "detray " in head
    assert "Costs:" in head
    assert file.name in head


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: 1\na: 2", "twice"),
        ("a: [1", "line"),
        ("a: !!python/object/apply:os.system [ls]", "not readable"),
        ("[" * 100_000, "deep"),
    ],
)
def test_hostile_yaml_is_refused_in_a_sentence(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=word) as caught:
        settings.read_yaml(file)
    assert "c.yaml" in str(caught.value)


def test_a_huge_or_missing_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"#" * (settings.MAX_CONFIG_BYTES + 1))
    with pytest.raises(UsageError, match="larger"):
        settings.read_yaml(file)
    with pytest.raises(UsageError, match=r"nowhere\.yaml"):
        settings.read_yaml(tmp_path / "nowhere.yaml")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        settings.read_yaml(file)
