"""Two hosts, each with its own address and mounts, of which one lacks what the other has.

Needs root for Linux namespaces (see `namespaces`); is skipped with the reason where there is none.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import heads
import namespaces
import numpy as np
import pytest
from namespaces import Host
from PIL import Image

from detray.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPLITS = ("train", "val", *(f"test{number:02d}" for number in range(22)))
PICTURES = 2
"""Of each split, which is a task: enough for both hosts to get some before the first is done with all."""

FEW_BLOCKS = 12
"""That a disk has left: enough for a stage to begin."""


@dataclass(frozen=True)
class Cluster:
    here: Host
    there: Host
    address: str
    data: Path
    disk: Path

    def detray(self, *command: str, output: Path) -> tuple[int, str]:
        """A command on the first host: its exit code and what it says."""
        words = [heads.BIN / "python", "-m", "detray", *command, "--output", output, "--address", self.address]
        config = ["--config", self.data / "config.yaml"]
        done = self.here.run(*namespaces.WITH_RESERVE, *words, *config)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := namespaces.lacking():
        pytest.skip(reason)
    data = tmp_path_factory.mktemp("data")
    write_data(data)
    disk = tmp_path_factory.mktemp("disk")
    with (
        namespaces.small_disk(disk),
        namespaces.two_hosts() as hosts,
        namespaces.ray_on(hosts) as address,
    ):
        yield Cluster(*hosts, address, data, disk)


def write_data(folder: Path) -> None:
    """Pictures and a COCO file of each split, a small model, and a configuration that names them."""
    from detray.detectors.retinanet.model import RetinaNet
    from detray.detectors.retinanet.network import build_network
    from detray.detectors.settings import DetectorSettings, PredictSettings

    random = np.random.default_rng(0)
    for split in SPLITS:
        (folder / "pictures" / split).mkdir(parents=True)
        images, boxes = [], []
        for number in range(1, PICTURES + 1):
            name = f"{split}/{number}.png"
            Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / "pictures" / name)
            images.append({"id": number, "file_name": name, "width": 64, "height": 64})
            boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [9, 9, 30, 30], "area": 900,
                          "iscrowd": 0})  # fmt: skip
        content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        (folder / f"{split}.json").write_text(json.dumps(content))
    (folder / "model").mkdir()
    detector = DetectorSettings(input_height=64, input_width=64)
    network = build_network(detector, 1, seed=3)
    for name, content in RetinaNet(network, {1: "cat"}, detector, PredictSettings(), (), 0).files().items():
        (folder / "model" / name).write_bytes(content)
    splits = {split: {"annotations": f"{split}.json", "images": "pictures"} for split in SPLITS}
    config = {
        "dataset": {"root": str(folder), "splits": splits},
        "detector": {"path": str(folder / "model")},
        "cluster": {"min_free_gib": 0},
    }
    (folder / "config.yaml").write_text(json.dumps(config))


def test_pictures_that_one_host_cannot_see(cluster: Cluster, tmp_path: Path) -> None:
    """No finding, no number and no exit code 0 comes of them; with them back all is as it is."""
    pictures = cluster.data / "pictures" / "val"
    cluster.there.hide(pictures)
    try:
        for command in ("audit", "evaluate"):
            code, said = cluster.detray(command, output=tmp_path)
            assert code == 2, said
            assert re.search(r"machine host-b .*/val/\d\.png cannot be read \(No such file or directory\); mount", said)
            assert Store(str(tmp_path)).manifest(command) is None
    finally:
        cluster.there.show(pictures)
    code, said = cluster.detray("evaluate", output=tmp_path)
    assert code == 0, said
    code, said = cluster.detray("audit", output=tmp_path)
    assert code == 0, said
    assert "missing-image" not in Store(str(tmp_path)).read("findings")["rule"].to_pylist()
    assert not Store(str(tmp_path)).read("quarantine", "predict").num_rows
    cluster.there.hide(pictures)
    try:
        code, said = cluster.detray("predict", "--force", output=tmp_path)
        assert code == 2, said
        assert "machine host-b" in said
    finally:
        cluster.there.show(pictures)


def test_a_host_whose_disk_is_full_is_left_out_and_where_all_are_it_ends(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.detray("audit", output=tmp_path)[0] == 0
    code, said = cluster.detray("ingest", output=cluster.disk)
    assert code == 0, said
    namespaces.fill(cluster.disk, but=FEW_BLOCKS)
    code, said = cluster.detray("audit", output=cluster.disk)
    assert code == 0, said
    assert len(re.findall(r"host-b.* is left out, 3 tasks in a row failed there: .*the disk is full", said)) == 1, said
    found = [Store(str(folder)).read("findings").drop_columns(["run", "run_id"]) for folder in (tmp_path, cluster.disk)]
    assert found[0] == found[1]
    namespaces.fill(cluster.disk, *namespaces.WITH_RESERVE)
    code, said = cluster.detray("audit", "--force", output=cluster.disk)
    assert code == 3, said
    assert "the disk is full; free some space" in said
    assert said.count("detray: ") == 1
