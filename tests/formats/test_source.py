"""What a person states is trusted; what data names must stay below it."""

import json
from pathlib import Path

import pytest

from detray.errors import UsageError
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import input_paths, resolve
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import locate

COCO = {"images": [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}], "annotations": [], "categories": []}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set with pictures in a folder, beside something that is not for it."""
    folder = tmp_path / "data"
    (folder / "images" / "sub").mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(COCO))
    (tmp_path / "secret.jpg").write_text("")
    return folder


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.jpg", "images/a.jpg"),
        ("sub/b.jpg", "images/sub/b.jpg"),
        ("sub\\b.jpg", "images/sub/b.jpg"),
        ("../train.json", "train.json"),
        ("../../secret.jpg", None),
        ("/etc/hostname", None),
        ("inner.jpg", "images/inner.jpg"),
        ("outer.jpg", None),
        ("out/secret.jpg", None),
        ("a\0.jpg", None),
        ("", None),
        ("x" * 5000, None),
    ],
)
def test_names_in_data_stay_below_the_root(data: Path, name: str, found: str | None) -> None:
    (data / "images" / "inner.jpg").symlink_to(data / "train.json")
    (data / "images" / "outer.jpg").symlink_to(data.parent / "secret.jpg")
    (data / "images" / "out").symlink_to(data.parent)
    assert locate(str(data / "images"), name, (str(data),)) == (None if found is None else str(data / found))


def test_paths_are_relative_to_the_root(data: Path) -> None:
    split = SplitSettings(annotations="train.json", images="images")
    (source,) = resolve(DatasetSettings(root=str(data), splits={"train": split}))
    assert (source.split, source.format, source.annotations) == ("train", "coco", (str(data / "train.json"),))
    assert source.images == str(data / "images")
    assert input_paths(DatasetSettings(root=str(data), splits={"train": split})) == [str(data / "train.json")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"splits": {}}, "no split is stated"),
        ({"splits": {"val": {}}}, r"dataset\.splits\.val\.annotations: no file or folder"),
        ({"splits": {"val": {"annotations": "absent.json"}}}, r"absent\.json: no such file or folder"),
        ({"splits": {"val": {"annotations": "train.json", "images": "absent"}}}, "absent: no such file or folder"),
        ({"splits": {"val": {"annotations": "train.json", "images": "train.json"}}}, "is not a folder"),
        ({"splits": {"val": {"annotations": "gopher://x.org/a.json"}}}, "cannot be opened"),
        ({"splits": {"val": {"annotations": "train.json", "format": "cocoo"}}}, "format 'cocoo' is not known"),
        ({"splits": {"val": {"annotations": "empty.json"}}}, "the file is empty"),
        ({"splits": {"val": {"annotations": "words.txt"}}}, "of no known format"),
        ({"splits": {"val": {"annotations": "images"}}}, "of no known format"),
    ],
)
def test_what_is_stated_wrongly_is_said(data: Path, settings: dict, said: str) -> None:
    (data / "empty.json").write_text("")
    (data / "words.txt").write_text("some words\n")
    splits = {name: SplitSettings(**split) for name, split in settings["splits"].items()}
    with pytest.raises(UsageError, match=said):
        resolve(DatasetSettings(root=str(data), splits=splits))


def test_plain_files_are_val_and_train(data: Path) -> None:
    (data / "val.json").write_text(json.dumps(COCO))
    made = dataset_from_files([str(data / "val.json")], train=str(data / "train.json"), images=str(data / "images"))
    sources = {source.split: source for source in resolve(made)}
    assert {name: Path(source.annotations[0]).name for name, source in sources.items()} == {
        "train": "train.json",
        "val": "val.json",
    }
    assert {source.images for source in sources.values()} == {str(data / "images")}
    assert resolve(dataset_from_files([str(data / "val.json")]))[0].images is None


@pytest.mark.parametrize(
    ("lists", "splits"),
    [(("train", "val", "trainval"), ["train", "val"]), (("trainval",), ["trainval"]), ((), ["val"])],
)
def test_a_voc_folder_has_its_lists_as_splits(tmp_path: Path, lists: tuple[str, ...], splits: list[str]) -> None:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
    for name in lists:
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").write_text("a\n")
    sources = resolve(dataset_from_files([str(tmp_path)]))
    assert [source.split for source in sources] == splits
    assert {source.images for source in sources} == {str(tmp_path / "JPEGImages")}
    assert {source.format for source in sources} == {"voc"}
