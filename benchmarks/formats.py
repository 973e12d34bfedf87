"""Reading a split of each format into canonical tables, against the least that reading it takes.

Run ``python benchmarks/formats.py`` (some minutes). ``--records`` is the number of TFRecords of 60 kB, ``--boxes``
that of the annotations of the other formats, ``--repeats`` the interleaved runs of which medians and ranges are shown.
CPU seconds of all threads, in which two floors are taken, files in the page cache.

* bytes: the folder is listed, each annotation file opened and read with Python's ``open``; of YOLO also the first 4 KiB
  of each picture, without which no box has a size in pixels; the records of TFRecords by tf.data.TFRecordDataset,
  which verifies their checksums;
* values: the least parse in Python on top of it, into objects and no tables: ElementTree.parse of each file of VOC,
  ``float`` of each word of YOLO, msgspec.json.decode of the COCO file. There is none of TFRecords.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
from PIL import Image

from detray.flow.data import MemoryData
from detray.flow.memory import run_in_memory
from detray.formats.flow import TABLES, ingest
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import resolve

BOXES_PER_IMAGE = 20
RECORD_BYTES = 60_000
WIDTH, HEIGHT = 640, 480
CLASSES = 80
Writer = Callable[[Path, int], list[str]]
Reader = Callable[[list[str]], int]


def boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Corners as fractions of the image, float64 ``[n, 4]``."""
    low = rng.uniform(0, 0.8, (n, 2))
    return np.concatenate([low, low + rng.uniform(0.02, 0.2, (n, 2))], axis=1)


def write_records(folder: Path, records: int) -> list[str]:
    """Two files, as tf.io.TFRecordWriter writes them; noise stands for the pictures."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, RECORD_BYTES + 4096, np.uint8).tobytes()

    def feature(values: Sequence[object]) -> object:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    files = [str(folder / f"val.record-{number:05d}-of-00002") for number in range(2)]
    for part, file in enumerate(files):
        with tf.io.TFRecordWriter(file) as writer:
            for number in range(part, records, 2):
                corners = boxes(rng, 5)
                labels = rng.integers(1, CLASSES + 1, len(corners)).tolist()
                start = int(rng.integers(4096))
                name = f"{number:07d}.jpg".encode()
                features = {
                    "image/filename": [name],
                    "image/source_id": [name],
                    "image/width": [WIDTH],
                    "image/height": [HEIGHT],
                    "image/encoded": [noise[start : start + RECORD_BYTES]],
                    "image/object/class/label": labels,
                    "image/object/class/text": [b"class %d" % label for label in labels],
                } | {
                    f"image/object/bbox/{side}": corners[:, column].tolist()
                    for column, side in enumerate(("xmin", "ymin", "xmax", "ymax"))
                }
                made = {key: feature(values) for key, values in features.items()}
                writer.write(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())
    return files


def write_voc(folder: Path, n: int) -> list[str]:
    """One XML file an image, as LabelImg writes them."""
    rng = np.random.default_rng(0)
    for number in range(n // BOXES_PER_IMAGE):
        corners = np.rint(boxes(rng, BOXES_PER_IMAGE) * [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(int).tolist()
        objects = "".join(
            f"\t<object>\n\t\t<name>class {rng.integers(CLASSES)}</name>\n\t\t<pose>Unspecified</pose>\n"
            f"\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{a}</xmin>\n"
            f"\t\t\t<ymin>{b}</ymin>\n\t\t\t<xmax>{c}</xmax>\n\t\t\t<ymax>{d}</ymax>\n\t\t</bndbox>\n\t</object>\n"
            for a, b, c, d in corners
        )
        (folder / f"{number:07d}.xml").write_text(
            f"<annotation>\n\t<filename>{number:07d}.jpg</filename>\n\t<size>\n\t\t<width>{WIDTH}</width>\n"
            f"\t\t<height>{HEIGHT}</height>\n\t\t<depth>3</depth>\n\t</size>\n{objects}</annotation>\n"
        )
    return [str(folder)]


def write_yolo(folder: Path, n: int) -> list[str]:
    """One text file an image, and the smallest pictures there are."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    Image.new("L", (8, 8)).save(folder / "images" / "0000000.png")
    picture = (folder / "images" / "0000000.png").read_bytes()
    for number in range(n // BOXES_PER_IMAGE):
        corners = boxes(rng, BOXES_PER_IMAGE)
        sides = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        lines = [f"{rng.integers(CLASSES)} " + " ".join(f"{side:.6f}" for side in row) for row in sides.tolist()]
        (folder / "labels" / f"{number:07d}.txt").write_text("\n".join(lines) + "\n")
        (folder / "images" / f"{number:07d}.png").write_bytes(picture)
    names = [f"class {number}" for number in range(CLASSES)]
    (folder / "data.yaml").write_text(f"val: images\nnames: {names}\n")
    return [str(folder / "data.yaml")]


def write_coco(folder: Path, n: int) -> list[str]:
    """One JSON file of all images."""
    rng = np.random.default_rng(0)
    images = [
        {"id": number, "file_name": f"{number:07d}.jpg", "width": WIDTH, "height": HEIGHT}
        for number in range(n // BOXES_PER_IMAGE)
    ]
    corners = boxes(rng, n) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    sides = np.round(corners[:, 2:] - corners[:, :2], 2)
    annotations = [
        {
            "id": number,
            "image_id": number // BOXES_PER_IMAGE,
            "category_id": int(rng.integers(CLASSES)),
            "bbox": [*low, *side],
            "area": side[0] * side[1],
            "iscrowd": 0,
        }
        for number, (low, side) in enumerate(zip(corners[:, :2].round(2).tolist(), sides.tolist(), strict=True))
    ]
    classes = [{"id": number, "name": f"class {number}"} for number in range(CLASSES)]
    data = {"images": images, "annotations": annotations, "categories": classes}
    (folder / "val.json").write_bytes(msgspec.json.encode(data))
    return [str(folder / "val.json")]


def read(files: list[str]) -> int:
    """All rows of a split, in one process; how many."""
    sources = resolve(dataset_from_files(files))
    tables = run_in_memory(ingest, MemoryData([]), sources, None, "benchmark", tables=TABLES).tables
    return tables["annotations"].num_rows


def contents(folder: str, most: int = -1) -> Iterator[bytes]:
    """Of each file of a folder, in order, the bytes, at ``most`` so many."""
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - half of pathlib's cost a file
        with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - as above
            yield file.read(most)


def read_coco_bytes(files: list[str]) -> int:
    return len(Path(files[0]).read_bytes())


def read_coco_values(files: list[str]) -> int:
    return len(msgspec.json.decode(Path(files[0]).read_bytes())["annotations"])


def read_voc_bytes(files: list[str]) -> int:
    return sum(map(len, contents(files[0])))


def read_voc_values(files: list[str]) -> int:
    paths = (f"{files[0]}/{name}" for name in sorted(os.listdir(files[0])))  # noqa: PTH208 - as above
    return sum(len(ET.parse(path).findall("object")) for path in paths)  # noqa: S314


def read_yolo_bytes(files: list[str]) -> int:
    folder = Path(files[0]).parent
    return sum(map(len, (*contents(f"{folder}/labels"), *contents(f"{folder}/images", 4096))))


def read_yolo_values(files: list[str]) -> int:
    folder = Path(files[0]).parent
    found = sum(1 for text in contents(f"{folder}/labels") for line in text.splitlines() if [*map(float, line.split())])
    return found + sum(map(len, contents(f"{folder}/images", 4096)))


def read_dataset(files: list[str]) -> int:
    """The bytes of all records as TensorFlow reads them; how many."""
    import tensorflow as tf

    return sum(len(data) for data in tf.data.TFRecordDataset(files).as_numpy_iterator())


def seconds(work: Reader, files: list[str]) -> float:
    """CPU seconds, of all threads, that a reader takes."""
    start = time.process_time()
    if not work(files):
        sys.exit(f"{files[0]}: nothing was read")
    return time.process_time() - start


def main() -> None:
    """Write, read in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("| format | rows | detray, CPU s | bytes, CPU s | detray / bytes | values, CPU s | detray / values |")
    print("|---|---|---|---|---|---|---|")
    kinds: tuple[tuple[str, Writer, int, Reader, Reader | None], ...] = (
        ("COCO", write_coco, options.boxes, read_coco_bytes, read_coco_values),
        ("TFRecord", write_records, options.records, read_dataset, None),
        ("VOC", write_voc, options.boxes, read_voc_bytes, read_voc_values),
        ("YOLO", write_yolo, options.boxes, read_yolo_bytes, read_yolo_values),
    )
    for name, write, n, least, parse in kinds:
        with tempfile.TemporaryDirectory() as folder:
            files = write(Path(folder), n)
            readers = [read, least, *([parse] if parse else [])]
            for reader in readers:
                seconds(reader, files)  # imports, and files in the page cache
            rounds = [[seconds(reader, files) for reader in readers] for _ in range(options.repeats)]
        taken = [sorted(one) for one in zip(*rounds, strict=True)]
        middle = [statistics.median(one) for one in taken]
        spread = [f"{mid:.2f} ({one[0]:.2f} to {one[-1]:.2f})" for mid, one in zip(middle, taken, strict=True)]
        floors = [f"{spread[place]} | {middle[0] / middle[place]:.2f}" for place in range(1, len(middle))]
        print(f"| {name} | {n:,} | {' | '.join([spread[0], *floors])}{'' if parse else ' | | '} |", flush=True)


if __name__ == "__main__":
    main()
