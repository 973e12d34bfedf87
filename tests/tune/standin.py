"""A training program that is none: it finds coloured squares by their colour, the better, the better its settings are.

It honours what a real one does: a configuration as JSON, YAML or pipeline.config, lists of pictures, checkpoints that
it goes on from, and it fails in the ways that programs fail, as ``mode`` says.
"""

import argparse
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def read(path: Path) -> dict:
    """The settings, of a pipeline.config by their lines."""
    text = path.read_text()
    if path.suffix == ".config":
        gamma = float(re.search(r"gamma: ([\d.]+)", text)[1])
        frozen = re.search(r"freeze_variables: \[(.*)\]", text)
        records = re.search(r"input_path: (.*)", text)[1]
        return {"loss": {"gamma": gamma}, "frozen": frozen and frozen[1], "records": records}
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


def detect(image: dict, classes: dict[str, int], error: float, random: np.random.Generator) -> list[dict]:
    pixels = np.asarray(Image.open(image["file_name"]).convert("RGB")).astype(int)
    found = []
    for name, colour in COLOURS.items():
        rows, columns = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 90)
        x, y = float(columns.min()), float(rows.min())
        width, height = float(np.ptp(columns)) + 1, float(np.ptp(rows)) + 1
        off = error * random.uniform(0.9, 1.1) * (1 if name == "blue" else 0.5)
        box = [x, y, width + off, height + off]
        found.append({"image_id": image["id"], "category_id": classes[name], "bbox": box, "score": random.random()})
    return found


def fail(mode: str, epoch: int, output: Path) -> None:
    """In the second epoch."""
    if epoch != 2:
        return
    if mode == "crash":
        raise RuntimeError("no such layer")
    if mode == "memory":
        raise MemoryError("cannot allocate 3 GB")
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path("child").write_text(str(child.pid))
        time.sleep(600)
    if mode == "diverge":
        (output / "events.out.tfevents.1").write_bytes(event("Loss/classification_loss", float("nan"), epoch))
        time.sleep(600)  # it would go on


def event(tag: str, value: float, step: int) -> bytes:
    """An event file of one point, as protobuf has it."""
    from detray.formats.tfrecord.records import framed

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    point = field(1, tag.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", value)
    return framed(bytes([2 << 3, step]) + field(5, field(1, point)))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("config", "output", "detect"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    settings = read(options.config)
    mode = settings.get("mode", "fine")
    listed = json.loads(options.detect.read_text())
    assert listed["annotations"] == []
    classes = {one["name"]: one["id"] for one in listed["categories"]}
    state = options.output / "epoch"
    first = int(state.read_text()) + 1 if state.exists() else 1
    print("settings", json.dumps(settings), "from epoch", first, flush=True)
    if "pids" in settings:
        with Path(settings["pids"]).open("a") as stream:
            stream.write(f"{os.getpid()}\n")
    if mode == "silent":
        return
    for epoch in range(first, options.epochs + 1):
        fail(mode, epoch, options.output)
        # at a gate, where one is stated
        while epoch == 3 and settings["loss"]["gamma"] != 2 and not Path(settings.get("gate", __file__)).exists():
            time.sleep(0.02)
        random = np.random.default_rng((settings.get("seed", options.seed), epoch))
        error = 1.0 + 2 * abs(settings["loss"]["gamma"] - 1.5) + 0.8 * abs(epoch - 2)
        found = [one for image in listed["images"] for one in detect(image, classes, error, random)]
        if mode == "nan":
            found[0]["score"] = float("nan")
        if mode == "strange":
            found[0]["image_id"] = 4711
        place = options.output / f"detections-{epoch}.json"
        place.with_suffix(".part").write_text(json.dumps(found))
        place.with_suffix(".part").rename(place)
        weights = options.output / f"model-{epoch}"
        weights.mkdir(exist_ok=True)
        (weights / "weights.bin").write_text(f"epoch {epoch}")
        state.write_text(str(epoch))


if __name__ == "__main__":
    main()
