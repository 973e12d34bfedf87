"""From images to predictions, without a network: a detector that says what it was given."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pytest
from drawn import CLASSES, SIZE, draw

from detray import schema
from detray.detectors import inference
from detray.detectors.detector import Detections, Prepared
from detray.detectors.inference import Inference, decode

LABELS = {"val": {3: (4, "crimson"), 7: (7, "green")}}
PATIENCE = 30
"""Seconds until a test that waits for another thread fails."""


def half(picture: np.ndarray) -> Prepared:
    """The left half: the shape of what is prepared is the detector's own."""
    return Prepared(picture[:, : picture.shape[1] // 2], picture.shape[1], picture.shape[0])


@dataclass
class Echo:
    """Two detections in each picture, whose scores and boxes tell what was given; ``batches`` counts pictures."""

    classes: MappingProxyType = field(default_factory=lambda: MappingProxyType(CLASSES))
    batches: list[int] = field(default_factory=list)

    def prepare(self, picture: np.ndarray) -> Prepared:
        return half(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        self.batches.append(len(pictures))
        n = len(pictures)
        sizes = np.array([(one.width, one.height, *one.pixels.shape[1::-1]) for one in pictures], np.float64)
        means = np.array([one.pixels.mean() / 255 for one in pictures])
        return Detections(
            image=np.repeat(np.arange(n), 2),
            category_id=np.tile(np.array([7, 3]), n),
            boxes=np.repeat(sizes.reshape(n, 4), 2, axis=0),
            scores=np.repeat(means, 2),
            rank=np.tile(np.array([1, 2], np.int32), n),
        )


@pytest.fixture
def images(tmp_path) -> pa.Table:
    """Seven images; the third is cut off, the fifth not there."""
    found = draw(tmp_path, 7, "val").images
    (tmp_path / "val-003.png").write_bytes((tmp_path / "val-003.png").read_bytes()[:200])
    (tmp_path / "val-005.png").unlink()
    return found.select(["split", "image_id", "file_name", "path"])


def _inference(detector: Echo, batch_size: int = 2) -> Inference:
    return Inference(detector, LABELS, "echo", "t", "predict", batch_size)


def test_every_picture_is_predicted_or_quarantined(images):
    found = _inference(Echo()).predict(images)
    rows = found.predictions.to_pylist()
    assert [(row["image_id"], row["rank"]) for row in rows] == [
        (image, rank) for image in (1, 2, 4, 6, 7) for rank in (1, 2)
    ]
    assert {row["file_name"] for row in rows if row["image_id"] == 4} == {"val-004.png"}
    assert {(row["category_id"], row["category_name"]) for row in rows} == {(7, "green"), (4, "crimson")}
    assert {(row["run"], row["model"], row["split"]) for row in rows} == {("t", "echo", "val")}
    assert {(row["x"], row["y"], row["width"], row["height"]) for row in rows} == {(*SIZE, SIZE[0] / 2, SIZE[1])}
    lost = [(row["stage"], row["reason"], row["source_file"]) for row in found.quarantine.to_pylist()]
    paths = images["path"].to_pylist()
    assert lost == [("predict", "truncated", paths[2]), ("predict", "missing", paths[4])]
    for name, table in (("predictions", found.predictions), ("quarantine", found.quarantine)):
        assert table.schema.equals(schema.schema(name))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batches_are_full_whatever_could_not_be_read(images, batch_size):
    detector = Echo()
    found = _inference(detector, batch_size).predict(images)
    assert detector.batches == [batch_size] * (5 // batch_size) + [5 % batch_size] * (5 % batch_size > 0)
    assert found.predictions.equals(_inference(Echo()).predict(images).predictions)


@pytest.mark.parametrize("threads", [1, 2])
def test_decoding_elsewhere_gives_the_same(images, threads):
    pictures = decode(images, half, threads=threads)
    assert pictures.num_rows == images.num_rows
    assert pictures["reason"].to_pylist() == [None, None, "truncated", None, "missing", None, None]
    expected = _inference(Echo()).predict(images)
    found = _inference(Echo()).detect(pictures)
    assert found.predictions.equals(expected.predictions)
    assert found.quarantine.equals(expected.quarantine)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pictures.schema) as stream:
        stream.write_table(pictures, max_chunksize=2)
    again = _inference(Echo()).detect(pa.ipc.open_stream(sink.getvalue()).read_all())
    assert again.predictions.equals(expected.predictions)


def test_any_cut_gives_the_same(images):
    whole = _inference(Echo()).predict(images)
    for size in (1, 2, 5):
        shared = _inference(Echo())
        parts = [shared.predict(images.slice(start, size)) for start in range(0, images.num_rows, size)]
        assert pa.concat_tables([part.predictions for part in parts]).equals(whole.predictions)
        assert pa.concat_tables([part.quarantine for part in parts]).equals(whole.quarantine)


def test_no_images_and_none_that_can_be_read(images):
    found = _inference(Echo()).predict(images.slice(0, 0))
    assert (found.predictions.num_rows, found.quarantine.num_rows) == (0, 0)
    found = _inference(Echo()).predict(images.slice(2, 1))
    assert (found.predictions.num_rows, found.quarantine.num_rows) == (0, 1)
    assert found.predictions.schema.equals(schema.schema("predictions"))


def test_a_picture_without_a_place_is_quarantined(images):
    nowhere = images.set_column(3, "path", pa.nulls(images.num_rows, pa.string()))
    for attempt in (_inference(Echo()).predict, lambda given: _inference(Echo()).detect(decode(given, half))):
        found = attempt(nowhere)
        assert found.predictions.num_rows == 0
        assert set(found.quarantine["reason"].to_pylist()) == {"outside_root"}
        assert found.quarantine["image_id"].to_pylist() == images["image_id"].to_pylist()


@dataclass
class Waiting(Echo):
    """Detects in ``held`` only once all pictures named in ``awaited`` have been prepared."""

    awaited: set[int] = field(default_factory=set)
    prepared: Event = field(default_factory=Event)
    detecting: Event = field(default_factory=Event)

    def prepare(self, picture: np.ndarray) -> Prepared:
        self.awaited.discard(int(picture[0, 0, 0]))
        if not self.awaited:
            self.prepared.set()
        return half(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        self.detecting.set()
        assert self.prepared.wait(PATIENCE), f"not decoded meanwhile: {self.awaited}"
        return super().detect(pictures)


def test_the_next_chunk_is_decoded_while_one_is_detected(tmp_path):
    from PIL import Image

    images = draw(tmp_path, 8, "val").images.select(["split", "image_id", "file_name", "path"])
    for number, path in enumerate(images["path"].to_pylist()):
        Image.fromarray(np.full((20, 20, 3), number, np.uint8)).save(path)
    detector = Waiting(awaited=set(range(8)))
    shared = _inference(detector)  # decodes four pictures ahead
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.predict, images.slice(0, 4))
        assert detector.detecting.wait(PATIENCE)
        second = pool.submit(shared.predict, images.slice(4, 4))
        found = pa.concat_tables([part.result().predictions for part in (first, second)])
    assert found["image_id"].to_pylist() == [image for image in range(1, 9) for _ in range(2)]


def test_only_so_many_pictures_are_decoded_ahead(images, tmp_path, monkeypatch):
    """Pictures as decoded may be large: what waits is bounded by the batch, not by the chunk."""
    many = pa.concat_tables([images.slice(0, 2)] * 20)
    begun, most = [0], [0]

    class Counting(Echo):
        def prepare(self, picture: np.ndarray) -> Prepared:
            begun[0] += 1
            return super().prepare(picture)

        def detect(self, pictures: Sequence[Prepared]) -> Detections:
            most[0] = max(most[0], begun[0] - sum(self.batches))
            return super().detect(pictures)

    _inference(Counting()).predict(many)
    assert begun == [40]
    assert most[0] <= 2 + 2 * 2 + inference.DECODE_THREADS
