"""Small objects in large pictures, found in the whole and in tiles: AP of one detector under settings of `predict`.

Run ``python benchmarks/tiles.py`` (about four minutes). Squares and discs of 14 to 26 px are drawn on noise: 160
pictures of the detector's input size to train on, and 24 of 1024 x 768 px to be judged on, which the detector sees
shrunk to a quarter of their width. AP and seconds of ``detray evaluate`` in this process, all from one training.
"""

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from detray import cli
from detray.store import Store

INPUT = (256, 192)
LARGE = (1024, 768)
WAYS = {
    "whole pictures": [],
    "and mirrored": ["predict.flip=true"],
    "tiles of 256 x 192": ["predict.tiles={width: 256, height: 192, overlap: 0.2}"],
    "tiles alone": ["predict.tiles={width: 256, height: 192, overlap: 0.2, whole: false}"],
    "tiles that do not overlap": ["predict.tiles={width: 256, height: 192, overlap: 0}"],
    "tiles, and mirrored": ["predict.tiles={width: 256, height: 192, overlap: 0.2}", "predict.flip=true"],
}


def draw(folder: Path, count: int, size: tuple[int, int], objects: int, seed: int) -> Path:
    """Pictures of as many objects each that do not touch, and their COCO annotations."""
    random = np.random.default_rng(seed)
    folder.mkdir()
    images, annotations = [], []
    for number in range(1, count + 1):
        pixels = random.integers(60, 130, (size[1], size[0], 3), np.uint8)
        taken = np.zeros((size[1], size[0]), bool)
        for _ in range(objects):
            side = int(random.integers(14, 27))
            x, y = (int(random.integers(0, limit - side)) for limit in size)
            if taken[y : y + side, x : x + side].any():
                continue
            taken[y : y + side, x : x + side] = True
            kind, colour = int(random.integers(1, 3)), [int(value) for value in random.integers(120, 256, 3)]
            if kind == 1:
                cv2.rectangle(pixels, (x, y), (x + side - 1, y + side - 1), colour, -1)
            else:
                cv2.circle(pixels, (x + side // 2, y + side // 2), side // 2, colour, -1)
            box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind} | box)
        name = f"{number:04d}.png"
        cv2.imwrite(str(folder / name), pixels)
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
    categories = [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}]
    path = folder.with_suffix(".json")
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def run(verb: str, *arguments: str) -> float:
    """Seconds of a command; what it says is not shown."""
    start = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = cli.main([verb, "--serial", *arguments])
    if code:
        raise SystemExit(f"{verb} failed: {errors.getvalue()[-500:]}")
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="detray-tiles-"))
    try:
        train, val = draw(folder / "train", 160, INPUT, 12, 1), draw(folder / "val", 24, LARGE, 60, 2)
        splits = {p.stem: {"annotations": str(p), "images": str(p.with_suffix(""))} for p in (train, val)}
        configuration = folder / "tiles.yaml"
        configuration.write_text(json.dumps({"dataset": {"splits": splits}, "train": {"epochs": options.epochs}}))
        more = ("--config", str(configuration), "--output", str(folder / "out"))
        print(f"training: {run('train', *more):.0f} s")
        model = f"detector.path={folder}/out/train/model"
        print("| | AP | AP50 | s to evaluate |\n|---|---|---|---|")
        for words, settings in WAYS.items():
            chosen = [part for one in (model, *settings) for part in ("--set", one)]
            seconds = run("evaluate", *more, "--force", *chosen)
            rows = Store(str(folder / "out")).read("summary_metrics").to_pylist()
            found = {row["metric"]: row["value"] for row in rows}
            print(f"| {words} | {found['AP']:.3f} | {found['AP50']:.3f} | {seconds:.1f} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
