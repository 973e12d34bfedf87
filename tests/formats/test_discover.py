"""Any folder is a data set: annotations two levels down, the pictures they name, and a question where two fit."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from samples import COCO, FILES, TF_CSV, VOC

from detray import cli
from detray.arguments import parser_for
from detray.errors import UsageError
from detray.formats.discover import tree as trees
from detray.formats.discover.candidates import answers, split_of
from detray.formats.discover.said import SeveralFit
from detray.formats.discover.tree import walk
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import resolve

LABEL = b"0 .5 .5 .2 .2\n"


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def coco(*names: str) -> bytes:
    images = [{"id": number, "file_name": name, "width": 9, "height": 9} for number, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}).encode()


def taken(root: Path, **options: str) -> dict[str, tuple[str, str | None]]:
    """Of each split the annotations and the pictures, below ``root``."""
    found = resolve(dataset_from_files([str(root)], **options))

    def below(path: str | None) -> str | None:
        return path and os.path.relpath(path, root)

    return {one.split: (str(below(one.annotations[0])), below(one.images)) for one in found}


def choices(root: Path, **options: str) -> Sequence[tuple[str, ...]]:
    with pytest.raises(SeveralFit) as caught:
        dataset_from_files([str(root)], **options)
    return [one.arguments for one in caught.value.choices]


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("depth", [1, 2])
def test_every_format_is_found_below(format: str, depth: int, tmp_path: Path) -> None:
    name, data = FILES[format]
    (tmp_path / "x" / "images").mkdir(parents=True)
    put(tmp_path, {f"{'x/y/'[: 2 * depth]}{name}": data})
    (tree,) = answers(walk(str(tmp_path)), "auto")
    assert [(one.format, one.split) for one in tree] == [(format, "train" if format == "tf_csv" else None)]


LAYOUTS = {
    "voc without lists": (
        {"annots/a.xml": VOC, "images/a.jpg": b"p", "README.txt": b"hello"},
        {"val": ("annots", "images")},
    ),
    "COCO's own": (
        {
            **{f"annotations/instances_{split}2017.json": coco("0.jpg") for split in ("train", "val")},
            **{f"annotations/{kind}_{split}2017.json": COCO for kind in ("captions", "person_keypoints")
               for split in ("train", "val")},
            "train2017/0.jpg": b"p",
            "val2017/0.jpg": b"p",
        },
        {
            "train": ("annotations/instances_train2017.json", "train2017"),
            "val": ("annotations/instances_val2017.json", "val2017"),
        },
    ),
    "Roboflow's COCO": (
        {f"{split}/{name}": data for split in ("train", "valid", "test")
         for name, data in {"_annotations.coco.json": coco("a.jpg"), "a.jpg": b"p"}.items()},
        {
            "train": ("train/_annotations.coco.json", "train"),
            "val": ("valid/_annotations.coco.json", "valid"),
            "test": ("test/_annotations.coco.json", "test"),
        },
    ),
    "Roboflow's YOLO": (
        {
            "data.yaml": b"train: ../train/images\nval: ../valid/images\nnames: [cat]\n",
            "train/labels/a.txt": LABEL, "train/images/a.jpg": b"p",
            "valid/labels/b.txt": LABEL, "valid/images/b.jpg": b"p",
        },
        {"train": ("data.yaml", "train/images"), "val": ("data.yaml", "valid/images")},
    ),
    "YOLO without a data file": (
        {f"{kind}/{split}/a.{suffix}": data for split in ("train", "val")
         for kind, suffix, data in (("labels", "txt", LABEL), ("images", "jpg", b"p"))},
        {"train": ("labels/train", "images/train"), "val": ("labels/val", "images/val")},
    ),
    "labels beside an unrelated folder of the same names": (
        {"labels/a.txt": LABEL, "images/a.jpg": b"p", "masks/a.png": b"p"},
        {"val": ("labels", "images")},
    ),
    "a Pascal VOC folder within": (
        {"VOC2012/Annotations/a.xml": VOC, "VOC2012/JPEGImages/a.jpg": b"p",
         "VOC2012/ImageSets/Main/train.txt": b"a\n", "VOC2012/ImageSets/Main/val.txt": b"a\n"},
        {"train": ("VOC2012/Annotations", "VOC2012/JPEGImages"), "val": ("VOC2012/Annotations", "VOC2012/JPEGImages")},
    ),
    "records in shards": (
        {f"data/{split}.record-0000{number}-of-00002": FILES["tfrecord"][1] for split in ("train", "val")
         for number in (0, 1)},
        {"train": ("data/train.record-00000-of-00002", None), "val": ("data/val.record-00000-of-00002", None)},
    ),
    "records of several splits in the folder itself": (
        {f"{split}.record": FILES["tfrecord"][1] for split in ("train", "val")},
        {"train": ("train.record", None), "val": ("val.record", None)},
    ),
    "CSV with folders of the same file names": (
        {f"{place}/{name}": data for split in ("train", "test")
         for place, name, data in ((f"images/{split}", "a.jpg", b"p"), ("data", f"{split}_labels.csv", TF_CSV))},
        {"train": ("data/train_labels.csv", "images/train"), "test": ("data/test_labels.csv", "images/test")},
    ),
    "names with folders": (
        {"labels.json": coco("a/0.jpg", "b/0.jpg"), "photos/a/0.jpg": b"p", "photos/b/0.jpg": b"p"},
        {"val": ("labels.json", "photos")},
    ),
    "no pictures": ({"x/labels.json": coco("0.jpg")}, {"val": ("x/labels.json", None)}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[layout]
    assert taken(put(tmp_path, files)) == expected


def test_what_was_taken_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "kangaroo", {"annots/a.xml": VOC, "images/a.jpg": b"p"})
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    dataset_from_files(["kangaroo/"], tell=said.append)
    assert said == ["kangaroo: took voc: val from annots, pictures in images"]


def test_two_formats_are_told_apart_by_format(tmp_path: Path) -> None:
    put(tmp_path, {"annots/a.xml": VOC, "coco/a.json": coco("a.jpg")})
    picked = choices(tmp_path)
    assert [arguments[1:] for arguments in picked] == [("--format", "voc"), ("--format", "coco")]
    assert taken(tmp_path, format="coco") == {"val": ("coco/a.json", None)}


def test_two_data_sets_are_told_apart_by_folder_or_files(tmp_path: Path) -> None:
    kit = {"annots/a.xml": VOC, "images/a.jpg": b"p"}
    put(tmp_path, {f"{name}/{file}": data for name in "AB" for file, data in kit.items()})
    assert choices(tmp_path) == [(str(tmp_path / name),) for name in "AB"]
    years = put(tmp_path / "years", {f"{name}.json": coco("0.jpg") for name in ("train2014", "val2014", "train2017")})
    files = {name: str(years / f"{name}.json") for name in ("train2014", "val2014", "train2017")}
    assert choices(years) == [(files["val2014"], "--train", files["train2014"]), (files["train2017"],)]


def test_pictures_that_lie_in_two_places_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path, {"annots/a.xml": VOC, "images/a.jpg": b"p", "thumbs/a.jpg": b"p"})
    folders = [str(tmp_path / name) for name in ("images", "thumbs")]
    assert choices(tmp_path) == [(str(tmp_path), "--images", folder) for folder in folders]
    assert taken(tmp_path, images=folders[1]) == {"val": ("annots", "thumbs")}


def test_the_question_names_a_command_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "my data", {"annots/a.xml": VOC, "images/a.jpg": b"p", "thumbs/a.jpg": b"p"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeveralFit) as caught:
        dataset_from_files(["my data"])
    lines = str(caught.value.question("evaluate", ["dets.json"])).splitlines()
    assert lines[1] == "  detray evaluate 'my data' dets.json --images 'my data/images'  # pictures in images"
    assert len(lines) == 3


def test_links_that_lead_out_and_in_circles_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "outside", {"annots/a.xml": VOC, "one.json": coco("0.jpg")})
    data = put(tmp_path / "data", {"README.md": b"x"})
    (data / "out").symlink_to(tmp_path / "outside")
    (data / "one.json").symlink_to(tmp_path / "outside" / "one.json")
    (data / "circle").symlink_to(data)
    (data / "itself").symlink_to(data / "itself")
    with pytest.raises(UsageError, match="no known format"):
        dataset_from_files([str(data)])
    put(data, {"annots/a.xml": VOC})
    assert taken(data) == {"val": ("annots", None)}


def test_a_folder_beyond_the_bounds_is_looked_at_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {f"{number}/a.txt": b"x" for number in range(20)} | {"annots/a.xml": VOC})
    monkeypatch.setattr(trees, "MAX_FOLDERS", 5)
    tree = walk(str(tmp_path))
    assert len(tree.folders) == 5
    assert tree.remarks == ["of its folders only the first 5 were looked at"]
    monkeypatch.setattr(trees, "MAX_ENTRIES", 3)
    assert len(walk(str(tmp_path)).folders) == 1


def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"annots/a.xml": VOC, "secret/a.jpg": b"p"})
    usual = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith(refused):
            raise PermissionError(13, "Permission denied", path)
        return usual(path)

    monkeypatch.setattr(trees.os, "scandir", scandir)
    refused = "secret"
    assert walk(str(tmp_path)).remarks == ["secret cannot be read (Permission denied)"]
    refused = tmp_path.name
    with pytest.raises(UsageError, match="cannot be read"):
        walk(str(tmp_path))


def test_what_detray_wrote_is_no_data_set(tmp_path: Path) -> None:
    put(tmp_path, {"annots/a.xml": VOC, "out/x/ingest/manifest.json": b"{}", "out/x/audit/m.json": b"{}",
                   "out/x/val.json": coco("0.jpg")})  # fmt: skip
    assert taken(tmp_path) == {"val": ("annots", None)}


def test_a_training_folder_is_looked_into(tmp_path: Path) -> None:
    put(tmp_path, {"val.json": coco("0.jpg"), "more/annots/a.xml": VOC})
    made = dataset_from_files([str(tmp_path / "val.json")], train=str(tmp_path / "more"))
    assert made.splits["train"].annotations == str(tmp_path / "more" / "annots")


@pytest.mark.parametrize(
    ("place", "split"),
    [
        ("instances_train2017.json", "train"),
        ("valid/labels", "val"),
        ("ImageSets/trainval", "trainval"),
        ("train_val.csv", "trainval"),
        ("trains/values.json", None),
        ("test/train.json", "train"),
        ("Validation", "val"),
    ],
)
def test_words_of_splits(place: str, split: str | None) -> None:
    assert split_of(place) == split


@pytest.mark.parametrize(
    ("name", "splits"), [("bccd", ["train", "val", "test"]), ("taco", ["val"]), ("visdrone50", ["val"])]
)
def test_real_data_sets(name: str, splits: list[str], shared: Path) -> None:
    made = dataset_from_files([str(shared / name)])
    assert list(made.splits) == splits
    assert {bool(split.images) for split in made.splits.values()} == {name == "bccd"}


def test_a_real_data_set_that_is_laid_out_otherwise(shared: Path, tmp_path: Path) -> None:
    for kind, called in (("Annotations", "annots"), ("JPEGImages", "images")):
        (tmp_path / called).mkdir()
        for path in sorted((shared / "bccd" / kind).iterdir())[:3]:
            shutil.copy(path, tmp_path / called)
    assert taken(tmp_path) == {"val": ("annots", "images")}


def test_the_offered_commands_read_all_files_of_each_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {f"x/{split}_{one}: 1.json": COCO for split in ("train", "val", "test") for one in "ab"})
    put(tmp_path, {
        f"y/{split}{one}.record-0000{number}-of-00002": FILES["tfrecord"][1]
        for split in ("train", "val", "test") for one in ["_a", "_b"] for number in (0, 1)
    })  # fmt: skip
    for folder, count in (("x", 1), ("y", 2)):
        for picked in choices(tmp_path / folder):
            arguments = ["audit", *picked]
            sources = resolve(cli.load_config(parser_for(arguments).parse_args(arguments)).dataset)
            assert {one.split: len(one.annotations) for one in sources} == dict.fromkeys(
                ("train", "val", "test"), count
            )
            names = {path.rpartition("_")[2][0] for one in sources for path in one.annotations}
            assert len(names) == 1
            assert all(f"{tmp_path}/{folder}/{one.split}_" in path for one in sources for path in one.annotations)


def test_records_of_one_split_in_a_folder_are_one(tmp_path: Path) -> None:
    put(tmp_path, {f"val_{one}.record": FILES["tfrecord"][1] for one in "ab"})
    assert taken(tmp_path) == {"val": (".", None)}
    put(tmp_path, {"train_a.record": FILES["tfrecord"][1]})
    assert len(choices(tmp_path)) == 2
