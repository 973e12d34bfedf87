"""YOLO labels: fractions of a picture become pixels of it, as displayed."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detray.errors import DetrayError
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import resolve
from detray.formats.source import Source
from detray.formats.yolo import reader as yolo
from detray.formats.yolo.reader import Yolo


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of one 200 x 100 picture in each of two splits, in the usual folders."""
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        Image.new("RGB", (200, 100)).save(tmp_path / "images" / split / "a.jpg")
    (tmp_path / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.1 0.2 0.1 0.2\n")
    (tmp_path / "labels" / "val" / "a.txt").write_text("1 0.5 0.5 1 1\n")
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    return tmp_path


def label(data: Path, text: str | bytes) -> Source:
    """The training split with these labels."""
    path = data / "labels" / "train" / "a.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source("train", "yolo", (str(data / "labels" / "train"),), str(data), images=str(data / "images" / "train"))


@pytest.mark.parametrize("stated", ["data.yaml", "."])
def test_a_data_file_states_its_splits(data: Path, read_source, stated: str) -> None:
    sources = {source.split: source for source in resolve(dataset_from_files([str(data / stated)]))}
    assert list(sources) == ["train", "val"]
    found = read_source(sources["train"])
    assert [(r["category_id"], r["x"], r["y"], r["width"], r["height"]) for r in found.annotations.to_pylist()] == [
        (1, 50, 25, 100, 50),
        (2, pytest.approx(10), pytest.approx(10), pytest.approx(20), pytest.approx(20)),
    ]
    assert found.images.select(["file_name", "width", "height"]).to_pylist() == [
        {"file_name": "a.jpg", "width": 200, "height": 100}
    ]
    assert found.categories["category_name"].to_pylist() == ["cat", "dog"]
    assert read_source(sources["val"]).annotations.num_rows == 1


@pytest.mark.parametrize(
    "text",
    [
        "path: /somewhere/else\ntrain: ../images/train\nnames: {0: cat, 1: dog}\n",
        "path: ../datasets/coco8\ntrain: [images/train]\nnames: [cat, dog]\n",
        "train: train.txt\nnames: [cat, dog]\n",
    ],
)
def test_data_files_as_people_write_them(data: Path, read_source, text: str) -> None:
    (data / "train.txt").write_text("./images/train/a.jpg\n")
    (data / "data.yaml").write_text(text)
    (source,) = resolve(dataset_from_files([str(data / "data.yaml")]))
    assert read_source(source).annotations.num_rows == 2


@pytest.mark.parametrize("stated", ["data.yaml", "."])
def test_a_data_file_without_splits_has_the_folders_beside_it(data: Path, read_source, stated: str) -> None:
    (data / "data.yaml").write_text("nc: 2\nnames: [cat, dog]\n")
    sources = resolve(dataset_from_files([str(data / stated)]))
    assert {source.split: read_source(source).annotations.num_rows for source in sources} == {"train": 2, "val": 1}
    for kind in ("images", "labels"):  # as supervision writes them
        (data / kind / "train").rename(data / f"{kind}-train")
        shutil.rmtree(data / kind)
        (data / f"{kind}-train").rename(data / kind)
    (source,) = resolve(dataset_from_files([str(data / stated)]))
    found = read_source(source)
    assert (source.split, found.annotations.num_rows, found.images["width"].to_pylist()) == ("val", 2, [200])
    assert found.categories["category_name"].to_pylist() == ["cat", "dog"]
    shutil.rmtree(data / "labels")
    with pytest.raises(DetrayError, match="no folders images and labels stand beside it"):
        [read_source(source) for source in resolve(dataset_from_files([str(data / "data.yaml")]))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: images/train\na: &a [x]\nnames: *a\n", r"data.yaml, line 3: .*aliases"),
        ("train: !!python/object/apply:os.getcwd []\nnames: [a]\n", "data.yaml, line 1: .*tag"),
        ("train: images/train\ntrain: images/val\nnames: [a]\n", "data.yaml, line 2: .*stands twice"),
        ("train: images/train\nnc: 2\n", "data.yaml: names: a list of class names"),
        (f"train: images/train\nnames: {'[' * 5000}\n", "data.yaml: nested too deeply"),
    ],
)
@pytest.mark.parametrize("stated", ["data.yaml", ".", "labels/train"])
def test_what_is_wrong_with_a_data_file_is_said(data: Path, read_source, text: str, said: str, stated: str) -> None:
    (data / "data.yaml").write_text(text)
    with pytest.raises(DetrayError, match=said):
        [read_source(source) for source in resolve(dataset_from_files([str(data / stated)]))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nc: 5\nnames: [cat, dog]\n", "5, and 2 names"),
        ("nc: 1\nnames: {0: cat, 1: dog}\n", "1, and 2 names"),
        ("nc: 2\nnames: [cat, dog]\n", None),
        ("nc: 4\nnames: {0: cat, 3: dog}\n", None),
    ],
)
def test_a_number_of_classes_that_the_names_contradict(data: Path, read_source, text: str, said: str | None) -> None:
    (data / "data.yaml").write_text(f"train: images/train\n{text}")
    (source,) = resolve(dataset_from_files([str(data)]))
    noted = [defect for defects in read_source(source).categories["defects"].to_pylist() for defect in defects or ()]
    assert noted == ([{"rule": "wrong-type", "field": "nc", "observed": said}] if said else [])


def test_what_a_list_names_outside_is_an_image_with_a_defect(data: Path, read_source) -> None:
    Image.new("RGB", (10, 10)).save(data.parent / "out.jpg")
    (data / "images" / "train" / "link.jpg").symlink_to(data.parent / "out.jpg")
    names = ["images/train/a.jpg", "../out.jpg", "/elsewhere/b.jpg", "images/train/link.jpg", "images/\0.jpg"]
    (data / "train.txt").write_text("\n".join(names))
    (data / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    (source,) = resolve(dataset_from_files([str(data)]))
    found = {row["file_name"]: row for row in read_source(source).images.to_pylist()}
    assert set(found) == set(names)
    assert {name for name, row in found.items() if row["width"]} == {"images/train/a.jpg"}


@pytest.mark.parametrize(("names", "read"), [('["\\ud800", b]', ["?", "b"]), ("[null, {a: 1}, 7]", [None, None, "7"])])
def test_names_that_are_no_text(data: Path, read_source, names: str, read: list) -> None:
    (data / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    (source,) = resolve(dataset_from_files([str(data)]))
    found = read_source(source).categories
    assert found["category_name"].to_pylist() == read
    assert [one is not None for one in found["defects"].to_pylist()] == [name is None for name in read]


def test_a_data_file_may_not_lead_out(data: Path, read_source) -> None:
    inner = data / "inner"
    inner.mkdir()
    (inner / "data.yaml").write_text("train: ../images/train\nnames: [cat]\n")
    (source,) = resolve(dataset_from_files([str(inner / "data.yaml")]))
    with pytest.raises(DetrayError, match="no such folder or list below"):
        read_source(source)


@pytest.mark.parametrize("index", ["-1", "true", "zero", "9" * 30])
def test_an_index_that_is_none_is_refused(data: Path, read_source, index: str) -> None:
    (data / "data.yaml").write_text(f"train: images/train\nnames: {{{index}: cat}}\n")
    with pytest.raises(DetrayError, match="mapping of indices, 0 or more"):
        resolve(dataset_from_files([str(data / "data.yaml")]))


def test_pictures_turned_by_exif_are_measured_as_displayed(data: Path, read_source) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100)).save(data / "images" / "train" / "a.jpg", exif=exif)
    found = read_source(label(data, "0 0.5 0.5 0.5 0.5\n"))
    assert (found.images["width"][0].as_py(), found.images["height"][0].as_py()) == (100, 200)
    assert (found.annotations["width"][0].as_py(), found.annotations["height"][0].as_py()) == (50, 100)


def test_polygons_have_their_bounds(data: Path, read_source) -> None:
    (row,) = read_source(label(data, "0 0.1 0.1 0.5 0.1 0.5 0.9\n")).annotations.to_pylist()
    assert (row["x"], row["y"], row["width"], row["height"]) == pytest.approx((20, 10, 80, 80))
    assert json.loads(row["segmentation"])[0] == pytest.approx([20, 10, 100, 10, 100, 90])


def test_further_numbers_are_kept(data: Path, read_source) -> None:
    (row,) = read_source(label(data, "0 0.5 0.5 0.5 0.5 0.93\n")).annotations.to_pylist()
    assert (row["width"], json.loads(row["attributes"])) == (100, {"further": [0.93]})


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        ("cat 0.5 0.5 0.5 0.5", ("wrong-type", "class", "cat")),
        ("-1 0.5 0.5 0.5 0.5", ("wrong-type", "class", "-1")),
        ("0 0.5 nan 0.5 0.5", ("not-finite", "box[1]", "nan")),
        ("0 1e307 0.5 0.5 0.5", ("not-finite", "box[0]", "inf")),
        ("0 0 0 0.5 0.5 1e307 0.5", ("not-finite", "box[4]", "inf")),
        ("0 0.5 0.5 0.5", ("box-arity", "", "0 0.5 0.5 0.5")),
        ("0 0.5 0,5 0.5 0.5", ("wrong-type", "box[1]", "0,5")),
        ("0", ("box-arity", "", "0")),
    ],
)
def test_a_bad_line_costs_its_own_fields(data: Path, read_source, line: str, defect: tuple[str, str, str]) -> None:
    found = read_source(label(data, f"\ufeff1 0.5 0.5 1 1\r\n{line}\r\n\r\n1 0.5 0.5 1 1"))
    rows = found.annotations.to_pylist()
    assert [row["annotation_row"] for row in rows] == [0, 1, 3]
    assert rows[1]["defects"] == [dict(zip(("rule", "field", "observed"), defect, strict=True))]
    assert [rows[0]["defects"], rows[2]["defects"]] == [None, None]


@given(
    st.tuples(st.integers(2, 4000), st.integers(2, 4000)),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.sampled_from(["{:.4f}", "{:.6f}", "{:g}", "{!r}", "{:.5g}"]),
)
def test_boxes_within_the_picture_are_read_within_it(size: tuple[int, int], fractions: list[float], form: str) -> None:
    """Whatever way the writer rounds; the box that is read is the one written, up to the rounding."""
    (left, right), (top, bottom) = sorted(fractions[:2]), sorted(fractions[2:])
    if min(right - left, bottom - top) < 0.01:
        right, bottom = 1.0, 1.0
        left, top = min(left, 0.9), min(top, 0.9)
    drawn = (left * size[0], top * size[1], right * size[0], bottom * size[1])
    written = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    row = yolo._box("0 " + " ".join(form.format(value) for value in written), 0, _image_of(size))
    x, y, right, bottom = row["x"], row["y"], row["x"] + row["width"], row["y"] + row["height"]
    assert (min(x, y) >= 0, row["defects"]) == (True, None)
    assert max(right - size[0], bottom - size[1]) <= 1e-9
    assert (x, y, right, bottom) == pytest.approx(drawn, abs=1e-3 * max(size))


def _image_of(size: tuple[int, int]) -> dict:
    return {"width": size[0], "height": size[1], "source_file": "a.txt", "key": "a", "defects": None}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 0.333333 0.5 0.666667 0.5", (0, 25, 133.3333, 50)),  # half a unit of the last decimal
        ("0 0.15 0.5 0.3 0.5", (0, 25, 60, 50)),
        ("0 0.4999 0.5 1.0000 0.5", (-0.02, 25, 200, 50)),  # a whole unit: as drawn
        ("0 0.5 0.75 0.5 0.502", (50, 49.9, 100, 50.2)),  # a whole unit of the height: as drawn
        ("0 0.5 0.5 1.02 0.5", (-2, 25, 204, 50)),  # beyond half a pixel, however few decimals
        ("0 0.5 0.5 1.003 0.5", (-0.3, 25, 200.6, 50)),
    ],
)
def test_edges_are_clipped_by_no_more_than_what_is_rounded(line: str, expected: tuple[float, ...]) -> None:
    row = yolo._box(line, 0, _image_of((200, 100)))
    assert (row["x"], row["y"], row["width"], row["height"]) == pytest.approx(expected, abs=1e-4)


def test_labels_and_pictures_that_have_no_partner(data: Path, read_source) -> None:
    Image.new("RGB", (10, 10)).save(data / "images" / "train" / "background.png")
    (data / "labels" / "train" / "lost.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (data / "images" / "train" / "a.jpg").write_text("no picture")
    found = read_source(label(data, "0 0.5 0.5 0.5 0.5\n"))
    assert found.images["file_name"].to_pylist() == ["a.jpg", "background.png", "lost.jpg"]
    assert found.images["width"].to_pylist() == [None, 10, None]
    assert [row["defects"][0]["field"] for row in found.annotations.to_pylist()] == ["picture size"] * 2


@pytest.mark.parametrize("stated", ["images/train", "images"])
def test_labels_whose_picture_is_gone_are_counted(data: Path, read_source, stated: str) -> None:
    (data / "data.yaml").write_text(f"train: {stated}\nnames: [cat, dog]\n")
    (data / "images" / "train" / "a.jpg").unlink()
    (data / "labels" / "train" / "classes.txt").write_text("cat\ndog\n")
    (source,) = resolve(dataset_from_files([str(data)]))
    found = read_source(source)
    lost = f"{'' if stated == 'images/train' else 'train/'}a.jpg"
    rows = {row["file_name"]: row for row in found.images.to_pylist()}
    assert rows[lost]["defects"][0]["field"] == "picture size"
    assert found.annotations.num_rows == (2 if stated == "images/train" else 3)
    assert len(rows) == (1 if stated == "images/train" else 2)


def test_texts_beside_the_pictures_are_no_labels(data: Path, read_source) -> None:
    folder = data / "all"
    folder.mkdir()
    for name, text in {"a": "0 0.5 0.5 0.5 0.5\n", "gone": "1 0.5 0.5 1 1\n", "README": "Read me first\n"}.items():
        (folder / f"{name}.txt").write_text(text)
    Image.new("RGB", (20, 10)).save(folder / "a.png")
    (data / "data.yaml").write_text("train: all\nnames: [cat, dog]\n")
    (source,) = resolve(dataset_from_files([str(data)]))
    found = read_source(source)
    assert found.images["file_name"].to_pylist() == ["a.png", "gone.jpg"]
    assert found.annotations["category_id"].to_pylist() == [1, 2]


def test_without_an_image_folder_fractions_are_kept(data: Path, read_source) -> None:
    source = label(data, "0 0.5 0.25 0.5 0.5\n")
    found = read_source(Source("train", "yolo", source.annotations, source.root))
    (row,) = found.annotations.to_pylist()
    assert (row["x"], row["defects"], found.images["defects"].to_pylist()) == (None, None, [None])
    assert json.loads(row["attributes"]) == {"fractions": [0.5, 0.25, 0.5, 0.5]}


FAULTS = {
    "0 1.5 0.5 0.2 0.2": ("fully-outside", "at 1.4, 0.4 of the picture"),
    "0 0.5 0.5 0 0.25": ("degenerate-box", "0 x 0.25 of the picture"),
    "0 0.5 0.95 0.2 0.2": ("out-of-bounds", "0.05 of the picture outside"),
    "0 0.1 0.1 1.25 0.1 0.5 0.9": ("out-of-bounds", "0.25 of the picture outside"),
    "0 0.5 0.5 0.5 0.5": ("duplicate-box", "0.5 x 0.5 of the picture"),
}


def test_fractions_are_judged_where_the_size_is_unknown(data: Path, read_source) -> None:
    good = ["0 0.5 0.5 0.5 0.5", "1 0.5 0.5 0.5 0.5", "0 0.5 0.5 1.009 1", "0 0.4 0.5 0.5 0.5 0.9"]
    source = label(data, "\n".join([*good, *FAULTS]))
    rows = read_source(Source("train", "yolo", source.annotations, source.root)).annotations.to_pylist()
    assert [row["defects"] for row in rows[: len(good)]] == [None] * len(good)
    assert [[(one["rule"], one["observed"]) for one in row["defects"]] for row in rows[len(good) :]] == [
        [fault] for fault in FAULTS.values()
    ]
    assert not any(row["defects"] for row in read_source(source).annotations.to_pylist())  # the audit judges pixels


def test_fractions_of_a_picture_that_is_gone_are_kept(data: Path, read_source) -> None:
    source = label(data, "0 0.5 0.95 0.2 0.2\n")
    (data / "images" / "train" / "a.jpg").unlink()
    (row,) = read_source(source).annotations.to_pylist()
    assert json.loads(row["attributes"]) == {"fractions": [0.5, 0.95, 0.2, 0.2]}
    assert [one["rule"] for one in row["defects"]] == ["out-of-bounds", "missing-field"]


def test_a_data_file_above_the_labels_names_the_classes(data: Path, read_source, tmp_path: Path) -> None:
    (source,) = resolve(dataset_from_files([str(data / "labels" / "val")], images=str(data / "images" / "val")))
    assert read_source(source).categories["category_name"].to_pylist() == ["cat", "dog"]
    (data / "data.yaml").rename(data / "names.yaml")
    (data / "labels" / "classes.txt").write_text("a\nb\n")
    assert read_source(source).categories["category_name"].to_pylist() == ["a", "b"]


def test_a_label_file_that_is_no_text_is_quarantined(data: Path, read_source) -> None:
    found = read_source(label(data, b"\xff\xfe\0"))
    assert found.quarantine["reason"].to_pylist() == ["unreadable-annotation-file"]


@pytest.mark.parametrize(("names", "expected"), [("class 1\nb\n", ["class 1", "b"]), (None, [None, None])])
def test_names_beside_the_labels(data: Path, read_source, names: str | None, expected: list) -> None:
    (data / "data.yaml").unlink()
    if names:
        (data / "labels" / "train" / "classes.txt").write_text(names)
    found = read_source(label(data, "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n"))
    assert found.categories["category_name"].to_pylist() == expected
    assert found.annotations.num_rows == 2


def test_recognised_by_content(data: Path) -> None:
    assert Yolo().recognises(data / "data.yaml")
    assert Yolo().recognises(data / "labels" / "train")
    assert not Yolo().recognises(data / "images")
    (data / "other.yaml").write_text("train: {epochs: 3}\n")
    assert not Yolo().recognises(data / "other.yaml")
