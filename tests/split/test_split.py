"""`detray split`: each format divided in itself, no scene on two sides, and the result reads as the whole did."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from data_files import FORMATS, NAMES, SIZE
from PIL import Image

from detray import cli
from detray.store import Store

PARTS = ("train", "val", "test")
SCENE = [[(number % 2, (5.0 + number, 10.0, 20.0, 30.0)), (1, (40.0, 8.0, 9.0 + number, 7.0))] for number in range(20)]


def noise(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), np.uint8)
    Image.fromarray(pixels).resize(SIZE, Image.Resampling.NEAREST).save(path)


def split(config: dict[str, Any], folder: Path, *arguments: str) -> Store:
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"output": str(folder / "out")}))
    assert cli.main(["split", "--config", str(folder / "config.yaml"), "--serial", *arguments]) == 0
    return Store(str(folder / "out"))


def boxes(store: Store) -> Counter:
    """The boxes of a data set by the picture's name and class."""
    images = {
        (row["split"], row["image_id"]): row["file_name"].rpartition("/")[2] for row in store.read("images").to_pylist()
    }
    names = {(row["split"], row["category_id"]): row["category_name"] for row in store.read("categories").to_pylist()}
    return Counter(
        (images[row["split"], row["image_id"]],
         names[row["split"], row["category_id"]], *(round(row[side], 3) for side in ("x", "y", "width", "height")))
        for row in store.read("annotations").to_pylist()
    )  # fmt: skip


def ingested_again(folder: Path) -> Store:
    files = ["--config", str(folder / "out/split/dataset.yaml"), "--output", str(folder / "again")]
    assert cli.main(["ingest", *files, "--serial"]) == 0
    return Store(str(folder / "again"))


def read_again(folder: Path) -> Store:
    """What was written, read by its own configuration, without a defect."""
    store = ingested_again(folder)
    assert store.manifest("ingest")["counts"]["quarantined"] == 0
    return store


@pytest.mark.parametrize("format", FORMATS)
def test_a_part_of_each_format_reads_as_it_did(format: str, tmp_path: Path) -> None:
    values = FORMATS[format](tmp_path, SCENE)
    for number, path in enumerate(sorted([*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.png")])):
        noise(path, number)
    store = split({"dataset": values}, tmp_path, "--val", ".25", "--test", ".25")
    again = read_again(tmp_path)
    assert boxes(again) == boxes(store)
    divided = {row["file_name"]: row["part"] for row in store.read("divided").to_pylist()}
    assert Counter(divided.values()) == {"train": 10, "val": 5, "test": 5}
    pictures = [(row["split"], row["file_name"].rpartition("/")[2]) for row in again.read("images").to_pylist()]
    assert sorted(pictures) == sorted((part, name.rpartition("/")[2]) for name, part in divided.items())
    assert again.manifest("ingest")["facts"]["formats"] == dict.fromkeys(PARTS, format)


def coco_split(folder: Path, split: str, count: int, first_seed: int) -> None:
    """A split whose ids and names begin anew, as exports write them."""
    (folder / split).mkdir()
    data = {
        "info": {"made": "by hand"},
        "images": [{"id": k, "file_name": f"{k}.png", "width": SIZE[0], "height": SIZE[1]} for k in range(count)],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1 + k % 2, "bbox": [1, 2, 10 + k, 20], "area": 200, "iscrowd": 0}
            for k in range(count)
        ],
        "categories": [{"id": 1 + k, "name": name} for k, name in enumerate(NAMES)],
    }
    (folder / split / "labels.json").write_text(json.dumps(data))
    for k in range(count):
        noise(folder / split / f"{k}.png", first_seed + k)


def test_splits_that_leak_are_divided_anew_without_leakage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    coco_split(data, "train", 20, 0)
    coco_split(data, "val", 8, 100)
    for k in range(4):
        shutil.copy(data / "train" / f"{k}.png", data / "val" / f"{k}.png")
    assert cli.main(["audit", str(data), "--serial", "--output", str(tmp_path / "before")]) == 0
    assert "detray split" in capsys.readouterr().out
    assert (
        cli.main(["split", str(data), "--serial", "--val", ".3", "--test", "0", "--output", str(tmp_path / "my out")])
        == 0
    )
    shown = capsys.readouterr().out
    assert f"detray run --config '{tmp_path}/my out/split/dataset.yaml'" in shown.replace("\n", "")
    assert "8 of 28 images stay with others, by what they look like" in shown
    assert "Drift of val from train" in shown
    parts, after = str(tmp_path / "my out/split/dataset.yaml"), str(tmp_path / "after")
    assert cli.main(["audit", "--config", parts, "--serial", "--output", after]) == 0
    rules = Store(after).read("findings")["rule"].to_pylist()
    assert "exact-duplicate-image" in rules
    assert not {"split-leakage", "missing-image", "duplicate-image-id", "duplicate-annotation-id"} & set(rules)
    old, new = (boxes(Store(place)).elements() for place in (str(tmp_path / "my out"), after))
    assert sorted(box[1:] for box in old) == sorted(box[1:] for box in new)
    assert json.loads((tmp_path / "my out/split/val.json").read_text())["info"] == {"made": "by hand"}


def test_no_group_is_on_two_sides_and_a_seed_decides(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    coco_split(tmp_path / "data", "train", 24, 0)
    labels = tmp_path / "data" / "train" / "labels.json"
    data = json.loads(labels.read_text())
    for image in data["images"]:
        image["camera"] = image["id"] // 3
    labels.write_text(json.dumps(data))
    found = {}
    for seed in ("0", "0", "1"):
        out = tmp_path / f"out{len(found)}{seed}"
        command = ["split", str(labels), "--group", "camera", "--split-seed", seed, "--serial", "--output", str(out)]
        assert cli.main(command) == 0
        rows = Store(str(out)).read("divided").to_pylist()
        parts = {}
        for row in rows:
            parts.setdefault(row["image_id"] // 3, set()).add(row["part"])
        assert all(len(part) == 1 for part in parts.values())
        assert {row["group_images"] for row in rows} == {3}
        found.setdefault(seed, []).append([row["part"] for row in rows])
    assert found["0"][0] == found["0"][1] != found["1"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--val", "0", "--test", "0"], "nothing to split off"),
        (["--val", ".6", "--test", ".5"], "leave nothing for train"),
        (["--group", "kamera"], "no image has the attribute or column 'kamera'"),
        (["--group", "prefix:"], "no image has the attribute or column 'prefix:'"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco_split(tmp_path, "train", 5, 0)
    command = ["split", str(tmp_path / "train" / "labels.json"), "--serial", "--output", str(tmp_path / "out")]
    assert cli.main([*command, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_too_few_scenes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_split(tmp_path, "train", 4, 0)
    for k in range(1, 4):
        shutil.copy(tmp_path / "train" / "0.png", tmp_path / "train" / f"{k}.png")
    assert cli.main(["split", str(tmp_path / "train"), "--serial", "--output", str(tmp_path / "out")]) == 2
    words = "no image is left for val and test: there are 4 images, in 1 group that stay together"
    assert words in capsys.readouterr().err


def test_a_share_too_small_for_an_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_split(tmp_path, "train", 3, 0)
    assert cli.main(["split", str(tmp_path / "train"), "--serial", "--output", str(tmp_path / "out")]) == 2
    assert "no image is left for val and test: there are 3 images; ask for a larger share" in capsys.readouterr().err
    assert not (tmp_path / "out" / "split" / "dataset.yaml").exists()


def test_real_cells_keep_to_the_shares(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(["split", str(shared / "bccd"), "--serial", "--output", str(out)]) == 0
    store = Store(str(out))
    parts = Counter(store.read("divided")["part"].to_pylist())
    assert {part: round(count / 364, 2) for part, count in parts.items()} == {"train": 0.7, "val": 0.15, "test": 0.15}
    listed = [(out / "split/ImageSets/Main" / f"{part}.txt").read_text().split() for part in PARTS]
    assert len({name for names in listed for name in names}) == sum(map(len, listed)) == 364
    drift = next(table for table in store.manifest("split")["summary"] if table["title"].startswith("Drift"))
    assert [row[-1] for row in drift["rows"]] == [False] * 3


def restarted(folder: Path) -> list[dict[str, Any]]:
    """Two splits whose ids begin anew, train's and val's."""
    (folder / "data").mkdir()
    coco_split(folder / "data", "train", 10, 0)
    coco_split(folder / "data", "val", 6, 100)
    return [json.loads((folder / "data" / split / "labels.json").read_text()) for split in ("train", "val")]


def of_two(folder: Path, val: dict[str, Any], *arguments: str) -> int:
    (folder / "data" / "val" / "labels.json").write_text(json.dumps(val))
    return cli.main(["split", str(folder / "data"), "--serial", "--output", str(folder / "out"), *arguments])


@pytest.mark.parametrize("swapped", [True, False])
def test_splits_with_other_classes_are_refused(
    swapped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, val = restarted(tmp_path)
    if swapped:
        val["categories"] = [{"id": 1 + k, "name": name} for k, name in enumerate(reversed(NAMES))]
    else:
        val["categories"].append({"id": 9, "name": "further"})
    assert of_two(tmp_path, val) == 2
    words = "the splits number their classes differently: 1 is" if swapped else "val has the class 'further', which"
    assert words in capsys.readouterr().err


def owners(store: Store) -> Counter:
    """The pictures that boxes are of, by the width of the box."""
    names = {(row["split"], row["image_id"]): row["path"] for row in store.read("images").to_pylist()}
    rows = store.read("annotations").to_pylist()
    return Counter((names[row["split"], row["image_id"]], row["width"]) for row in rows)


def test_rows_with_defects_are_taken_as_they_are_into_one_file(tmp_path: Path) -> None:
    _, val = restarted(tmp_path)
    val["annotations"][0]["bbox"][0] = float("nan")
    val["annotations"][1]["id"] = None
    val["annotations"][2]["image_id"] = "2"
    val["images"][3]["id"] = 3.0
    assert of_two(tmp_path, val, "--val", ".3", "--test", "0") == 0
    before, after = Store(str(tmp_path / "out")), ingested_again(tmp_path)
    assert after.read("annotations").num_rows == before.read("annotations").num_rows == 16
    assert owners(before) == owners(after)


def test_images_of_one_id_stay_together(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    coco_split(tmp_path / "data", "train", 12, 0)
    labels = tmp_path / "data/train/labels.json"
    data = json.loads(labels.read_text())
    for image in data["images"]:
        image["id"] //= 2
    for box in data["annotations"]:
        box["image_id"] //= 2
    labels.write_text(json.dumps(data))
    assert cli.main(["split", str(labels), "--serial", "--output", str(tmp_path / "out")]) == 0
    parts: dict[int, set[str]] = {}
    for row in Store(str(tmp_path / "out")).read("divided").to_pylist():
        parts.setdefault(row["image_id"], set()).add(row["part"])
    assert len(parts) == 6
    assert all(len(found) == 1 for found in parts.values())


def test_an_image_of_two_splits_is_listed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for k in range(10):
        noise(tmp_path / f"data/images/{k}.png", k)
        (tmp_path / f"data/labels/{k}.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "data/data.yaml").write_text("train: images\nval: images\nnames: [cat]\n")
    assert cli.main(["split", str(tmp_path / "data"), "--serial", "--output", str(tmp_path / "out")]) == 0
    assert "10 images stand in several splits" in capsys.readouterr().out
    listed = [(tmp_path / "out/split" / f"{part}.txt").read_text().split() for part in PARTS]
    assert len({name for names in listed for name in names}) == sum(map(len, listed)) == 10
    assert boxes(read_again(tmp_path)).total() == 10
