"""Requests of each stage to an object store, and pictures read from it against a plain thread pool.

Run ``python benchmarks/object_store.py`` (two minutes). The store is moto's S3 on this machine (`tests/s3.py`), which
counts. ``--splits`` is the number of splits, each a shard of ``--pictures`` pictures with two boxes each; detections
are given. Data lie in the store, or on the disk (``--local``); results in the store, in one process.

``--read N``: N small pictures (2 kB) are read through `detray.pictures` as audit and predict do, and by 64 threads with
pyarrow alone, three times in turn; each answer is ``--seconds`` late, as that of a store that is
far away. The share is that of the best rates.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import s3  # noqa: E402 - of the tests

THREADS = 64
STAGES = ("ingest", "audit", "predict", "evaluate", "diagnose", "clean", "report")
KINDS = ("GET", "HEAD", "LIST", "PUT", "MULTIPART", "COPY", "MARKER", "DELETE", "POST")


def draw(folder: Path, splits: int, pictures: int) -> list[str]:
    """Pictures, COCO files and detections, and a configuration; what is to be uploaded."""
    random = np.random.default_rng(0)
    detections, stated = [], {}
    for split in [f"{n:02d}" for n in range(splits)]:
        name = {"00": "train", "01": "val"}.get(split, f"test{split}")
        images, boxes = [], []
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(1, pictures + 1):
            image = int(split) * pictures + number
            Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(
                folder / f"pictures/{name}/{image}.png"
            )
            images.append({"id": image, "file_name": f"{name}/{image}.png", "width": 64, "height": 64})
            for place in range(2):
                box = [float(value) for value in (*random.uniform(0, 30, 2), *random.uniform(5, 30, 2))]
                boxes.append({"id": image * 2 + place, "image_id": image, "category_id": 1 + place, "bbox": box,
                              "area": box[2] * box[3], "iscrowd": 0})  # fmt: skip
                if name == "val":
                    detections.append({"image_id": image, "category_id": 1 + place, "bbox": box, "score": 0.5})
        content = {"images": images, "annotations": boxes,
                   "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(content))
        stated[name] = {"annotations": f"{name}.json", "images": "pictures"}
    (folder / "detections.json").write_text(json.dumps(detections))
    config = {
        "dataset": {"root": str(folder), "splits": stated},
        "detector": {"kind": "predictions", "path": str(folder / "detections.json")},
        "cluster": {"min_free_gib": 0},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def upload(server: s3.Server, folder: Path, names: list[str], to: str) -> None:
    from detray.store import Store

    os.environ.update(server.environment)
    store = Store(f"s3://{s3.BUCKET}/{to}")
    for name in names:
        store.write_bytes((folder / name).read_bytes(), name)


def count(splits: int, pictures: int, *, local: bool) -> None:
    """Print the requests of each stage."""
    with tempfile.TemporaryDirectory() as place, s3.running() as server:
        folder = Path(place)
        names = draw(folder, splits, pictures)
        more = []
        if not local:
            upload(server, folder, names, "data")
            more = ["--set", f"dataset.root=s3://{s3.BUCKET}/data"]
            more += ["--set", f"detector.path=s3://{s3.BUCKET}/data/detections.json"]
        total: Counter[str] = Counter()
        print(f"| stage | all | {' | '.join(KINDS)} | s |\n|---|---|{'---|' * (len(KINDS) + 1)}")
        for stage in STAGES:
            server.counts()
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "detray", stage, "--config", folder / "config.yaml", "--serial",
                 "--output", f"s3://{s3.BUCKET}/out", *more],
                env=os.environ | server.environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{stage}: {done.returncode}\n{done.stdout}{done.stderr}")
            own = server.counts()
            total += own
            show(stage, own, f"{time.perf_counter() - start:.1f}")
        show("all", total, "")


def read(pictures: int, seconds: float) -> None:
    """Print the pictures a second through `detray.pictures`, and through a pool of threads."""
    from detray import cache, remote
    from detray import pictures as reading

    with tempfile.TemporaryDirectory() as place, s3.running() as server:
        os.environ.update(server.environment | {cache.FOLDER: f"{place}/cache"})
        names = [f"{s3.BUCKET}/{number:05d}.jpg" for number in range(pictures)]
        fs, _ = remote.opened(f"s3://{s3.BUCKET}/")

        def put(name: str) -> None:
            with fs.open_output_stream(name) as stream:
                stream.write(b"x" * 2000)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(put, names))
        server.behave(seconds=seconds)

        def plain() -> int:
            def one(name: str) -> bytes:
                with fs.handler.inner.open_input_file(name) as stream:
                    return stream.read()

            with ThreadPoolExecutor(THREADS) as pool:
                return sum(map(len, pool.map(one, names)))

        def ours() -> int:
            paths = reading.fetching([f"s3://{name}" for name in names])
            return sum(map(len, map(reading.read_file, paths)))

        rates: dict[str, list[float]] = {"thread pool": [], "detray": []}
        for _ in range(3):
            for name, function in (("thread pool", plain), ("detray", ours)):
                shutil.rmtree(f"{place}/cache", ignore_errors=True)
                Path(f"{place}/cache").mkdir()
                start = time.perf_counter()
                if function() != 2000 * pictures:
                    sys.exit(f"{name}: not all was read")
                rates[name].append(pictures / (time.perf_counter() - start))
        for name, found in rates.items():
            print(f"{name}: {', '.join(f'{rate:.0f}' for rate in found)} pictures/s")
        print(f"share: {max(rates['detray']) / max(rates['thread pool']):.2f}")


def show(stage: str, counts: Counter[str], seconds: str) -> None:
    print(f"| {stage} | {counts.total()} | {' | '.join(str(counts[kind]) for kind in KINDS)} | {seconds} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=24)
    parser.add_argument("--pictures", type=int, default=4, help="of each split")
    parser.add_argument("--local", action="store_true", help="data on the disk, only results in the store")
    parser.add_argument("--read", type=int, metavar="N", help="only read N pictures")
    parser.add_argument("--seconds", type=float, default=0.02, help="that each answer is late")
    options = parser.parse_args()
    if options.read:
        read(options.read, options.seconds)
        return
    count(options.splits, options.pictures, local=options.local)


if __name__ == "__main__":
    main()
