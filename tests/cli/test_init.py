"""`detray init` writes a configuration that runs as it is and says what each key means."""

import re
from pathlib import Path

import msgspec
import pytest
from samples import COCO

from detray import cli, settings
from detray.arguments import parser_for
from detray.keys import keys
from detray.verbs.config import Config


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for split in ("train", "val"):
        (tmp_path / "my data" / split).mkdir(parents=True)
        (tmp_path / "my data" / split / "labels.json").write_bytes(COCO)
        (tmp_path / "my data" / split / "a.jpg").write_bytes(b"picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my data"


def loaded(path: Path | str) -> Config:
    arguments = ["audit", "--config", str(path)]
    return cli.load_config(parser_for(arguments).parse_args(arguments))


def test_it_runs_as_it_is(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "my data/"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: detray run --config 'configs/my data.yaml'"
    config = loaded("configs/my data.yaml")
    assert config.name == "my data"
    assert config.dataset.root == str(data)
    assert {name: (one.format, one.annotations, one.images) for name, one in config.dataset.splits.items()} == {
        split: ("coco", f"{split}/labels.json", split) for split in ("train", "val")
    }
    plain = msgspec.structs.replace(config, dataset=Config().dataset, name="detray", output=Config().output)
    assert plain == Config()
    assert cli.main(["audit", "--config", "configs/my data.yaml", "--serial"]) == 0


def test_every_key_stands_in_it_with_its_meaning(data: Path) -> None:
    cli.main(["init", "my data", "--output", "a.yaml"])
    text = Path("a.yaml").read_text()
    words = " ".join(re.sub(r"(?m)^\s*#", "", text).split())
    paths = {key.path for key in keys(Config)}
    for key in keys(Config):
        if not any(key.path.startswith(f"{path}.") for path in paths):
            assert re.search(rf"(?m)^[ #]*{key.path.rpartition('.')[2]}:", text), key.path
            assert " ".join(key.meaning.split()) in words, key.path


def test_with_every_comment_taken_away_it_is_the_same_configuration(data: Path) -> None:
    cli.main(["init", "my data", "--output", "a.yaml"])
    text = Path("a.yaml").read_text()
    full = re.sub(r"(?m)^( *)#(?=\S|  )", r"\1", text[text.index("\nname:") :])
    values = settings.parse_yaml(full, "a.yaml")
    assert set(values["detector"]["io"]) == set(Config().detector.io.__struct_fields__)
    Path("full.yaml").write_text(full)
    assert loaded("full.yaml") == loaded("a.yaml")


def test_a_file_that_is_there_is_left_unless_forced(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("name: mine\n")
    assert cli.main(["init", "my data", "--output", "a.yaml"]) == 2
    assert "a.yaml is there already; --force" in capsys.readouterr().err
    assert Path("a.yaml").read_text() == "name: mine\n"
    assert cli.main(["init", "my data", "--output", "a.yaml", "--force"]) == 0


def test_a_data_set_without_val_is_evaluated_on_what_it_has(data: Path) -> None:
    (data / "val").rename(data / "test")
    cli.main(["init", "my data", "--output", "a.yaml"])
    assert loaded("a.yaml").predict.splits == ("test",)


def test_a_name_of_several_lines_states_no_key(data: Path) -> None:
    folder = data.rename(data.parent / "a\nserial: [\x1b")
    assert cli.main(["init", str(folder), "--output", "a.yaml"]) == 0
    assert loaded("a.yaml").dataset.root == str(folder)
    assert "\x1b" not in Path("a.yaml").read_text()


def test_what_cannot_be_written_is_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert cli.main(["init", "my data", "--output", "file/a.yaml"]) == 2
    assert "file/a.yaml: cannot be written (" in capsys.readouterr().err


def test_the_folder_above_gives_the_run_its_name(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data / "train")
    arguments = ["audit", ".."]
    config = cli.load_config(parser_for(arguments).parse_args(arguments))
    assert (config.name, config.output) == ("my data", str(data / "train" / "out" / "my data"))


def test_sections_without_a_key_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("cluster:\ntrain:\n  # epochs: 7\n")
    assert loaded(tmp_path / "c.yaml").train == Config().train
