"""A training program that knows nothing of detray: objects as points, after CenterNet (Zhou et al., arXiv 1904.07850).

``python points.py CONFIG TRAIN SAMPLES DETECT OUTPUT``: JSON with epochs, seed, rate and gamma; COCO JSON to train on
and to detect on, with full paths; a list of the training pictures, a path a line, each as often as it is to be seen.
After each epoch OUTPUT/detections-N.json holds COCO results.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers, ops

HEIGHT, WIDTH, STRIDE = 192, 256, 4
BATCH, MOST, LEAST_SCORE = 8, 100, 0.01
BACKGROUND = -2.19
"""The logit of .1, at which all places start."""
Json = dict[str, Any]


def network(classes: int) -> keras.Model:
    """Pictures to a map of a logit for each class, and the centre's offset and the box's sides in strides."""

    def block(x: Any, filters: int, stride: int) -> Any:
        x = layers.SeparableConv2D(filters, 3, stride, "same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    pictures = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.ReLU()(layers.Conv2D(24, 3, 2, "same")(layers.Rescaling(1 / 127.5, -1)(pictures)))
    levels = []
    for filters in (48, 96, 128):
        x = block(block(x, filters, 2), filters, 1)
        levels.append(x)
    for level in levels[-2::-1]:
        filters = level.shape[-1]
        x = block(layers.UpSampling2D()(block(x, filters, 1)) + level, filters, 1)
    x = block(x, 64, 1)
    logits = layers.Conv2D(classes, 1, bias_initializer=keras.initializers.Constant(BACKGROUND))(x)
    return keras.Model(pictures, layers.Concatenate()([logits, layers.Conv2D(4, 1)(x)]))


def loss_of(classes: int, gamma: float) -> Any:
    """The paper's focal loss, its exponent of four for places near a centre, and L1 of boxes at centres."""

    def loss(true: Any, said: Any) -> Any:
        heat, boxes, centre = true[..., :classes], true[..., classes:-1], true[..., -1:]
        p = ops.clip(ops.sigmoid(said[..., :classes]), 1e-4, 1 - 1e-4)
        is_peak = ops.cast(heat >= 0.999, p.dtype)
        hit = is_peak * (1 - p) ** gamma * ops.log(p)
        miss = (1 - is_peak) * (1 - heat) ** 4 * p**gamma * ops.log(1 - p)
        away = centre * ops.abs(boxes - said[..., classes:])
        return (0.1 * ops.sum(away) - ops.sum(hit + miss)) / ops.maximum(ops.sum(is_peak), 1)

    return loss


def target(boxes: Sequence[tuple[int, Sequence[float]]], classes: int) -> np.ndarray:
    """What the network is to say of boxes x, y, width, height in pixels of the input, each with its class's place:
    ``[HEIGHT / STRIDE, WIDTH / STRIDE, classes + 5]``, a heat for each class, the box in strides, and 1 at centres."""
    rows, columns = HEIGHT // STRIDE, WIDTH // STRIDE
    made = np.zeros((rows, columns, classes + 5), np.float32)
    y, x = np.mgrid[:rows, :columns]
    for place, box in boxes:
        left, top, width, height = (side / STRIDE for side in box)
        across, down = left + width / 2, top + height / 2
        column, row = min(int(across), columns - 1), min(int(down), rows - 1)
        spread = 2 * (max(min(width, height) / 6, 0.5)) ** 2
        heat = np.exp(-((x - column) ** 2 + (y - row) ** 2) / spread)
        made[..., place] = np.maximum(made[..., place], heat)
        made[row, column, classes:] = (across - column, down - row, width, height, 1)
    return made


def read(document: Json) -> dict[str, tuple[np.ndarray, list[tuple[int, list[float]]], Json]]:
    """By path a picture in the input's size, its boxes, and what the document says of it."""
    places = {one["id"]: place for place, one in enumerate(document["categories"])}
    own: dict[int, list[Json]] = {}
    for row in document.get("annotations", []):
        own.setdefault(row["image_id"], []).append(row)
    found = {}
    for image in document["images"]:
        picture = cv2.cvtColor(cv2.imread(image["file_name"]), cv2.COLOR_BGR2RGB)
        scale = WIDTH / picture.shape[1], HEIGHT / picture.shape[0]
        boxes = [
            (places[row["category_id"]], [side * scale[k % 2] for k, side in enumerate(row["bbox"])])
            for row in own.get(image["id"], [])
        ]
        resized = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        found[image["file_name"]] = (resized, boxes, image | {"scale": scale})
    return found


def batches(pictures: Mapping[str, Any], samples: list[str], classes: int, random: Any) -> Iterator[Any]:
    """An epoch, each picture mirrored every second time."""
    for start in range(0, len(samples) - BATCH + 1, BATCH):
        inputs, targets = [], []
        for path in samples[start : start + BATCH]:
            picture, boxes, _ = pictures[path]
            made = picture
            if random.random() < 0.5:
                made = picture[:, ::-1]
                boxes = [(place, [WIDTH - x - w, y, w, h]) for place, (x, y, w, h) in boxes]
            inputs.append(made)
            targets.append(target(boxes, classes))
        yield np.stack(inputs), np.stack(targets)


def detect(model: keras.Model, pictures: Mapping[str, Any], categories: list[Json]) -> list[Json]:
    """COCO results: the peaks of each class's map."""
    results: list[Json] = []
    for picture, _, image in pictures.values():
        said = np.asarray(model(picture[None].astype(np.float32), training=False))[0]
        scores, boxes = 1 / (1 + np.exp(-said[..., :-4])), said[..., -4:]
        peaks = np.stack([cv2.dilate(one, np.ones((3, 3))) for one in np.moveaxis(scores, 2, 0)], axis=2)
        row, column, place = np.nonzero((scores == peaks) & (scores >= LEAST_SCORE))
        best = np.argsort(-scores[row, column, place], kind="stable")[:MOST]
        for r, c, k in zip(row[best].tolist(), column[best].tolist(), place[best].tolist(), strict=True):
            dx, dy, width, height = np.maximum(boxes[r, c], [0, 0, 0.25, 0.25]).tolist()
            sides = (c + dx - width / 2, r + dy - height / 2, width, height)
            box = [side * STRIDE / image["scale"][n % 2] for n, side in enumerate(sides)]
            score = float(scores[r, c, k])
            results.append({"image_id": image["id"], "category_id": categories[k]["id"], "bbox": box, "score": score})
    return results


def main() -> None:
    config, train, samples, to_detect, output = map(Path, sys.argv[1:])
    settings, document, judged = (json.loads(file.read_text()) for file in (config, train, to_detect))
    keras.utils.set_random_seed(settings["seed"])
    random, classes = np.random.default_rng(settings["seed"]), len(document["categories"])
    pictures, others, paths = read(document), read(judged), samples.read_text().splitlines()
    model = network(classes)
    model.compile(keras.optimizers.Adam(settings["rate"], clipnorm=10.0), loss_of(classes, settings["gamma"]))
    for epoch in range(1, settings["epochs"] + 1):
        random.shuffle(paths)
        for inputs, targets in batches(pictures, paths, classes, random):
            model.train_on_batch(inputs, targets)
        part = output / "part"
        part.write_text(json.dumps(detect(model, others, document["categories"])))
        part.rename(output / f"detections-{epoch}.json")


if __name__ == "__main__":
    main()
