"""Files made to break a reader: each is refused in a sentence or counted, in little memory and time.

What a single bad value does stands with each format's own tests; mutated files in tests/fuzz.
"""

import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from reading import read_whole

from detray.errors import DetrayError
from detray.formats.catalogue import FORMATS
from detray.formats.chunk import Chunk
from detray.formats.label_map import read_label_map
from detray.formats.source import Source

HUGE = 2 << 30
CSV_HEAD = b"ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"
# what stands before and behind two gibibytes of zeros
REFUSED = {
    "coco.json": (b'{"info": "', b'", "images": [], "annotations": [], "categories": []}'),
    "yolo.yaml": (b'names: [a]\ntrain: "', b'"\n'),
    "open_images.csv": (CSV_HEAD, b"a,x,/m/01,1,0,1,0,1\n"),
    "tf_csv.csv": (b"filename,class,xmin,ymin,xmax,ymax\n", b"a.jpg,cat,0,0,1,1\n"),
    "retinanet_csv.csv": (b"a.jpg,0,0,1,1,cat\n", b"a.jpg,0,0,1,1,cat\n"),
}
QUARANTINED = {
    "voc.xml": (b"<annotation><filename>", b"</filename></annotation>"),
    "yolo.txt": (b"0 0.5 ", b" 0.5 0.1 0.1"),
    "tfrecord.record": (struct.pack("<Q", HUGE) + bytes(4), bytes(4)),
    "labelme.json": (b'{"imageData": "', b'", "shapes": []}'),
    "via.json": (b'{"a": {"filename": "', b'", "regions": []}}'),
    "label_studio.json": (b'[{"data": {"image": "', b'"}, "annotations": []}]'),
    "createml.json": (b'[{"image": "', b'", "annotations": []}]'),
}


@contextmanager
def little_memory(mebibytes: int = 700) -> Iterator[None]:
    """The process never holds so much more than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < mebibytes << 10


def sparse(path: Path, before: bytes, behind: bytes) -> Path:
    """A file with `HUGE` zeros inside that take no disk."""
    with path.open("wb") as file:
        file.write(before)
        file.seek(HUGE, 1)
        file.write(behind)
    return path


def read(path: Path, format_name: str) -> Chunk:
    """What ingest reads of ``path``, recognised or not."""
    for reader in FORMATS:
        reader.recognises(path)
    return read_whole(Source("val", format_name, (str(path),), str(path.parent)))


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_of_two_gibibytes_is_refused(tmp_path: Path, name: str) -> None:
    path = sparse(tmp_path / name, *REFUSED[name])
    with little_memory(), pytest.raises(DetrayError, match=name):
        read(path, path.stem)


@pytest.mark.parametrize("name", QUARANTINED)
def test_a_file_of_two_gibibytes_among_many_is_quarantined(tmp_path: Path, name: str) -> None:
    path = sparse(tmp_path / name, *QUARANTINED[name])
    with little_memory():
        found = read(path.parent if path.suffix == ".txt" else path, path.stem)
    assert found.images.num_rows == 0
    assert found.quarantine["source_file"].to_pylist() == [str(path)]


@pytest.mark.slow
def test_an_element_of_two_gibibytes_costs_its_own_row(tmp_path: Path) -> None:
    text = (b'{"images": [{"id": 1, "file_name": "', b'"}, {"id": 2}], "annotations": [], "categories": []}')
    path = sparse(tmp_path / "coco.json", *text)
    with little_memory():
        found = read(path, "coco")
    assert found.images["image_id"].to_pylist() == [None, 2]
    ((defect, *_), _) = found.images["defects"].to_pylist()
    assert "more than the 16777216 that are read" in defect["observed"]


@pytest.mark.parametrize("name", ["a.pbtxt", "a.json", "a.yaml", "a.txt", "a.csv"])
def test_a_label_map_of_two_gibibytes_is_refused(tmp_path: Path, name: str) -> None:
    path = sparse(tmp_path / name, b'item { name: "', b'"}')
    with little_memory(), pytest.raises(DetrayError, match=name):
        read_label_map(path)


ALIASES = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    + ["names: *a9", "train: images"]
)


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(ALIASES)
    with little_memory(), pytest.raises(DetrayError, match=r"data\.yaml"):
        read(tmp_path / "data.yaml", "yolo")
    with little_memory(), pytest.raises(DetrayError, match=r"data\.yaml"):
        read_label_map(tmp_path / "data.yaml")


@pytest.mark.parametrize("entity", ["<!ENTITY a SYSTEM 'file:///etc/hostname'>", "<!ENTITY a 'x'>"])
def test_documents_with_entities_are_quarantined_unread(tmp_path: Path, entity: str) -> None:
    (tmp_path / "a.xml").write_text(f"<!DOCTYPE d [{entity}]><annotation><filename>&a;</filename></annotation>")
    found = read(tmp_path, "voc")
    assert (found.images.num_rows, found.quarantine["reason"].to_pylist()) == (0, ["unreadable-annotation-file"])
    (tmp_path / "a.xml").write_text(f"<!DOCTYPE d [{entity}]><annotations><image name='&a;'/></annotations>")
    found = read(tmp_path / "a.xml", "cvat")
    assert (found.images.num_rows, found.quarantine["reason"].to_pylist()) == (0, ["unreadable-row"])


ZEROS = [b"\0" * 5000, b"\0,\0\n" * 100, b"\xef\xbb\xbf\0", b"\xff\xfe\0\0" * 50]


@pytest.mark.parametrize("text", ZEROS)
@pytest.mark.parametrize("name", ["coco.json", "yolo.yaml", "open_images.csv", "tf_csv.csv", "cvat.xml"])
def test_zero_bytes_for_a_file_of_many_images_are_refused(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(DetrayError, match=name):
        read(tmp_path / name, Path(name).stem)


@pytest.mark.parametrize("text", ZEROS)
@pytest.mark.parametrize("name", [name for name in QUARANTINED if name != "yolo.txt"])
def test_zero_bytes_for_one_file_of_many_are_quarantined(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).write_bytes(text)
    found = read(tmp_path / name, Path(name).stem)
    assert found.quarantine["source_file"].to_pylist() == [str(tmp_path / name)]


@pytest.mark.parametrize("text", ZEROS)
def test_lines_of_zero_bytes_are_boxes_with_defects_or_quarantined(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(text)
    found = read(tmp_path, "yolo")
    assert found.quarantine.num_rows + found.annotations.num_rows > 0
    assert all(found.annotations["defects"].to_pylist())
