"""The image pass against a bare decode loop: pictures a second beyond start-up, on as many processes.

Run ``python benchmarks/images.py`` (about three minutes). JPEGs of 640 x 480 pixels are drawn; the bare loop is a
multiprocessing pool in which Pillow decodes them to RGB arrays and nothing else. ``detray audit --images`` ingests,
runs all rules, and decodes, checks, hashes and measures each picture. Both run on ``--pictures`` and on a third
of them; what the difference takes is the cost beyond start-up. Medians of ``--repeats`` interleaved runs.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from audit import Cost, measure, median

WIDTH, HEIGHT = 640, 480

BARE = """
import sys
from multiprocessing import Pool
from pathlib import Path
import numpy as np
from PIL import Image

def decode(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).shape[0]

if __name__ == "__main__":
    paths = sorted(Path(sys.argv[1]).glob("*.jpg"))
    with Pool(int(sys.argv[2])) as pool:
        assert sum(pool.imap_unordered(decode, paths, chunksize=16)) == 480 * len(paths)
"""


def write_pictures(folder: Path, count: int, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """JPEGs of smooth colours under fine grain (90 kB at 640 x 480 px), and a COCO file with a box in each."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    grain = rng.normal(0, 8, (height, width, 3))
    for number in range(count):
        colours = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
        picture = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC) + np.roll(grain, number, axis=1)
        name = str(folder / "images" / f"{number:06d}.jpg")
        cv2.imwrite(name, np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    data = {
        "images": [
            {"id": number, "file_name": f"{number:06d}.jpg", "width": width, "height": height}
            for number in range(count)
        ],
        "annotations": [
            {"id": number + 1, "image_id": number, "category_id": 1, "bbox": [9, 9, 90, 60], "area": 5400, "iscrowd": 0}
            for number in range(count)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (folder / "annotations.json").write_text(json.dumps(data))
    return folder


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", type=int, default=3000)
    arguments.add_argument("--workers", type=int, default=2, help="processes of the bare loop; as many as Ray has CPUs")
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    counts = (options.pictures // 3, options.pictures)
    with tempfile.TemporaryDirectory() as place:
        folders = {count: write_pictures(Path(place) / str(count), count) for count in counts}
        (Path(place) / "bare.py").write_text(BARE)
        costs: dict[tuple[str, int], list[Cost]] = {}
        for _ in range(options.repeats):
            for count, folder in folders.items():
                detray = [sys.executable, "-m", "detray", "audit", str(folder / "annotations.json")]
                detray += ["--images", str(folder / "images"), "--output", str(folder / "out")]
                bare = [sys.executable, str(Path(place) / "bare.py"), str(folder / "images")]
                runs = {
                    f"bare loop, {options.workers} processes": [*bare, str(options.workers)],
                    "detray on Ray": [*detray, "--address", "local"],
                    "bare loop, 1 process": [*bare, "1"],
                    "detray --serial": [*detray, "--serial"],
                }
                for name, command in runs.items():
                    shutil.rmtree(folder / "out", ignore_errors=True)
                    costs.setdefault((name, count), []).append(measure(command, folder))
    print(f"| what | {counts[0]} pictures, s | {counts[1]}, s | pictures/s between | of the bare loop | CPU ms each |")
    print("|---|---|---|---|---|---|")
    base = 0.0
    for name in dict.fromkeys(name for name, _ in costs):
        first, second = (median(costs[name, count]) for count in counts)
        cpu = (median(costs[name, counts[1]], "cpu") - median(costs[name, counts[0]], "cpu")) / (counts[1] - counts[0])
        rate = (counts[1] - counts[0]) / (second - first)
        base = rate if name.startswith("bare") else base
        print(f"| {name} | {first:.1f} | {second:.1f} | {rate:.0f} | {rate / base:.2f} | {1000 * cpu:.2f} |")


if __name__ == "__main__":
    main()
