"""Names that are no text, pipes, and links in a circle: each is counted or refused in one sentence."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from detray import cli
from detray.store import Store

VOC = (
    "<annotation><filename>{}.jpg</filename><size><width>9</width><height>9</height></size><object><name>a</name>"
    "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
)
NO_TEXT = os.fsdecode(b"\xff\xfe")
COCO = {"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "annotations": [], "categories": []}


@pytest.fixture
def audited(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Audit paths of a folder: the exit code, what is said on standard error, and ingest's counts."""

    def run(*arguments: str) -> tuple[int, str, dict]:
        code = cli.main(["audit", *arguments, "--serial", "--output", str(tmp_path / "out")])
        manifest = Store(str(tmp_path / "out")).manifest("ingest") or {}
        return code, capfd.readouterr().err, manifest.get("counts", {})

    return run


def name_or_skip(path: Path) -> Path:
    try:
        path.touch()
    except OSError:
        pytest.skip("the file system takes no names but text")
    return path


def test_voc_files_whose_names_are_no_text_are_quarantined(tmp_path: Path, audited) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.xml").write_text(VOC.format("a"))
    for name in (NO_TEXT, NO_TEXT[:1]):
        name_or_skip(data / f"{name}.xml").write_text(VOC.format("b"))
    assert audited(str(data))[::2] == (0, {"in": 4, "kept": 2, "quarantined": 2})
    rows = Store(str(tmp_path / "out")).read("quarantine", "ingest").to_pylist()
    assert {Path(row["source_file"]).name for row in rows} == {"\ufffdff\ufffdfe.xml", "\ufffdff.xml"}
    assert {row["detail"] for row in rows} == {"its name is no UTF-8 text; rename it"}


def test_yolo_files_whose_names_are_no_text_are_counted(tmp_path: Path, audited) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    (tmp_path / "data" / "data.yaml").write_text("val: images\nnames: [a]\n")
    for name in ("a", NO_TEXT):
        name_or_skip(tmp_path / "data" / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        with (tmp_path / "data" / "images" / f"{name}.jpg").open("wb") as file:
            Image.new("RGB", (20, 10)).save(file, "JPEG")
    assert audited(str(tmp_path / "data"))[::2] == (0, {"in": 3, "kept": 2, "quarantined": 1})


def test_a_stated_name_that_is_no_text_is_refused(tmp_path: Path, audited) -> None:
    name_or_skip(tmp_path / f"{NO_TEXT}.json").write_text(json.dumps(COCO))
    code, said, _ = audited(str(tmp_path / f"{NO_TEXT}.json"))
    assert (code, "its name is no UTF-8 text; rename it" in said) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("--format", "coco"), ("--format", "tfrecord")])
def test_a_pipe_is_refused(tmp_path: Path, audited, arguments: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    code, said, _ = audited(str(tmp_path / "pipe.json"), *arguments)
    assert (code, "is a pipe or a device, not a file" in said) == (2, True)


def test_links_in_a_circle_are_walked_once(tmp_path: Path, audited) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("data/x", "data/y", "data/deep/up"):
        (tmp_path / name).symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "data" / "self.xml").symlink_to("self.xml")
    (tmp_path / "data" / "a.xml").write_text(VOC.format("a"))
    data = str(tmp_path / "data")
    assert audited(data, "--images", data)[::2] == (0, {"in": 3, "kept": 2, "quarantined": 1})
    (tmp_path / "data" / "deep" / "b.jpg").touch()
    assert "pictures" in audited(data, "--images", data)[1]  # a picture is new, below a link as well: audited again


@pytest.mark.parametrize("name", ["ImageSets/Main/val.txt", "data.yaml"])
def test_what_is_found_in_a_folder_and_leads_out_is_not_read(tmp_path: Path, audited, name: str) -> None:
    (tmp_path / "secret").write_text("names: [root]\nhash: x: y\n")
    link = tmp_path / "data" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "secret")
    (tmp_path / "data" / "Annotations").mkdir()
    (tmp_path / "data" / "Annotations" / "a.xml").write_text(VOC.format("a"))
    format = "voc" if name.endswith("txt") else "yolo"
    code, said, _ = audited(str(tmp_path / "data"), "--format", format)
    assert (code, f"{link}: leads out of the data set's folder" in said) == (2, True)
    assert "x: y" not in said


def test_a_record_file_in_a_folder_that_leads_out_is_quarantined(tmp_path: Path) -> None:
    from detray.formats.source import Source
    from detray.formats.tfrecord.reader import TFRecord

    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "a.record").write_bytes(b"")
    (data / "a.record").symlink_to(tmp_path / "a.record")
    source = Source("val", "tfrecord", (str(data),), str(data))
    (row,) = TFRecord().read(source, TFRecord().plan(source)).quarantine.to_pylist()
    assert (row["source_file"], row["detail"]) == (str(data / "a.record"), "leads out of the data set's folder")


def test_a_list_that_a_person_states_may_be_anywhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.xml").write_text(VOC.format("a"))
    (tmp_path / "val.txt").write_text("a\n")
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"dataset": {"splits": {"val": {"annotations": "data", "list": "val.txt"}},
                                              "root": str(tmp_path)}}))  # fmt: skip
    assert cli.main(["ingest", "--config", str(config), "--serial", "--output", str(tmp_path / "out")]) == 0


def test_a_configuration_that_is_a_pipe_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "c.yaml")
    assert cli.main(["audit", "--config", str(tmp_path / "c.yaml")]) == 2
    assert "it is a pipe or a device, not a file" in capfd.readouterr().err
    assert cli.main(["audit", "--config", "/dev/zero"]) == 2


@pytest.mark.parametrize("key", ["output", "dataset.root", "detector.path", "dataset.splits.val.list"])
def test_a_configuration_with_nul_in_a_path_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], key: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(COCO))
    assert cli.main(["audit", str(tmp_path / "a.json"), "--serial", "--set", f'{key}="a\\0b"']) == 2
    assert f"{key}: holds the character NUL" in capfd.readouterr().err


def test_why_nothing_can_be_read_is_said(tmp_path: Path, audited) -> None:
    (tmp_path / "a.xml").write_text("<annotation><object></annotation>")
    code, said, _ = audited(str(tmp_path / "a.xml"))
    assert (code, "a.xml: does not parse as XML: mismatched tag" in said) == (3, True)
