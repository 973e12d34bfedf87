"""The shipped flow on tables in memory, with what the evaluation would say of them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.boxes import Reach
from detray.diagnose.flow import diagnose
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.request import Request
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.kernel import match
from detray.evaluate.kernel.accumulate import average_precision
from detray.flow.data import MemoryData
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.tables import Shard

Tables = Mapping[str, pa.Table]
Aps = dict[int, tuple[float, float]]
TABLES = ("diagnoses", "label_errors")


def class_aps(tables: Tables) -> Aps:
    """AP and AP50 of every class that has boxes."""
    images = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    known = np.isin(images.dt.image, images.images.id)
    dt = type(images.dt)(*(values[known] for values in list(vars(images.dt).values())[:5]))
    matches, gt = match(images.gt, dt), images.gt
    rows = np.flatnonzero(matches.kept)
    rows = rows[np.argsort(dt.category[rows], kind="stable")]
    result: Aps = {}
    classes, n_boxes = np.unique(gt.category[~gt.crowd], return_counts=True)
    for category, n in zip(classes.tolist(), n_boxes.tolist(), strict=True):
        low, high = np.searchsorted(dt.category[rows], [category, category + 1])
        own = rows[low:high]
        words = matches.matched[own, 0], matches.ignored[own, 0]
        levels = average_precision(dt.score[own], dt.image[own], dt.rank[own], *words, n)
        result[category] = (float(levels.mean()), float(levels[0]))
    return result


def run(
    tables: Tables,
    settings: DiagnoseSettings | None = None,
    *,
    aps: Aps | None = None,
    train: Tables | None = None,
    base: pa.Table | None = None,
    findings: pa.Table | None = None,
    label_map: Mapping[int, str] | None = None,
    unseen: pa.ChunkedArray | None = None,
    sample: float | None = None,
    reach: Reach | None = None,
    pictures: pa.Table | None = None,
    losses: Sequence[float] = (),
) -> InMemoryRun:
    """Diagnose the split ``val``.

    Args:
        tables: images, annotations, categories and predictions, before any of these were left out.
        settings: what counts as weak.
        aps: AP and AP50 by class, if they are known.
        train: the training split; with predictions its classes have AP.
        base: detections of the model that it was fine-tuned from.
        findings: the audit's.
        label_map: names by id, as the model was trained with.
        unseen: images whose pictures it could not read.
        sample: share of the training images that the detector was run on, where they are not evaluated.
        reach: of the detector.
        pictures: image_stats, as the audit has them.
        losses: of the training, by epoch, where it was run in the same output.
    """
    splits = {"val": tables} | ({} if train is None else {"train": train})
    found = {"val": class_aps(tables) if aps is None else aps}
    if train is not None and train["predictions"].num_rows and sample is None:
        found["train"] = class_aps(train)
    rows = [
        {"split": split, "category_id": k, "area_range": "all", "n_ground_truth": 1, "ap": ap, "ap50": ap50}
        for split, own in found.items()
        for k, (ap, ap50) in own.items()
    ]
    names = ("images", "annotations", "categories", "predictions")
    data = MemoryData(
        [Shard(split, *(own[name] for name in names)) for split, own in splits.items()],
        {"class_metrics": _metrics(rows), "quarantine": _unread(() if unseen is None else unseen.to_pylist())}
        | ({} if findings is None else {"findings": findings})
        | ({} if pictures is None else {"image_stats": pictures})
        | {"history": _history(losses)},
        {
            "predict": {
                "facts": {"model": "model"} | ({"sample": {"split": "train", "share": sample}} if sample else {})
            },
            "evaluate": {},
        }
        | ({} if findings is None and pictures is None else {"audit": {}})
        | ({"train": {}} if losses else {}),
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = settings or DiagnoseSettings()
        if base is not None:
            file = Path(folder, "base.json")
            file.write_text(json.dumps(_results(base)))
            settings = msgspec.structs.replace(settings, base_detections=str(file))
        request = Request("scene", ("val",), settings, train=None if train is None else "train", label_map=label_map)
        request = replace(request, reach=reach, is_trained_here=bool(losses))
        return run_in_memory(diagnose, data, request, tables=TABLES)


def diagnoses(tables: Tables, settings: DiagnoseSettings | None = None, **beside: object) -> pa.Table:
    """The table ``diagnoses`` of `run`."""
    return run(tables, settings, **beside).tables["diagnoses"]


def _metrics(rows: list[dict[str, object]]) -> pa.Table:
    """Rows of class_metrics, of which only some columns are read."""
    columns = ("split", "category_id", "area_range", "n_ground_truth", "ap", "ap50", "best_f1_threshold")
    own = pa.schema([schema.schema("class_metrics").field(name) for name in columns])
    return pa.Table.from_pylist(rows, own)


def _history(losses: Sequence[float]) -> pa.Table:
    rows = [{"epoch": epoch, "split": "train", "loss": loss} for epoch, loss in enumerate(losses, start=1)]
    return schema.from_rows("history", rows, run="scene")


def _unread(images: Sequence[int]) -> pa.Table:
    rows = [{"split": "val", "image_id": k, "stage": "predict", "reason": "missing"} for k in images]
    return schema.from_rows("quarantine", rows, run="scene")


def _results(predictions: pa.Table) -> list[dict[str, object]]:
    """Detections as COCO results."""
    sides = zip(*(predictions[side].to_pylist() for side in ("x", "y", "width", "height")), strict=True)
    columns = (predictions[name].to_pylist() for name in ("image_id", "category_id", "score"))
    return [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image, category, score, box in zip(*columns, sides, strict=True)
    ]
