"""The page of a large evaluation: seconds to write it, its size without pictures, and when a browser paints it.

Run ``python benchmarks/report.py`` (some minutes). ``--images`` and ``--classes`` give the size; the scene is that of
``benchmarks/evaluate.py``, 100 detections and 7.25 boxes an image. Seconds are CPU seconds of ``detray report`` with
everything that it imports, the median of ``--repeats`` runs; the paint is Chromium's first contentful paint of the page
opened from disk, the fastest of five, and is left out where there is no Chromium.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from evaluate import PER_IMAGE, write_json

MEBIBYTE = 1 << 20
PAINTS = 5


def main() -> None:
    """Print what the page costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder, options.images * PER_IMAGE, options.classes)
        output = ["--output", str(folder / "out"), "--serial"]
        _detray("diagnose", str(folder / "gt.json"), str(folder / "dt.json"), *output)
        _detray("audit", *output)
        seconds = [_detray("report", *output, "--force") for _ in range(options.repeats)]
        page = folder / "out" / "report" / "index.html"
        size = len(re.sub(r'href="data:[^"]*"', "", page.read_text("utf-8")).encode())
        print(f"{options.images:,} images, {options.classes} classes")
        print(f"report: {statistics.median(seconds):.1f} s CPU ({min(seconds):.1f} to {max(seconds):.1f})")
        print(f"page: {size / MEBIBYTE:.2f} MiB without pictures")
        print(f"first paint: {_painted(page, folder)}")


def _detray(*arguments: str) -> float:
    """Run a verb; its CPU seconds."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "detray", *arguments, "--json"], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _painted(page: Path, folder: Path) -> str:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
    from browser import CHROMIUM, Browser

    if CHROMIUM is None:
        return "no Chromium on this machine"
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    times = []
    with Browser(folder / "profile") as tab:
        for _ in range(PAINTS):
            tab.open(page)
            tab.wait(f"{paint} > 0")
            times.append(tab.run(paint))
    return f"{min(times):.0f} ms (the slowest of {PAINTS}: {max(times):.0f})"


if __name__ == "__main__":
    main()
