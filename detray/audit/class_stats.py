"""The table class_stats: what each class of each split holds, and the weights that follow from it."""

import pyarrow as pa
import yaml

from detray import schema
from detray.audit.summary import Summary

EFFECTIVE_BETA = 0.999
"""Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019."""

REPEAT_SHARE = 0.1
"""Classes in a smaller share of the images are repeated (t of LVIS's repeat factor sampling)."""

MAX_REPEAT = 100.0
_QUANTILES = (0.05, 0.5, 0.95)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # thousands of classes have a fragment each


def class_stats(data: Summary, run: str) -> pa.Table:
    """A row for each class of each split."""
    severities = _severities(data.groups)
    rows = []
    for split in data.splits:
        found = [
            _row(data, split, category_id, name) | severities.get((split, category_id), dict.fromkeys(_COUNTS, 0))
            for category_id, name in data.classes[split].items()
        ]
        _weights(found)
        rows += found
    return schema.from_rows("class_stats", rows, run=run)


_COUNTS = [f"n_findings_{name}" for name in schema.SEVERITIES]


def _severities(groups: pa.Table) -> dict[tuple[str, int], dict[str, int]]:
    found: dict[tuple[str, int], dict[str, int]] = {}
    for group in groups.to_pylist():
        if group["category_id"] is not None:
            counts = found.setdefault((group["split"], group["category_id"]), dict.fromkeys(_COUNTS, 0))
            counts[_COUNTS[group["severity"]]] += group["n"]
    return found


def _row(data: Summary, split: str, category_id: int, name: str) -> dict[str, object]:
    tally = data.tallies[split]
    boxes, images = data.boxes[split].get(category_id, 0), data.images[split].get(category_id, 0)
    in_split = tally.total("boxes")
    of_split = tally.total("split_images")
    most, _ = tally.histogram("boxes_per_image", category_id)
    areas = dict(zip(*(part.tolist() for part in tally.histogram("area", category_id)), strict=True))
    size = tally.quantiles("size", category_id, _QUANTILES)
    aspect = tally.quantiles("aspect", category_id, _QUANTILES)
    repeat = min(max((REPEAT_SHARE * of_split / images) ** 0.5, 1.0), MAX_REPEAT) if images else None
    return {
        "split": split,
        "category_id": category_id,
        "category_name": name,
        "n_images": images,
        "n_boxes": boxes,
        "n_crowd": data.crowds[split].get(category_id, 0),
        "share": boxes / in_split if in_split else None,
        "boxes_per_image": boxes / images if images else None,
        "max_boxes_per_image": int(most[-1]) if len(most) else 0,
        "n_small": areas.get(0, 0),
        "n_medium": areas.get(1, 0),
        "n_large": areas.get(2, 0),
        **dict(zip(("size_p05", "size_p50", "size_p95"), size, strict=True)),
        **dict(zip(("aspect_p05", "aspect_p50", "aspect_p95"), aspect, strict=True)),
        "effective_number": (1 - EFFECTIVE_BETA**boxes) / (1 - EFFECTIVE_BETA) if boxes else None,
        "oversample_factor": repeat,
    }


def _fragment(name: str, weight: float, repeat: float) -> str:
    """What ``train`` may hold for one class, as it stands in a configuration file."""
    settings = {"class_weights": {name: float(f"{weight:.4g}")}}
    if repeat > 1:
        settings["oversample"] = {name: float(f"{repeat:.4g}")}
    return str(yaml.dump({"train": settings}, Dumper=_DUMPER, allow_unicode=True))


def _weights(rows: list[dict[str, object]]) -> None:
    """Class weights of one split, mean 1 over the classes that have boxes, and their settings; NULL for the others."""
    for column, basis in (("weight_inverse_frequency", "n_boxes"), ("weight_effective_number", "effective_number")):
        inverse = {index: 1 / float(row[basis]) for index, row in enumerate(rows) if row[basis]}  # type: ignore[arg-type]  # a number
        mean = sum(inverse.values()) / len(inverse) if inverse else 1.0
        for index, row in enumerate(rows):
            row[column] = inverse[index] / mean if index in inverse else None
    for row in rows:
        weight, repeat = row["weight_effective_number"], row["oversample_factor"]
        row["config_fragment"] = None
        if isinstance(weight, float) and isinstance(repeat, float):
            row["config_fragment"] = _fragment(str(row["category_name"]), weight, repeat)
