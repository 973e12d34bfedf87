"""``.keras`` files that find what is red and what is green, made of Keras's own layers and operations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from detray.detectors.runtime import tensorflow

Answer = Callable[[Any], Any]
HEIGHT, WIDTH = 64, 96


def write(folder: Path, answer: Answer, *, rescaled: bool = False) -> Path:
    """A functional model that ``answer``s pictures of 0 to 255, or of what a first layer makes of them."""
    _, keras = tensorflow()
    pictures = keras.Input((HEIGHT, WIDTH, 3), name="pictures")
    values = keras.layers.Rescaling(1.0)(pictures) if rescaled else pictures
    keras.Model(pictures, answer(values)).save(folder / "model.keras")
    return folder / "model.keras"


def colours(pixels: Any) -> tuple[Any, Any]:
    """Corners ``[b, 2, 4]``, xmin, ymin, xmax, ymax as shares, and scores ``[b, 2]``, 0 where nothing is."""
    _, keras = tensorflow()
    ops = keras.ops
    corners, scores = [], []
    for channel, sure in ((0, 0.9), (1, 0.8)):
        others = ops.maximum(pixels[..., 1 - channel], pixels[..., 2])
        mask = ops.cast(pixels[..., channel] - others > 100.0, "float32")
        spans = [_span(ops.max(mask, axis=axis), side) for axis, side in ((1, WIDTH), (2, HEIGHT))]
        (left, right), (top, bottom) = spans
        corners.append(ops.stack([left, top, right, bottom], axis=1))
        scores.append(sure * ops.max(mask, axis=(1, 2)))
    return ops.stack(corners, axis=1), ops.stack(scores, axis=1)


def _span(mask: Any, side: int) -> tuple[Any, Any]:
    _, keras = tensorflow()
    place = keras.ops.cumsum(keras.ops.ones_like(mask), axis=1)
    first = keras.ops.max(mask * (side + 1.0 - place), axis=1)
    return 1.0 - first / side, keras.ops.max(mask * place, axis=1) / side


def api(pixels: Any) -> dict[str, Any]:
    """Outputs that are called as the Object Detection API calls them, classes from 1."""
    _, keras = tensorflow()
    corners, scores = colours(pixels)
    none = 0.0 * scores[:, 0]
    return {
        "detection_boxes": keras.ops.stack([corners[..., side] for side in (1, 0, 3, 2)], axis=2),
        "detection_scores": scores,
        "detection_classes": keras.ops.stack([none + 1.0, none + 2.0], axis=1),
    }


def named(pixels: Any) -> dict[str, Any]:
    """A score of each class for each box, corners as shares."""
    _, keras = tensorflow()
    corners, scores = colours(pixels)
    red, green = scores[:, 0], scores[:, 1]
    by_class = [keras.ops.stack([red, 0.0 * red], axis=1), keras.ops.stack([0.0 * green, green], axis=1)]
    return {"boxes": corners, "scores": keras.ops.stack(by_class, axis=1)}
