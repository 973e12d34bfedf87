"""Files of detections as predictions: the steps as they ship, in memory and by the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from detray import cli, schema
from detray.flow.data import MemoryData, cut
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import MemoryKeeper
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.formats import canonical
from detray.formats.detections.file import DetectionsFile, read_file
from detray.formats.detections.flow import take_over
from detray.formats.json import lists as json_lists
from detray.meaning.settle import Stated
from detray.store import Store
from detray.tables import Shard

IMAGES = [{"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48} for number in range(1, 12)]
CLASSES = [{"id": 3, "name": "red"}]
BAD = [
    {"image_id": 99, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": "x", "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": 1, "category_id": 3, "bbox": [1, 2, -3, 4], "score": 0.5},
]


@pytest.fixture(scope="module")
def data() -> MemoryData:
    """Eleven images in three shards."""
    images = [{"split": "val", "image_id": row["id"], "file_name": row["file_name"]} for row in IMAGES]
    classes = [{"split": "val", "category_id": 3, "category_name": "red", "source": "annotations"}]
    whole = Shard(
        "val",
        schema.from_rows("images", images, run="t"),
        schema.empty("annotations"),
        schema.from_rows("categories", classes, run="t"),
    )
    return MemoryData(cut(whole, 3))


def detections(count: int) -> list[dict]:
    images = np.random.default_rng(0).integers(1, 12, count).tolist()
    return [
        {"image_id": image, "category_id": 3, "bbox": [1.0, 2.0, 3.0, number], "score": 0.5}
        for number, image in enumerate(images)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], str]:
    def to_file(rows: object) -> str:
        path = tmp_path / "other.json"
        path.write_text(json.dumps(rows))
        return str(path)

    return to_file


def taken(data: MemoryData, path: str) -> InMemoryRun:
    return run_in_memory(take_over, data, path, "val", Stated(), "t", tables=("predictions", "quarantine"))


def read(data: MemoryData, path: str, prefix: str = "") -> tuple[Flow, DetectionsFile]:
    flow = Flow(data, MemoryKeeper(), InProcess(threads=1))
    return flow, read_file(flow, path, "val", prefix)


@pytest.mark.parametrize("part_bytes", [300, json_lists.PART_BYTES])
def test_predictions_are_in_the_order_of_images(
    data: MemoryData, write: Callable[[object], str], part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "PART_BYTES", part_bytes)
    rows = detections(40)
    run = taken(data, write([*rows, *BAD]))
    assert run.outcome.counts == {"in": 43, "kept": 40, "quarantined": 3}
    left_out = {"negative-size": 1, "unknown-image": 2}
    assert run.outcome.facts == {"model": "other", "placed": 40, "left_out": left_out}
    expected = sorted(range(40), key=lambda number: (rows[number]["image_id"], number))
    predictions, quarantine = run.tables["predictions"], run.tables["quarantine"]
    assert predictions["height"].to_pylist() == expected
    assert predictions["rank"].to_pylist() == [number + 1 for number in expected]
    reasons = dict(zip(quarantine["row"].to_pylist(), quarantine["reason"].to_pylist(), strict=True))
    assert reasons == {40: "unknown-image", 41: "unknown-image", 42: "negative-size"}
    told = run.outcome.summary[1]
    assert told.title == "Detections left out"
    assert [row[:2] for row in told.rows] == [["negative-size", 1], ["unknown-image", 2]]
    assert told.rows[1][3].startswith("row 40: image 99, class 3")


def test_a_file_that_cannot_be_cut_by_guessing_is_read_exactly(
    data: MemoryData, write: Callable[[object], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "PART_BYTES", 300)
    rows = detections(40)
    like_rows = [{"image_id": 1, "score": 0.5}] * 8
    path = write([row | {"parts": like_rows} for row in rows])
    flow, found = read(data, path)
    assert any(key.startswith("read-detections-exactly-") for key in flow.receipts)
    assert found.rows == 40
    given = pa.concat_tables([chunk.kept.read() for chunk in found.chunks])
    assert sorted(given["height"].to_pylist()) == list(range(40))


def test_images_are_named_by_files_only_in_the_parts_where_they_are(
    data: MemoryData, write: Callable[[object], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "PART_BYTES", 1000)
    rows = detections(40)
    rows[30:35] = [row | {"image_id": f"pictures/{row['image_id']}.png"} for row in rows[30:35]]
    path = write(rows)
    flow, found = read(data, path, "mine-")
    looked_up = [key for key in flow.receipts if key.startswith("name-images-mine-")]
    assert found.named == 5
    assert 0 < len(looked_up) < len(found.chunks)
    run = taken(data, path)
    assert run.outcome.notes == ["5 detections name their image by its file name"]
    assert run.tables["predictions"].equals(taken(data, write(detections(40))).tables["predictions"])


def test_shards_find_their_predictions_and_no_others(
    tmp_path: Path, write: Callable[[object], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical, "SHARD_ROWS", 4)
    truth = tmp_path / "val.json"
    truth.write_text(json.dumps({"images": IMAGES, "annotations": [], "categories": CLASSES}))
    output = str(tmp_path / "out")
    assert cli.main(["predict", str(truth), write([*detections(40), *BAD]), "--serial", "--output", output]) == 0
    store = Store(output)
    shards = store.shards()
    assert len(shards) > 2
    found = [store.read_shard(key, predictions=True) for key in shards]
    for shard in found:
        assert set(shard.predictions["image_id"].to_pylist()) <= set(shard.images["image_id"].to_pylist())
    assert sum(shard.predictions.num_rows for shard in found) == 40
