"""Flags are keys of the configuration, and what is refused says how it was stated."""

from pathlib import Path

import pytest
from samples import COCO

from detray import cli
from detray.arguments import VERBS, flags_of, parser_for
from detray.errors import UsageError
from detray.keys import keys
from detray.verbs.config import Config


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "gt.json"
    path.write_bytes(COCO)
    return path


def configured(*arguments: object) -> Config:
    given = [str(one) for one in arguments]
    return cli.load_config(parser_for(given).parse_args(given))


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_flags_with_defaults_two_examples_and_where_keys_stand(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count(f" detray {verb} ") >= 2
    assert "docs/configuration.md" in shown
    for flag, written in flags_of(verb).items():
        assert f"{flag} " in shown
        assert f"[{', '.join(key.path for key in written)}, default " in shown


@pytest.mark.parametrize("verb", VERBS)
def test_examples_parse(verb: str) -> None:
    for example in VERBS[verb].examples:
        arguments = [verb, *example.split()]
        assert parser_for(arguments).parse_args(arguments).verb == verb


def test_every_flag_is_of_some_verb() -> None:
    flags = {key.flag for key in keys(Config) if key.flag}
    assert flags == {flag for verb in VERBS for flag in flags_of(verb)}
    assert {"--epochs", "--trials", "--classes", "--threshold"} <= flags


def test_flags_write_the_same_configuration_as_set(truth: Path) -> None:
    flags = [
        "--epochs",
        "3",
        "--learning-rate",
        "3e-3",
        "--threshold",
        ".3",
        "--trials",
        "5",
        "--classes",
        "cat, big dog",
    ]
    sets = ["train.epochs=3", "train.learning_rate=3e-3", "predict.score_threshold=.3", "tune.trials=5",
            "tune.focus=[cat, big dog]", "diagnose.classes=[cat, big dog]"]  # fmt: skip
    by_set = [part for one in sets for part in ("--set", one)]
    assert configured("tune", truth, *flags) == configured("tune", truth, *by_set)
    assert configured("diagnose", truth, truth, "--classes", "cat").tune.focus == ()


def test_a_flag_stands_over_the_file_and_below_set(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("train: {epochs: 7, batch_size: 4}\n")
    stated = ["train", truth, "--config", tmp_path / "c.yaml", "--epochs", "8"]
    assert configured(*stated).train.epochs == 8
    assert configured(*stated).train.batch_size == 4
    assert configured(*stated, "--set", "train.epochs=9").train.epochs == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "train.epochs=x"], ["--set train.epochs=x: train.epochs: expected `int` >= 1", "passes over"]),
        (["--epochs", "x"], ["--epochs x: train.epochs: expected `int` >= 1", "got 'x'"]),
        (["--set", "train.optimizer=adm"], ["--set train.optimizer=adm: ", "'adam' | 'adamw' | 'rmsprop' | 'sgd'"]),
        (["--set", "train.epochz=3"], ["--set train.epochz=3: unknown key", "did you mean 'epochs'?", "batch_size"]),
        (["--set", "epochs=3"], ["--set epochs=3: unknown key 'epochs'; did you mean 'train.epochs'?", "dataset"]),
        (["--set", "train.optimizer=adam", "--set", "train.weight_decay=.1"], ["--set train.", "choose that, or l2"]),
        (["--set", "train"], ["--set train: write it as key.path=value"]),
    ],
)  # fmt: skip
def test_a_refusal_names_how_it_was_stated_and_what_is_valid(
    arguments: list[str], words: list[str], truth: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        configured("train", truth, *arguments)
    assert str(caught.value).startswith("--")
    for word in words:
        assert word in str(caught.value)


def test_what_the_file_says_wrong_is_the_file_s(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("train: {epochs: x}\n")
    with pytest.raises(UsageError, match=r"c\.yaml: train\.epochs"):
        configured("train", truth, "--config", tmp_path / "c.yaml", "--set", "train.batch_size=4")
