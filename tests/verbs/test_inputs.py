"""Pictures are a part of the data set: what lies in their folders decides whether a stage is current."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from detray.detectors.io import IoSettings
from detray.detectors.settings import DetectorSettings
from detray.errors import UsageError
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.store import Store, absolute
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config, anchored
from detray.verbs.inputs import fingerprints
from detray.verbs.pictures import require_pictures


def write_data(root: Path, count: int = 3) -> None:
    """Annotations beside a folder of pictures."""
    (root / "pictures").mkdir(parents=True)
    images = [{"id": k, "file_name": f"{k}.png", "width": 9, "height": 8} for k in range(1, count + 1)]
    for k in range(1, count + 1):
        Image.new("RGB", (9, 8), (20 * k, 0, 0)).save(root / "pictures" / f"{k}.png")
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}]
    lists = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}
    (root / "val.json").write_text(json.dumps(lists))


def statuses(root: Path, verb: str, images: str = "pictures") -> tuple[dict[str, str], Store]:
    split = SplitSettings(annotations="val.json", images=images)
    dataset = DatasetSettings(root=str(root), splits={"val": split})
    config = Config(output=str(root / "out"), dataset=dataset)
    context = Context(config, Store(config.output), InProcess(1))
    return {result.stage: result.status for result in runner.run(context, (verb,))}, context.store


def test_a_picture_that_goes_or_comes_back_makes_what_read_it_stale(tmp_path: Path) -> None:
    write_data(tmp_path)
    done, current = (dict.fromkeys(("ingest", "audit"), status) for status in ("done", "current"))
    assert statuses(tmp_path, "audit")[0] == done
    assert statuses(tmp_path, "audit")[0] == current
    picture, elsewhere = tmp_path / "pictures" / "2.png", tmp_path / "2.png"
    picture.rename(elsewhere)
    found, store = statuses(tmp_path, "audit")
    assert found == done
    assert "missing-image" in store.read("findings")["rule"].to_pylist()
    assert statuses(tmp_path, "audit")[0] == current
    elsewhere.rename(picture)
    found, store = statuses(tmp_path, "audit")
    assert found == done
    assert "missing-image" not in store.read("findings")["rule"].to_pylist()


def test_a_page_is_made_again_with_its_pictures_and_without(tmp_path: Path) -> None:
    write_data(tmp_path)
    statuses(tmp_path, "ingest")
    folder, away = tmp_path / "pictures", tmp_path / "away"
    assert statuses(tmp_path, "report")[0] == {"report": "done"}
    assert statuses(tmp_path, "report")[0] == {"report": "current"}
    folder.rename(away)
    assert statuses(tmp_path, "report")[0] == {"report": "done"}
    away.rename(folder)
    assert statuses(tmp_path, "report")[0] == {"report": "done"}


def test_what_detray_writes_among_the_pictures_is_none_of_them(tmp_path: Path) -> None:
    write_data(tmp_path)
    assert set(statuses(tmp_path, "ingest", ".")[0].values()) == {"done"}
    assert set(statuses(tmp_path, "ingest", ".")[0].values()) == {"current"}


def test_links_may_lead_in_circles_or_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_bytes(b"12")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(folder / "pipe")
    output = Store(str(tmp_path / "out"))
    (found,) = fingerprints([str(folder)], output)
    assert found["files"] == 1
    (folder / "deep" / "file").write_bytes(b"123")
    assert fingerprints([str(folder)], output) != [found]
    with pytest.raises(UsageError, match="gone"):
        fingerprints([str(tmp_path / "gone")], output)


def test_a_linked_picture_is_used_where_its_folder_is_named_and_else_left_out(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    write_data(root)
    disk.mkdir()
    picture = root / "pictures" / "2.png"
    picture.rename(disk / "2.png")
    picture.symlink_to(disk / "2.png")
    paths = {}
    for also in ((), ("../disk",)):
        dataset = DatasetSettings(
            root=str(root), also=also, splits={"val": SplitSettings(annotations="val.json", images="pictures")}
        )
        config = Config(output=str(tmp_path / "out"), dataset=dataset)
        context = Context(config, Store(config.output), InProcess(1))
        runner.run(context, ("ingest",))
        paths[also] = context.store.read("images")["path"].to_pylist()
    assert paths[()] == [str(root / "pictures" / "1.png"), None, str(root / "pictures" / "3.png")]
    assert paths["../disk",] == [str(root / "pictures" / f"{k}.png") for k in (1, 2, 3)]


def test_pictures_are_in_a_stated_folder_or_within_records() -> None:
    splits = {"coco": SplitSettings(), "records": SplitSettings(), "folder": SplitSettings(images="pictures")}
    config = Config(dataset=DatasetSettings(splits=splits))
    formats = {"coco": "coco", "records": "tfrecord", "folder": "voc"}
    data = MemoryData((), manifests={"ingest": {"facts": {"formats": formats}}})
    require_pictures(config, data, ("records", "folder", "not a split"))
    with pytest.raises(UsageError, match=r"split coco: .* set dataset\.splits\.coco\.images"):
        require_pictures(config, data, ("records", "coco"))


def test_files_that_workers_read_are_named_by_their_full_place() -> None:
    detector = DetectorSettings(path="model", weights="w.h5", io=IoSettings(anchors="anchors.npy"))
    found = anchored(Config(detector=detector)).detector
    assert [found.path, found.weights, found.io.anchors] == [absolute(n) for n in ("model", "w.h5", "anchors.npy")]
