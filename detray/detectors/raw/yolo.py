"""The single output of YOLO models: a column, or a row, for each anchor."""

import numpy as np

from detray.arrays import Floats


def split_yolo(output: Floats, names: int | None) -> tuple[Floats, Floats]:
    """Boxes ``[a, 4]``, centre x, centre y, width, height in the output's unit, and scores ``[a, c]``.

    Args:
        output: of one picture: ``[4 + c, a]`` of Ultralytics, or ``[a, 5 + c]`` of YOLOv5, whose fifth number is
            whether there is an object, by which the scores are multiplied.
        names: c, where the model says it.

    Source: Ultralytics, ``utils/nms.py``; YOLOv5, ``utils/general.py``.
    """
    if is_columns(output.shape, names):
        return output[:4].T, output[4:].T
    return output[:, :4], output[:, 5:] * output[:, 4:5]


def is_columns(shape: tuple[int, ...], names: int | None) -> bool:
    """Whether an output ``[k, a]`` or ``[a, k]`` has a column for each anchor."""
    return shape[0] == 4 + names if names is not None and 4 + names in shape else shape[0] < shape[1]


def split_ended(output: Floats) -> tuple[Floats, Floats, Floats]:
    """Boxes ``[n, 4]`` as xmin, ymin, xmax, ymax, scores and classes of an output ``[n, 6]`` after suppression.

    Source: Ultralytics' exports with ``nms`` or of models that are trained end to end.
    """
    return output[:, :4], output[:, 4], np.asarray(output[:, 5])
