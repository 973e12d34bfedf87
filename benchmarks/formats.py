"""Reading a split of each format into canonical tables, against the least that reading it takes.

Run ``python benchmarks/formats.py`` (some minutes). ``--records`` is the number of TFRecords of 60 kB, ``--boxes``
that of the annotations of the other formats, ``--repeats`` the interleaved runs of which medians and ranges are shown.
CPU seconds of all threads. The floor of TFRecords is tf.data.TFRecordDataset, of VOC ElementTree.parse of each file, of
YOLO the bytes of all files.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

from detray.files import open_file
from detray.flow.data import MemoryData
from detray.flow.memory import run_in_memory
from detray.formats.flow import TABLES, ingest
from detray.formats.plain import dataset_from_files
from detray.formats.resolve import resolve

BOXES_PER_IMAGE = 20
RECORD_BYTES = 60_000
WIDTH, HEIGHT = 640, 480
CLASSES = 80


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


def read(files: list[str]) -> int:
    """All rows of a split, in one process; how many."""
    sources = resolve(dataset_from_files(files))
    tables = run_in_memory(ingest, MemoryData([]), sources, None, "benchmark", tables=TABLES).tables
    return tables["annotations"].num_rows


def read_bytes(files: list[str]) -> int:
    """The bytes of all files of a folder, or of the one that a data file lies in; how many."""
    folder = Path(files[0]) if Path(files[0]).is_dir() else Path(files[0]).parent
    found = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with open_file(path) as file:
            found += len(file.read())
    return found


def read_xml(files: list[str]) -> int:
    """All files of a folder through the standard library's parser; how many objects they hold."""
    return sum(len(ET.parse(path).findall("object")) for path in sorted(Path(files[0]).iterdir()))  # noqa: S314


def read_dataset(files: list[str]) -> int:
    """The bytes of all records as TensorFlow reads them; how many."""
    import tensorflow as tf

    return sum(len(data) for data in tf.data.TFRecordDataset(files).as_numpy_iterator())


def seconds(work: Callable[[list[str]], int], files: list[str]) -> float:
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
    print("| format | rows | detray, CPU s | floor, CPU s | detray / floor |\n|---|---|---|---|---|")
    kinds = (
        ("TFRecord", write_records, options.records, read_dataset),
        ("VOC", write_voc, options.boxes, read_xml),
        ("YOLO", write_yolo, options.boxes, read_bytes),
    )
    for name, write, n, floor in kinds:
        with tempfile.TemporaryDirectory() as folder:
            files = write(Path(folder), n)
            seconds(floor, files)  # imports, and files in the page cache
            taken = [(seconds(read, files), seconds(floor, files)) for _ in range(options.repeats)]
        own, least = (sorted(one) for one in zip(*taken, strict=True))
        middle = [statistics.median(one) for one in (own, least)]
        spread = [f"{mid:.2f} ({one[0]:.2f} to {one[-1]:.2f})" for mid, one in zip(middle, (own, least), strict=True)]
        print(f"| {name} | {n:,} | {spread[0]} | {spread[1]} | {middle[0] / middle[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
