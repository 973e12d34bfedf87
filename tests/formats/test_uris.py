"""Data named by URIs give the tables that the same files on a disk give, but for the URIs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import samples
from PIL import Image
from test_tfrecord import TWO, example, record

from detray import cache, mirror, remote
from detray.cli import main
from detray.files import open_file
from detray.store import Store

PICTURES = ("a.jpg", "b.jpg", "c.jpg", "b c.jpg")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of each format with pictures, at the same place in memory as an object store's."""
    folder = tmp_path_factory.mktemp("data")
    samples.write_each(folder)
    for name in samples.FILES:
        (folder / name / "images").mkdir()
        for picture in PICTURES:
            Image.new("RGB", (64, 48), "white").save(folder / name / "images" / picture)
    picture = (folder / "coco" / "images" / "a.jpg").read_bytes()
    (folder / "tfrecord" / "a.record").write_bytes(record(example(TWO | {"image/encoded": [picture]})) * 2)
    (folder / "yolo" / "labels").mkdir()
    (folder / "yolo" / "labels" / "a.txt").write_text("0 .5 .5 .25 .25\n")
    (folder / "map.pbtxt").write_text('item { id: 1 name: "cat" }\nitem { id: 2 name: "dog" }\n')
    store = Store(f"memory://bucket{folder}")
    for path in folder.rglob("*"):
        if path.is_file():
            store.write_bytes(path.read_bytes(), *path.relative_to(folder).parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.FOLDER, str(tmp_path_factory.mktemp("cache")))
        yield folder


def tables(output: str, stage: str, *names: str) -> list[str]:
    """The rows of some tables as text."""
    return [
        json.dumps(
            {"table": name} | {key: value for key, value in row.items() if key not in ("run", "run_id", "finding_id")},
            default=str,
        )
        for name in names
        for row in Store(output).read(name, stage).to_pylist()
    ]


@pytest.mark.parametrize("name", samples.FILES)
def test_each_format(data: Path, tmp_path: Path, name: str) -> None:
    found = []
    for number, root in enumerate((str(data), f"memory://bucket{data}")):
        output = str(tmp_path / str(number))
        split = {"annotations": f"{name}/{samples.FILES[name][0]}", "images": f"{name}/images"}
        split = {"annotations": split["annotations"]} if name == "tfrecord" else split  # whose records hold pictures
        config = {"dataset": {"root": root, "label_map": "map.pbtxt", "splits": {"train": split}}, "output": output}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        code = main(["audit", "--config", str(tmp_path / "config.yaml"), "--serial"])
        assert code == 0
        content = tables(output, "ingest", "images", "annotations", "categories", "quarantine")
        content += tables(output, "audit", "findings", "image_stats")
        assert not [row for row in content if "detray-mirror" in row]
        assert "detray-mirror" not in (Path(output) / "ingest" / "manifest.json").read_text()
        found.append([row.replace(root, "ROOT") for row in content])
    assert found[0]
    assert found[0] == found[1]


def test_plain_files_and_folders(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"memory://bucket{data}"
    output = tmp_path / "out"
    files = ["audit", f"{uri}/coco/coco.json", "--images", f"{uri}/coco/images", "--label-map", f"{uri}/map.pbtxt"]
    assert main([*files, "--output", str(output), "--serial"]) == 0
    assert uri in (output / "ingest" / "config.yaml").read_text()
    assert main(["audit", "--output", str(output), "--serial"]) == 0  # the configuration that it left
    assert main(["audit", f"{uri}/voc", "--output", f"{uri}-out", "--serial"]) == 0
    assert main(["audit", "--output", f"{uri}-out", "--serial"]) == 0
    capsys.readouterr()
    assert main(["audit", f"{uri}/nowhere.json", "--serial"]) == 2
    assert f"{uri}/nowhere.json: no such file or folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["coco", "voc", "tf_csv"])
def test_what_is_written_back(data: Path, tmp_path: Path, name: str) -> None:
    found = []
    for number, root in enumerate((str(data), f"memory://bucket{data}")):
        split = {"annotations": f"{name}/{samples.FILES[name][0]}", "images": f"{name}/images"}
        config = {"dataset": {"root": root, "splits": {"train": split}}, "clean": {"format": "same"}}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        output = tmp_path / str(number)
        assert main(["clean", "--config", str(tmp_path / "config.yaml"), "--serial", "--output", str(output)]) == 0
        below = [path for path in (output / "clean").rglob("*") if path.is_file() and path.suffix != ".parquet"]
        assert not [path for path in below if b"detray-mirror" in path.read_bytes()]
        files = {str(path.relative_to(output)): path for path in below}
        named = ("manifest.json", "config.yaml", "dataset.yaml")
        found.append({file: path.read_bytes() for file, path in files.items() if path.name not in named})
    assert found[0]
    assert found[0] == found[1]


def test_data_that_change_are_read_anew(data: Path, tmp_path: Path) -> None:
    uri = f"memory://bucket{data}-changing"
    store = Store(uri)
    for names in (("cat",), ("cat", "dog")):
        content = {"images": [], "annotations": [], "categories": [{"id": n, "name": v} for n, v in enumerate(names)]}
        content["images"] = [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}]
        store.write_bytes(json.dumps(content).encode(), "gt.json")
        mirror._here.cache_clear()  # another process would not have it
        assert main(["ingest", f"{uri}/gt.json", "--output", str(tmp_path / "out"), "--serial"]) == 0
        found = Store(str(tmp_path / "out")).read("categories")["category_name"].to_pylist()
        assert found == list(names)


def test_a_folder_that_is_called_as_ours_is_no_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "opened", lambda uri: pytest.fail("the network is asked"))
    place = tmp_path / "detray-mirror" / ("0" * 16) / "s3" / "bucket" / "a.jpg"
    assert mirror.uri_of(place) is None
    assert not mirror.fetch(place)


def test_no_name_in_a_store_leads_out_of_the_folder_of_its_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.jpg", "../../../../../evil.jpg", "./b.jpg", "deep/../../../../../evil.jpg")
    found = [pafs.FileInfo(f"bucket/evil/{name}", pafs.FileType.File, size=1, mtime_ns=1) for name in names]

    class Hostile:
        def get_file_info(self, asked: object) -> object:
            is_all = isinstance(asked, pafs.FileSelector)
            return found if is_all else pafs.FileInfo("bucket/evil", pafs.FileType.Directory)

    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    monkeypatch.setattr(remote, "opened", lambda uri: (Hostile(), "bucket/evil"))
    place = Path(mirror.here("memory://bucket/evil"))
    assert [path.name for path in tmp_path.rglob("*.jpg")] == ["a.jpg"]
    assert (place / "a.jpg").is_file()


def test_what_is_fetched_keeps_to_the_bound_and_every_file_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"memory://bucket{tmp_path}")
    for number in range(12):
        store.write_bytes(b"x" * 100, f"{number:02d}.txt")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    monkeypatch.setattr(cache, "bound", lambda: 1000)
    folder = Path(mirror.here(f"memory://bucket{tmp_path}"))
    for file in sorted(folder.iterdir()):
        with open_file(file) as stream:
            assert stream.read() == b"x" * 100
    assert [file.name for file in sorted(folder.iterdir())] == [f"{number:02d}.txt" for number in range(12)]
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.txt")) <= 1000
    with open_file(folder / "00.txt") as stream:
        assert stream.read() == b"x" * 100
