"""Before anything starts: refuse what cannot run; of a model that may be read in several ways say what each hits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from detray import tables
from detray.arrays import Floats, Pixels
from detray.boxes import pairwise_iou
from detray.detectors.ambiguous import FIELDS, AmbiguousError, open_fields, untold
from detray.detectors.catalogue import detector_kind
from detray.detectors.detector import Detector
from detray.detectors.io import Layout
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.errors import UsageError
from detray.flow.data import Data
from detray.meaning.hits import HIT_IOU
from detray.pictures import PictureError, read_picture

PICTURES = 8

Sample = Sequence[tuple[Pixels, Floats]]
"""Pictures, and the boxes ``[n, 4]`` of their objects: x, y, width, height in px."""


def require_model(detector: DetectorSettings, path: str, *, trust_model: bool) -> None:
    """Refuse a path that holds no model which may and can be run. One that may be read in several ways passes.

    Raises:
        DetrayError: why not.
    """
    kind = detector_kind(detector)
    try:
        if kind.check is None:
            kind.read_classes(detector, path)
        else:
            kind.check(detector, path, trust_model=trust_model)
    except AmbiguousError:
        pass  # `require_runnable` tells what each reading hits


def require_runnable(
    detector: DetectorSettings, path: str, predict: PredictSettings, data: Data, *, trust_model: bool
) -> None:
    """Refuse a detector that cannot or may not run on the splits of ``predict``, as far as is known without loading it.

    Raises:
        UsageError: why not. Where the model may be read in several ways, it names the two that hit most of the
            objects in a few pictures.
    """
    kind = detector_kind(detector)
    if kind.check is None:
        return
    try:
        kind.check(detector, path, trust_model=trust_model)
    except AmbiguousError as error:
        sample = sample_of(data, predict.splits)
        if not sample:
            raise
        io = msgspec.structs.replace(detector.io, **{key: getattr(error.readings[0], key) for key in FIELDS})
        first = msgspec.structs.replace(detector, io=io)
        kind.check(first, path, trust_model=trust_model)
        loaded = kind.load(first, path, predict, trust_model=trust_model)
        raise UsageError(f"{path}: {_scores(loaded, error.readings, sample)}") from None


def _scores(detector: Any, readings: Sequence[Layout], sample: Sample) -> str:
    """What the two best readings hit; detectors of others' models are dataclasses that hold their layout."""
    scored = [(*hits(replace(detector, layout=reading), sample), reading) for reading in readings]
    told = " and ".join(
        f"{{{', '.join(f'{key}: {getattr(reading, key)}' for key in open_fields(readings))}}} hits {count}"
        f" (mean IoU {overlap / max(count, 1):.2f})"
        for count, overlap, reading in sorted(scored, key=lambda found: (-found[0], -found[1]))[:2]
    )
    objects = sum(len(boxes) for _, boxes in sample)
    return (
        f"{untold(readings)}; of {objects} objects in {len(sample)} pictures {told}; set detector.io to what is right"
    )


def hits(detector: Detector, sample: Sample) -> tuple[int, float]:
    """How many objects one of as many best detections of whatever class hits by an IoU of at least .5, and the sum of
    these IoUs."""
    found = detector.detect([detector.prepare(picture) for picture, _ in sample])
    overlaps = [
        pairwise_iou(found.boxes[(found.image == number) & (found.rank <= len(boxes))], boxes).max(axis=0, initial=0)
        for number, (_, boxes) in enumerate(sample)
    ]
    best = np.concatenate(overlaps)
    return int((best >= HIT_IOU).sum()), float(best[best >= HIT_IOU].sum())


def sample_of(data: Data, splits: Sequence[str]) -> Sample:
    """The first `PICTURES` pictures with objects that can be read."""
    found: list[tuple[Pixels, Floats]] = []
    for key in data.shards(splits):
        rows = data.read_range("annotations", key, ("image_id", "x", "y", "width", "height"))
        boxes, images = tables.boxes(rows), tables.numpy(rows, "image_id", -1)
        good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        paths = data.read_range("images", key, ("image_id", "path"))
        for image, path in zip(*(paths[name].to_pylist() for name in paths.column_names), strict=True):
            own = boxes[good & (images == image)] if image is not None else boxes[:0]
            picture = _picture(path) if len(own) else None
            if picture is not None:
                found.append((picture, own))
            if len(found) == PICTURES:
                return found
    return found


def _picture(path: str | None) -> Pixels | None:
    try:
        return None if path is None else read_picture(path)
    except PictureError:
        return None
