"""Pictures and boxes as the training takes them: resized, in arrays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.detectors.settings import DetectorSettings
from detray.tables import Shard

CROWD = -1
"""Label of a crowd region: anchors on it are neither object nor background."""


@dataclass(frozen=True)
class TrainingData:
    """Resized pictures and their boxes.

    ``images``: uint8 ``[n, height, width, 3]`` RGB at the detector's input size, in memory or
    mapped from a temporary file; ``image_ids``: ``[n]``; ``sizes``: ``[n, 2]`` width and height as
    displayed, px; ``boxes``: float32 ``[m, 4]`` corners in pixels of the input; ``labels``:
    ``[m]`` positions in the sorted classes, or `CROWD`; ``offsets``: ``[n + 1]``, image i has the
    boxes ``offsets[i]:offsets[i + 1]``; ``quarantine``: rows for the pictures that are left out;
    ``boxes_left_out``: count by reason.
    """

    images: NDArray[np.uint8]
    image_ids: NDArray[np.int64]
    sizes: NDArray[np.float64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    offsets: NDArray[np.int64]
    quarantine: pa.Table
    boxes_left_out: dict[str, int]


def load(
    shards: Iterable[Shard], detector: DetectorSettings, classes: Mapping[int, str], *, run: str, stage: str = "train"
) -> TrainingData:
    """The data of some shards (``store.read_shard(key)`` for each of ``store.shards([split])``).

    Pictures that cannot be read go into ``quarantine`` (rows of that table, for ``stage``).

    Raises:
        DetrayError: the images have no path (no image folder was stated).
    """
    raise NotImplementedError
