"""What holds for every format."""

import gzip
from pathlib import Path

import pytest

from detray.errors import UsageError
from detray.formats.catalogue import FORMATS, by_name, recognise
from detray.formats.format import Format
from detray.formats.settings import SplitSettings


def test_names_are_known_and_said_in_the_configuration() -> None:
    names = [item.name for item in FORMATS]
    assert len(set(names)) == len(names)
    described = str(SplitSettings.__annotations__["format"])
    assert all(name in described for name in names)
    with pytest.raises(UsageError, match="known: coco"):
        by_name("none")


@pytest.mark.parametrize("reader", FORMATS, ids=lambda reader: reader.name)
def test_nothing_is_taken_for_a_format(reader: Format, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "zeros").write_bytes(bytes(5000))
    (tmp_path / "words.txt").write_text("some words\n")
    (tmp_path / "folder").mkdir()
    for name in ("empty", "zeros", "words.txt", "folder"):
        assert not reader.recognises(tmp_path / name)
    assert by_name(reader.name) is reader


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        recognise(tmp_path / "absent")


def test_a_compressed_file_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"images": []}'))
    with pytest.raises(UsageError, match="GZIP-compressed"):
        recognise(tmp_path / "a.json.gz")


def test_an_empty_folder_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder is empty"):
        recognise(tmp_path)
