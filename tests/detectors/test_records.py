"""A TFRecord data set brings its pictures along: no image folder is stated, neither for detection nor for training."""

import io
from pathlib import Path

import numpy as np
import pytest
import saved_models
from PIL import Image
from tiny import eagerly

from detray import cli
from detray.detectors.runtime import tensorflow
from detray.store import Store

KINDS = ("RGB", "RGBA", "CMYK", "turned", "large")
CLASSES = {1: "red", 2: "green"}
COLOURS = {1: (255, 0, 0), 2: (0, 255, 0)}


def encoded(kind: str, boxes: dict[int, tuple[int, int, int, int]], size: tuple[int, int]) -> bytes:
    """A picture as a person sees it, stored in some way."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    for k, (x, y, width, height) in boxes.items():
        pixels[y : y + height, x : x + width] = COLOURS[k]
    stream, picture = io.BytesIO(), Image.fromarray(pixels)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", quality=95, exif=exif)
    elif kind == "CMYK":
        picture.convert("CMYK").save(stream, "JPEG", quality=95)
    else:
        picture.convert("RGBA" if kind == "RGBA" else "RGB").save(stream, "PNG")
    return stream.getvalue()


def write_records(path: Path, seed: int) -> Path:
    """One picture of each of `KINDS`, each with something red and something green."""
    tf, _ = tensorflow()
    random = np.random.default_rng(seed)

    def feature(values: list[object]) -> object:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, kind in enumerate(KINDS):
            width, height = (300, 200) if kind == "large" else (120, 80)
            left = {k: int(random.integers(4, 20)) + place * width // 2 for place, k in enumerate(CLASSES)}
            boxes = {k: (x, 20, 36, 40) for k, x in left.items()}
            fields = {
                "image/filename": [f"{path.stem}{number}.jpg".encode()],
                "image/source_id": [str(number).encode()],
                "image/width": [width],
                "image/height": [height],
                "image/encoded": [encoded(kind, boxes, (width, height))],
                "image/object/bbox/xmin": [box[0] / width for box in boxes.values()],
                "image/object/bbox/ymin": [box[1] / height for box in boxes.values()],
                "image/object/bbox/xmax": [(box[0] + box[2]) / width for box in boxes.values()],
                "image/object/bbox/ymax": [(box[1] + box[3]) / height for box in boxes.values()],
                "image/object/class/label": list(CLASSES),
                "image/object/class/text": [name.encode() for name in CLASSES.values()],
            }
            features = tf.train.Features(feature={key: feature(value) for key, value in fields.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return path


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    train, val = (write_records(folder / f"{name}.record", seed) for seed, name in enumerate(("train", "val")))
    path = folder / "records.yaml"
    path.write_text(
        f"name: records\noutput: {folder / 'out'}\n"
        f"dataset: {{splits: {{train: {{annotations: 'file://{train}'}}, val: {{annotations: '{val}'}}}}}}\n"
        "train: {epochs: 1, batch_size: 5, augmentation: none}\npredict: {batch_size: 2}\n"
    )
    return path


def test_a_saved_model_detects_in_them(configuration: Path, tmp_path: Path) -> None:
    model = saved_models.write(tmp_path / "model", saved_models.api, (1, None, None, 3), "uint8")
    more = ["--set", "detector.kind=saved_model", "--set", f"detector.path={model}", "--output", str(tmp_path / "out")]
    assert cli.main(["evaluate", "--config", str(configuration), "--serial", *more]) == 0
    store = Store(str(tmp_path / "out"))
    assert store.read("quarantine", "predict").num_rows == 0
    metrics = store.read("class_metrics", filters=[("area_range", "=", "all")]).to_pylist()
    assert {row["category_name"]: row["ap50"] for row in metrics} == {"red": 1.0, "green": 1.0}


def test_training_reads_them(configuration: Path) -> None:
    small = ["--set", "detector.input_height=64", "--set", "detector.input_width=96"]
    with eagerly():
        assert cli.main(["predict", "--config", str(configuration), "--serial", *small]) == 0
    store = Store(str(configuration.parent / "out"))
    for stage in ("train", "predict"):
        manifest = store.manifest(stage)
        assert manifest is not None
        counts = manifest["counts"]
        assert counts["in"] == counts["kept"] >= len(KINDS)
