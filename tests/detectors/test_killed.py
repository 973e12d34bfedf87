"""The real command, killed in the middle of an epoch, goes on and ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from drawn import draw

from detray.detectors.retinanet.model import load_retinanet
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.store import Store

EPOCHS = 3
IMAGES = {"train": 16, "val": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, COCO files and a configuration whose epochs have many small steps."""
    folder = tmp_path_factory.mktemp("killed")
    for seed, (split, count) in enumerate(IMAGES.items()):
        shard = draw(folder / split, count, split, seed=seed)
        boxes = [
            {"id": number, "image_id": row["image_id"], "category_id": row["category_id"], "iscrowd": 0}
            | {"bbox": [row[side] for side in ("x", "y", "width", "height")], "area": row["width"] * row["height"]}
            for number, row in enumerate(shard.annotations.to_pylist(), 1)
        ]
        content = {
            "images": [
                {"id": row["image_id"], "file_name": row["file_name"], "width": 144, "height": 96}
                for row in shard.images.to_pylist()
            ],
            "annotations": boxes,
            "categories": [{"id": 3, "name": "red"}, {"id": 7, "name": "green"}],
        }
        (folder / f"{split}.json").write_text(json.dumps(content))
    splits = {split: {"annotations": f"{split}.json", "images": split} for split in IMAGES}
    config = {
        "dataset": {"root": str(folder), "splits": splits},
        "detector": {"input_height": 32, "input_width": 32},
        "train": {
            "epochs": EPOCHS,
            "batch_size": 1,
            "dropout": 0.1,
            "accumulate": 3,
            "augmentation": {"flip": {}, "mosaic": {}},
            "oversample": {"red": 4.0},
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def begin(data: Path, output: Path) -> "subprocess.Popen[str]":
    command = (sys.executable, "-m", "detray.cli", "train", "--config", data / "config.json", "--serial")
    return subprocess.Popen([*command, "--output", output], stderr=subprocess.PIPE, text=True)


def kill_in_epoch(number: int, how: signal.Signals, data: Path, output: Path) -> tuple[int, str]:
    """Run the command until it is well in epoch ``number``; its exit code and what it said."""
    with begin(data, output) as running:
        while not (before := list((output / "train").rglob(f"epoch-{number - 1:05d}.json"))) and running.poll() is None:
            time.sleep(0.01)
        time.sleep(0.1)
        assert running.poll() is None
        assert not (before[0].parent / f"epoch-{number:05d}.json").exists()
        os.kill(running.pid, how)
        said = running.communicate(timeout=120)[1]
    assert not (before[0].parent / f"epoch-{number:05d}.json").exists()
    return running.returncode, said


@pytest.mark.slow  # TensorFlow starts four times
def test_a_killed_training_ends_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with begin(data, whole) as running:
        said = running.communicate(timeout=300)[1]
    assert running.returncode == 0, said
    code, said = kill_in_epoch(2, signal.SIGTERM, data, killed)
    assert (code, said.splitlines()[-1]) == (143, "detray: terminated; the same command goes on where it stopped")
    code, _ = kill_in_epoch(3, signal.SIGKILL, data, killed)
    assert code == -signal.SIGKILL
    with begin(data, killed) as running:
        said = running.communicate(timeout=300)[1]
    assert running.returncode == 0, said
    told = [line.split(":")[0].strip() for line in said.splitlines() if line.strip().startswith("epoch ")]
    assert told == [f"epoch {EPOCHS}/{EPOCHS}"]  # the others were whole
    tables = [Store(str(place)).read("history").drop_columns(["run_id", "seconds"]) for place in (whole, killed)]
    assert tables[0].num_rows == 3 * EPOCHS
    assert tables[0].equals(tables[1])
    one, other = (
        load_retinanet(DetectorSettings(), str(place / "train" / "model"), PredictSettings()).network.get_weights()
        for place in (whole, killed)
    )
    for values, others in zip(one, other, strict=True):
        np.testing.assert_array_equal(values, others)
