"""Annotation audit from COCO JSON to findings: detray, a one-core floor, and Datumaro's validator.

Run ``python benchmarks/audit.py`` (about half an hour). ``--sizes 1 4 10`` gives millions of annotations,
``--classes 80 1200`` the class counts, ``--repeats`` the interleaved runs of which medians are shown, ``--modes``
whether detray runs on Ray, in one process, or both. ``--datumaro PYTHON`` names an interpreter that has Datumaro
(tried with 1.13), which needs other library versions than detray; it then runs at the smallest size and the first
class count, with an empty mask in each annotation, which it requires. The marginal cost of a million is that
between the two smallest sizes. CPU is of all processes of a run, memory their proportional set size, sampled ten
times a second and twice.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BOXES_PER_IMAGE = 20
WIDTH, HEIGHT = 640, 480
CHUNK = 500_000
MOST_FOR_FLOOR = 4
"""Million annotations: the floor holds everything in memory."""
MARK = "DETRAY_BENCHMARK"
"""In the environment of a run's processes, so that those of Ray are found, too."""
MEMORY_EVERY = 5
"""Looks at the processes, of which each takes the kernel milliseconds to add up."""


def write_dataset(path: Path, annotations: int, classes: int, more: str = "") -> None:
    """A clean COCO file: log-normal boxes, Zipf classes; ``more`` is put at the end of each annotation."""
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
                f', "iscrowd": 0{more}}}',
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
import logging
import sys
from datumaro.components.dataset import Dataset
from datumaro.plugins.validators import DetectionValidator

logging.disable()
data = Dataset.import_from(sys.argv[1], "coco_instances")
options = dict(
    few_samples_thr=1, imbalance_ratio_thr=50, far_from_mean_thr=5.0, dominance_ratio_thr=0.8, topk_bins=0.1
)
report = DetectionValidator(**options).validate(data)
print(report["summary"])
"""


@dataclass(frozen=True)
class Cost:
    """Wall time and CPU time, s, and peak memory, MiB, of all processes of a run."""

    seconds: float
    cpu: float
    memory: float


def measure(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end."""
    mark = f"{os.getpid()}-{time.time_ns()}"
    process = subprocess.Popen(
        command, cwd=folder, env=os.environ | {MARK: mark}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0.0
    cpu: dict[Path, float] = {}
    known: dict[Path, bool] = {}
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        looks = 0
        while not done.wait(0.1):
            found = marked(mark, known)
            cpu.update({one: seconds for one in found if (seconds := cpu_seconds(one))})
            if looks % MEMORY_EVERY == 0:
                peak = max(peak, sum(memory_mib(one) for one in found))
            looks += 1

    watcher = threading.Thread(target=watch)
    start = time.perf_counter()
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed: {errors.decode()[-2000:]}")
    return Cost(seconds, sum(cpu.values()), peak)


def marked(mark: str, known: dict[Path, bool]) -> list[Path]:
    """The folders of the run's processes. ``known``: those that were looked at before, and whether they are its."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder not in known and (environment := (folder / "environ").read_bytes()):
                known[folder] = f"{MARK}={mark}".encode() in environment
        except OSError:
            continue
        if known.get(folder):
            found.append(folder)
    return found


def memory_mib(folder: Path) -> float:
    """The proportional set size of a process by its folder in /proc; 0 where it has ended."""
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def cpu_seconds(folder: Path) -> float:
    """The CPU time of a process by its folder in /proc; 0 where it has ended."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


Runs = dict[tuple[str, float], list[Cost]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=float, nargs="+", default=[1, 4, 10], help="millions of annotations")
    arguments.add_argument("--classes", type=int, nargs="+", default=[80, 1200], help="class counts")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--modes", nargs="+", choices=("ray", "serial"), default=["ray", "serial"])
    arguments.add_argument("--datumaro", help="interpreter that has Datumaro")
    options = arguments.parse_args()
    sizes = sorted(options.sizes)
    with tempfile.TemporaryDirectory() as place:
        for classes in options.classes:
            datumaro = options.datumaro if classes == options.classes[0] else None
            runs: Runs = {}
            for size in sizes:  # one file at a time: ten million annotations take 1.3 GB
                folder = Path(place) / f"{classes}-{size:g}"
                file = folder / "annotations" / "instances_val.json"
                file.parent.mkdir(parents=True)
                write_dataset(file, int(size * 1e6), classes)
                for _ in range(options.repeats):
                    for name, command in commands(file, options.modes, size).items():
                        shutil.rmtree(folder / "out", ignore_errors=True)  # else only the audit would run again
                        runs.setdefault((name, size), []).append(measure(command, folder))
                if datumaro and size == sizes[0]:
                    write_dataset(file, int(size * 1e6), classes, ', "segmentation": []')
                    (folder / "images").mkdir()
                    runs["Datumaro", size] = [measure([datumaro, "-c", DATUMARO, str(folder)], folder)]
                shutil.rmtree(folder)
            show(runs, classes)


def commands(file: Path, modes: Sequence[str], size: float) -> dict[str, list[str]]:
    """What is compared on a file of ``size`` million annotations."""
    detray = [sys.executable, "-m", "detray", "audit", str(file), "--format", "coco"]
    detray += ["--output", str(file.parents[1] / "out")]
    found = {}
    if "ray" in modes:
        found["detray on Ray"] = [*detray, "--address", "local"]
    if "serial" in modes:
        found["detray --serial"] = [*detray, "--serial"]
    if size <= MOST_FOR_FLOOR:
        found["floor, one core"] = [sys.executable, "-c", FLOOR, str(file)]
    return found


def show(runs: Runs, classes: int) -> None:
    """The table in Markdown, the marginal cost of a million, and what the targets are about."""
    print(f"\n{classes} classes\n\n| what | annotations | seconds, median (range) | CPU s | peak MiB |")
    print("|---|---|---|---|---|")
    for (name, size), found in sorted(runs.items()):
        seconds = [one.seconds for one in found]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        cpu, memory = statistics.median(one.cpu for one in found), max(one.memory for one in found)
        print(f"| {name} | {size:g} M | {spread} | {cpu:.1f} | {memory:.0f} |")
    print()
    for name in dict.fromkeys(name for name, _ in runs):
        sizes = sorted(size for one, size in runs if one == name)
        if len(sizes) < 2:
            continue
        first, second = sizes[:2]
        marginal, cpu = (
            (median(runs[name, second], what) - median(runs[name, first], what)) / (second - first)
            for what in ("seconds", "cpu")
        )
        memory = max(one.memory for one in runs[name, sizes[-1]]) / max(one.memory for one in runs[name, first])
        text = f"{name}: a further million costs {marginal:.2f} s ({cpu:.2f} CPU s)"
        text += f"; peak memory at {sizes[-1]:g} M is {memory:.2f} times that at {first:g} M"
        if name.startswith("detray") and ("Datumaro", first) in runs:
            ratio = median(runs["Datumaro", first]) / first / marginal
            text += f"; Datumaro's first {first:g} M cost {ratio:.0f} times as much each"
        print(text)


def median(runs: Sequence[Cost], what: str = "seconds") -> float:
    """The median of one of the costs."""
    return statistics.median(getattr(one, what) for one in runs)


if __name__ == "__main__":
    main()
