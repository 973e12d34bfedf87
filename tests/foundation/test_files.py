"""Opening files of a data set: never what would wait."""

import os
from pathlib import Path

import pytest

from detray.errors import DetrayError
from detray.files import open_file
from detray.formats.catalogue import FORMATS
from detray.formats.json.file import open_json
from detray.formats.label_map import read_label_map
from detray.formats.listing import files_below, listed_names, read_bounded
from detray.formats.picture_size import picture_size
from detray.formats.source import Source
from detray.formats.voc.reader import Voc
from detray.pictures import PictureError, read_file


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "a.xml"
    os.mkfifo(path)
    return path


def test_a_regular_file_opens_through_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with open_file(tmp_path / "b") as file:
        assert file.read() == b"abc"


def test_a_pipe_does_not_wait(pipe: Path) -> None:
    with pytest.raises(OSError, match="a pipe or a device"):
        open_file(pipe)
    with pytest.raises(IsADirectoryError):
        open_file(pipe.parent)
    with pytest.raises(PictureError, match="unreadable: it is a pipe"):
        read_file(str(pipe))
    assert picture_size(str(pipe)) is None
    for read in (read_bounded, listed_names, read_label_map, open_json):
        with pytest.raises(DetrayError, match="a pipe or a device"):
            read(str(pipe))
    assert not any(reader.recognises(pipe.parent) for reader in FORMATS)


def test_a_pipe_among_annotation_files_is_quarantined(pipe: Path) -> None:
    (pipe.parent / "b.xml").write_text("<annotation><filename>b.jpg</filename></annotation>")
    assert files_below(str(pipe.parent), ".xml") == [str(pipe), str(pipe.parent / "b.xml")]
    source = Source("val", "voc", (str(pipe.parent),), str(pipe.parent))
    found = Voc().read(source, Voc().plan(source))
    assert (found.images.num_rows, found.quarantine.num_rows) == (1, 1)
    assert "a pipe or a device" in found.quarantine["detail"][0].as_py()
