"""Sizes are judged by a detector only where somebody configured one."""

import json
from pathlib import Path

import pytest

from detray import cli
from detray.store import Store


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Training and validation annotations with boxes of 8 px on pictures of 2,000."""
    for split in ("train", "val"):
        document = {
            "images": [{"id": i, "file_name": f"{split}{i}.jpg", "width": 2000, "height": 2000} for i in range(30)],
            "categories": [{"id": 1, "name": "cell"}],
            "annotations": [
                {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [40.5 + i, 50, 8, 8], "area": 64, "iscrowd": 0}
                for i in range(30)
            ],
        }
        (tmp_path / f"{split}.json").write_text(json.dumps(document))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "config", "expected"),
    [
        ([], None, False),
        (["--set", "audit.disable=[tiny-box]"], None, False),
        ([], "audit: {disable: [tiny-box]}", False),
        (["--set", "detector.input_width=256"], None, True),
        ([], "detector: {kind: retinanet}", True),
        ([], "train: {epochs: 3}", True),
    ],
    ids=["plain", "plain_set", "plain_config", "set", "detector", "train"],
)
def test_effective_size(files: Path, options: list[str], config: str | None, expected: bool) -> None:
    arguments = [str(files / "val.json"), "--train", str(files / "train.json"), *options]
    if config is not None:
        (files / "config.yaml").write_text(config)
        arguments += ["--config", str(files / "config.yaml")]
    assert cli.main(["audit", *arguments, "--serial", "--output", str(files / "out")]) == 0
    found = Store(str(files / "out")).read("findings", filters=[("rule", "=", "effective-size")])
    assert set(found["category_name"].to_pylist()) == ({"cell"} if expected else set())
