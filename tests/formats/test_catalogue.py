"""What holds for every format."""

import gzip
from pathlib import Path

import pytest
from samples import FILES, RESULTS, VIA_PROJECT, write_each

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


@pytest.mark.parametrize("reader", FORMATS, ids=lambda reader: reader.name)
def test_a_format_takes_its_own_files_and_no_others(reader: Format, tmp_path: Path) -> None:
    files = write_each(tmp_path)
    assert files.keys() == {item.name for item in FORMATS}
    assert [name for name, path in files.items() if reader.recognises(path)] == [reader.name]
    taken = [name for name, path in files.items() if reader.recognises(path.parent)]
    assert taken == ([reader.name] if reader.name in ("labelme", "tfrecord", "voc", "yolo") else [])
    (tmp_path / "results.json").write_bytes(RESULTS)
    assert not reader.recognises(tmp_path / "results.json")


def test_a_format_is_recognised_whatever_the_file_is_called(tmp_path: Path) -> None:
    for name, data in {name: data for name, (_, data) in FILES.items() if name not in ("voc", "yolo")}.items():
        (tmp_path / name).write_bytes(data)
        assert recognise(tmp_path / name).name == name
    (tmp_path / "project").write_bytes(VIA_PROJECT)
    assert recognise(tmp_path / "project").name == "via"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        recognise(tmp_path / "absent")


def test_a_compressed_file_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"images": []}'))
    with pytest.raises(UsageError, match="GZIP-compressed"):
        recognise(tmp_path / "a.json.gz")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.json",
            b'{"description": "", "objects": [{"classTitle": "cat"}], "size": {}}',
            "JSON with the keys description",
        ),
        ("d.json", b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "these are detections"),
        ("a.csv", b"filename,width,height\na.jpg,1,2\n", "text that begins with 'filename,width,height'"),
        (
            "a.xml",
            b"<?xml version='1.0'?>\n<dataset><name>faces</name></dataset>",
            "the root <dataset>",
        ),
        ("a.zip", b"PK\x03\x04rest", "a ZIP archive: unpack it"),
        ("a.pkl", b"\x80\x04rest", "pickles are not read"),
        ("a.bin", b"some\0bytes", "a binary file: convert it"),
    ],
)
def test_an_unknown_format_is_named_by_what_was_seen_with_what_to_do(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="of no known format") as caught:
        recognise(tmp_path / name)
    assert said in str(caught.value)


def test_an_unknown_folder_is_named_by_what_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    with pytest.raises(
        UsageError, match=r"a folder of pictures \(1 .jpg\): give the annotations, and this folder with"
    ):
        recognise(tmp_path)
    (tmp_path / "a.json").write_text('{"shapes": []}')
    with pytest.raises(UsageError, match=r"a folder with 1 .jpg, 1 .json, and a.json is JSON with the keys shapes"):
        recognise(tmp_path)


def test_an_empty_folder_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder is empty"):
        recognise(tmp_path)
