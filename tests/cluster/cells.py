"""Pictures of blood cells with Pascal VOC's XML, as BCCD has them, drawn; and a configuration of a short whole run."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE = (320, 240)
CLASSES = {"RBC": (24, (205, 120, 125)), "WBC": (44, (120, 70, 150)), "Platelets": (9, (150, 90, 170))}
"""Radius in pixels, and colour."""
PICTURES = {"train": 12, "val": 8, "test": 4} | {f"test{number:02d}": 2 for number in range(18)}
"""Of each split, which is a shard: enough tasks for three hosts to get some each."""


def write(folder: Path, root: str) -> None:
    """The data set and ``config.yaml``, in which it lies at ``root``."""
    for name in ("Annotations", "JPEGImages", "ImageSets"):
        (folder / name).mkdir()
    random = np.random.default_rng(0)
    for split, count in PICTURES.items():
        names = [f"BloodImage_{split}_{number:05d}" for number in range(count)]
        (folder / "ImageSets" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            _draw(folder, name, random)
    split = {"format": "voc", "annotations": "Annotations", "images": "JPEGImages"}
    config = {
        "name": "cells",
        "dataset": {"root": root, "splits": {one: split | {"list": f"ImageSets/{one}.txt"} for one in PICTURES}},
        "detector": {"input_height": 64, "input_width": 96},
        "train": {"epochs": 2, "batch_size": 4, "augmentation": "none"},
        "predict": {"splits": [*PICTURES][1:], "score_threshold": 0.01, "max_detections": 20},
        "tune": {"focus": ["WBC"], "trials": 2, "proof_seeds": 1, "scheduler": "none", "search": "random",
                 "space": {"focal_gamma": [1.0, 1.5]}},
        "evaluate": {"bootstrap": 50},
        "cluster": {"min_free_gib": 0},
    }  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps(config))


def _draw(folder: Path, name: str, random: np.random.Generator) -> None:
    noise = random.integers(215, 245, (SIZE[1], SIZE[0], 3), np.uint8)
    picture = Image.fromarray(noise)
    pen, objects = ImageDraw.Draw(picture), []
    for _ in range(int(random.integers(4, 9))):
        label = str(random.choice(list(CLASSES), p=[0.7, 0.2, 0.1]))
        radius, colour = CLASSES[label]
        x, y = (int(random.integers(1, side - 2 * radius - 1)) for side in SIZE)
        box = (x, y, x + 2 * radius, y + 2 * radius)
        pen.ellipse(box, fill=colour)
        objects.append((label, box))
    if random.random() < 0.2:
        objects.append(objects[0])  # drawn twice
    picture.save(folder / "JPEGImages" / f"{name}.jpg", quality=90)
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        "</bndbox></object>"
        for label, (x, y, right, bottom) in objects
    )
    (folder / "Annotations" / f"{name}.xml").write_text(
        f"<annotation><filename>{name}.jpg</filename><size><width>{SIZE[0]}</width><height>{SIZE[1]}</height>"
        f"<depth>3</depth></size>{boxes}</annotation>"
    )
