"""Annotation audit from COCO JSON to findings: detray, a one-core floor, and Datumaro's validator.

Run ``python benchmarks/audit.py`` (about ten minutes). ``--sizes 1 4 10`` gives millions of annotations,
``--classes 80 1200`` the class counts, ``--repeats`` the interleaved runs of which medians are shown.
``--datumaro PYTHON`` names an interpreter that has Datumaro, which needs other library versions than
detray; it then runs at the smallest size. The marginal cost of a million is that between the two smallest.
Memory is the proportional set size of all processes of a run, sampled ten times a second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BOXES_PER_IMAGE = 20
WIDTH, HEIGHT = 640, 480
CHUNK = 500_000
MARK = "DETRAY_BENCHMARK"
"""In the environment of a run's processes, so that those of Ray are found, too."""


def write_dataset(path: Path, annotations: int, classes: int) -> None:
    """A clean COCO file: log-normal boxes, Zipf classes."""
    rng = np.random.default_rng(0)
    images = annotations // BOXES_PER_IMAGE
    weights = 1 / np.arange(1, classes + 1)
    with path.open("wb") as file:
        file.write(b'{"images": [')
        ids = _text(np.arange(1, images + 1))
        _rows(file, '{"id": ', ids, ', "file_name": "', ids, f'.jpg", "width": {WIDTH}, "height": {HEIGHT}}}')
        file.write(b'], "annotations": [')
        for start in range(0, annotations, CHUNK):
            n = min(CHUNK, annotations - start)
            width, height = (np.minimum(np.exp(rng.normal(3.5, 0.8, n)), 0.9 * full) for full in (WIDTH, HEIGHT))
            x, y = rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height)
            sides = [_text(np.floor(side * 100) / 100) for side in (x, y, width, height)]
            number = np.arange(start, start + n)
            category = rng.choice(classes, n, p=weights / weights.sum()) + 1
            if start:
                file.write(b", ")
            _rows(
                file,
                '{"id": ', _text(number + 1),
                ', "image_id": ', _text(number // BOXES_PER_IMAGE + 1),
                ', "category_id": ', _text(category),
                ', "bbox": [', sides[0], ", ", sides[1], ", ", sides[2], ", ", sides[3],
                '], "area": ', _text(np.floor(width * height * 100) / 100),
                ', "iscrowd": 0}',
            )  # fmt: skip
        names = [{"id": number, "name": f"class {number}"} for number in range(1, classes + 1)]
        file.write(b'], "categories": ' + json.dumps(names).encode() + b"}")


def _text(values: np.ndarray) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _rows(file: object, *parts: pa.Array | str) -> None:
    rows = pc.binary_join_element_wise(*parts, "")
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(rows)], rows), ", ")
    file.write(joined[0].as_buffer())  # type: ignore[attr-defined]  # a binary file


FLOOR = """
import sys
import msgspec
import numpy as np

class Image(msgspec.Struct, gc=False):
    id: int
    width: int
    height: int

class Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: int

class Category(msgspec.Struct):
    id: int

class File(msgspec.Struct):
    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]

data = msgspec.json.decode(open(sys.argv[1], "rb").read(), type=File)
rows = data.annotations
column = lambda name, kind: np.fromiter((getattr(row, name) for row in rows), kind, len(rows))
ids, images, classes = (column(name, np.int64) for name in ("id", "image_id", "category_id"))
area = column("area", np.float64)
box = np.array([row.bbox for row in rows])
known = np.array([image.id for image in data.images])
size = np.array([(image.width, image.height) for image in data.images], float)
order = np.argsort(known)
place = order[np.searchsorted(known, images, sorter=order).clip(max=len(known) - 1)]
found = [
    ~np.isfinite(box).all(axis=1),
    (box[:, 2:] <= 0).any(axis=1),
    (box[:, 2:] < 1).any(axis=1),
    (box[:, :2] < 0).any(axis=1),
    (box[:, :2] + box[:, 2:] > size[place] + 0.5).any(axis=1),
    known[place] != images,
    ~np.isin(classes, [one.id for one in data.categories]),
    area > (box[:, 2] + 1) * (box[:, 3] + 1),
]
unique, n = np.unique(ids, return_counts=True)
found.append(n > 1)
_, n = np.unique(np.column_stack([images, classes, box]), axis=0, return_counts=True)
found.append(n > 1)
print([int(one.sum()) for one in found])
"""

DATUMARO = """
import sys
from datumaro.components.dataset import Dataset
from datumaro.plugins.validators import DetectionValidator

data = Dataset.import_from(sys.argv[1], "coco_instances")
options = dict(
    few_samples_thr=1, imbalance_ratio_thr=50, far_from_mean_thr=5.0, dominance_ratio_thr=0.8, topk_bins=0.1
)
report = DetectionValidator(**options).validate(data)
print(report["summary"])
"""


def measure(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds of wall time, and peak memory of all its processes in MiB."""
    mark = f"{os.getpid()}-{time.time_ns()}"
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | {MARK: mark}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, sum(_memory(pid) for pid in _marked(mark)))

    watcher = threading.Thread(target=watch)
    start = time.perf_counter()
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed: {errors.decode()[-2000:]}")
    return seconds, peak


def _marked(mark: str) -> list[Path]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(folder)
        except OSError:
            continue
    return found


def _memory(folder: Path) -> float:
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=float, nargs="+", default=[1, 4], help="millions of annotations")
    arguments.add_argument("--classes", type=int, nargs="+", default=[80], help="class counts")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--serial", action="store_true", help="detray in one process as well")
    arguments.add_argument("--datumaro", help="interpreter that has Datumaro")
    options = arguments.parse_args()
    detray = [sys.executable, "-m", "detray.cli", "audit"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for classes in options.classes:
            table: dict[tuple[str, float], list[tuple[float, float]]] = {}
            files = {size: folder / f"{size:g}m" / "annotations" / "instances_val.json" for size in options.sizes}
            for size, file in files.items():
                file.parent.mkdir(parents=True)
                write_dataset(file, int(size * 1e6), classes)
            for repeat in range(options.repeats):
                for size, file in files.items():
                    output = ["--output", str(folder / "out"), "--force"]
                    runs = {"detray": [*detray, str(file), "--format", "coco", *output]}
                    if options.serial:
                        runs["detray --serial"] = [*runs["detray"], "--serial"]
                    if size <= 4:
                        runs["floor, one core"] = [sys.executable, "-c", FLOOR, str(file)]
                    if options.datumaro and size == min(options.sizes) and repeat == 0:
                        runs["Datumaro"] = [options.datumaro, "-c", DATUMARO, str(file.parents[1])]
                    for name, command in runs.items():
                        table.setdefault((name, size), []).append(measure(command, folder))
            show(table, classes)
            for file in files.values():
                file.unlink()
                file.parent.rmdir()


def show(table: dict[tuple[str, float], list[tuple[float, float]]], classes: int) -> None:
    """The table in Markdown, and the marginal cost of a million."""
    print(f"\n{classes} classes\n\n| what | annotations | seconds, median (range) | peak MiB |\n|---|---|---|---|")
    for (name, size), runs in sorted(table.items()):
        seconds = [second for second, _ in runs]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"| {name} | {size:g} M | {spread} | {max(memory for _, memory in runs):.0f} |")
    for name in dict.fromkeys(name for name, _ in table):
        sizes = sorted(size for one, size in table if one == name)
        if len(sizes) > 1:
            first, second = (statistics.median(run[0] for run in table[name, size]) for size in sizes[:2])
            print(f"\n{name}: a further million costs {(second - first) / (sizes[1] - sizes[0]):.2f} s")


if __name__ == "__main__":
    main()
