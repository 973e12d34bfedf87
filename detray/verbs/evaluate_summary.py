"""What a person reads first of an evaluation: the weak classes and what each loses most to.

`of_classes` takes it from the tables of some classes, in the task that has them; the rest puts the
tasks' findings together, on the driver.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray.store import Json
from detray.verbs.base import Table

MAX_CLASSES_SHOWN = 40
MAX_SLICES_SHOWN = 10
MAX_IMAGES_SHOWN = 5
MAX_NAME = 18
"""Characters of a class's or model's name, so that lines stay under 120."""
SLICE_BOXES, SLICE_DROP = 10, 0.05
"""A slice is shown from so many boxes on, where its AP lies so far below that of its class."""

WORST = ("split", "file_name", "image_id", "n_ground_truth", "n_missed", "n_false", "rank")
"""Columns of image_metrics that `images_table` shows."""
_METRICS = ["category_id", "category_name", "n_ground_truth", "n_images", "n_detections", "ap", "ap_low", "ap_high"]
_METRICS += ["ap50", "ap75", "best_f1_threshold", "best_f1_precision", "best_f1_recall"]
_CLASS_COLUMNS = {
    "class": "category_name",
    "boxes": "n_ground_truth",
    "detections": "n_detections",
    "AP": "ap",
    "95% interval": "ap_interval",
    "AP50": "ap50",
    "AP75": "ap75",
    "score": "best_f1_threshold",
    "prec.": "best_f1_precision",
    "recall": "best_f1_recall",
    "costliest error": "cost",
}
_COMPARED = ["category_name", "ap_a", "ap_b", "delta", "delta_low", "delta_high", "verdict"]
_SLICED = ["category_id", "category_name", "slice", "value", "n_ground_truth", "ap"]


def of_classes(class_metrics: pa.Table, errors: pa.Table, slices: pa.Table, comparisons: pa.Table) -> Json:
    """What the summary may show of some classes, from their rows of these tables."""
    measured = class_metrics.filter(
        pc.and_(pc.equal(class_metrics["area_range"], "all"), pc.is_valid(class_metrics["ap"]))
    )
    weakest = measured.sort_by([("ap", "ascending"), ("category_id", "ascending")]).slice(0, MAX_CLASSES_SHOWN)
    ids = weakest["category_id"].combine_chunks()
    costs = _costliest(errors.filter(pc.is_in(errors["category_id"], value_set=ids)))
    aps = dict(zip(measured["category_id"].to_pylist(), measured["ap"].to_pylist(), strict=True))
    known = slices.filter(pc.greater_equal(slices["n_ground_truth"], SLICE_BOXES)).select(_SLICED).to_pylist()
    below = sorted((row | {"class_ap": aps[row["category_id"]]} for row in known), key=_drop)
    below = [row for row in below if _drop(row) <= -SLICE_DROP]
    decided = comparisons.filter(pc.is_in(comparisons["verdict"], value_set=pa.array(["better", "worse"])))
    return {
        "measured": measured.num_rows,
        "few_images": pc.sum(pc.is_null(measured["ap_low"])).as_py() or 0,
        "weakest": [row | {"cost": costs.get(row["category_id"])} for row in weakest.select(_METRICS).to_pylist()],
        "below": len(below),
        "slices": below[:MAX_SLICES_SHOWN],
        "compared": comparisons.num_rows - comparisons["ap_a"].null_count,
        "decided": decided.select(_COMPARED).to_pylist(),
    }


def _drop(row: Json) -> float:
    drop: float = row["ap"] - row["class_ap"]
    return drop


def _costliest(errors: pa.Table) -> dict[int, str]:
    """The type of error that each class loses most AP to, in words; where all boxes are missed nothing costs more."""
    found: dict[int, tuple[float, str]] = {}
    for row in errors.select(["category_id", "error", "n", "d_ap"]).to_pylist():
        cost = float("inf") if row["d_ap"] is None else row["d_ap"]
        if cost > max(found.get(row["category_id"], (0.0, ""))[0], 0.0005):
            words = "all missed" if row["d_ap"] is None else f"{row['error']} {row['d_ap']:+.3f}"
            found[row["category_id"]] = (cost, words)
    return {number: words for number, (_, words) in found.items()}


def numbers_table(summaries: Sequence[Json]) -> Table:
    """COCO's twelve numbers of each split and model."""
    rows = [
        (receipt["facts"]["split"], model, values)
        for receipt in summaries
        for model, values in receipt["facts"]["values"]
    ]
    metrics = list(rows[0][2]) if rows else []
    return Table(
        "COCO numbers",
        ("split", "model", *metrics),
        [[short(split), short(model), *(values[metric] for metric in metrics)] for split, model, values in rows],
    )


def class_tables(split: str, found: Sequence[Json]) -> list[Table]:
    """The weakest classes of a split, and the slices on which classes do worst."""
    weakest = sorted((row for facts in found for row in facts["weakest"]), key=lambda row: row["ap"])
    shown, measured = weakest[:MAX_CLASSES_SHOWN], sum(facts["measured"] for facts in found)
    which = f"the weakest {len(shown)} of {measured}" if len(shown) < measured else "the weakest first"
    classes = Table(
        f"Classes of {split}, {which} (score, precision and recall at the best F1; AP lost to the costliest error)",
        tuple(_CLASS_COLUMNS),
        [[_shown(row, column) for column in _CLASS_COLUMNS.values()] for row in shown],
    )
    below = sum(facts["below"] for facts in found)
    if not below:
        return [classes]
    worst = sorted((row for facts in found for row in facts["slices"]), key=_drop)[:MAX_SLICES_SHOWN]
    how_many = f"the worst {len(worst)} of {below}" if len(worst) < below else f"all {below}"
    slices = Table(
        f"Slices of {split} whose AP is {SLICE_DROP:g} or more below that of their class ({SLICE_BOXES} boxes or more),"
        f" {how_many}",
        ("class", "slice", "value", "boxes", "AP there", "AP"),
        [[_shown(row, column) for column in (*_SLICED[1:], "class_ap")] for row in worst],
    )
    return [classes, slices]


def images_table(ranked: Sequence[Json]) -> list[Table]:
    """The images of a split with the most missed boxes and false detections; no table where there are none."""
    rows = sorted((row for facts in ranked for row in facts["worst"]), key=lambda row: row["rank"])
    rows = [row for row in rows if row["n_missed"] + row["n_false"]][:MAX_IMAGES_SHOWN]
    if not rows:
        return []
    return [
        Table(
            f"Worst images of {rows[0]['split']}",
            ("image", "boxes", "missed", "false"),
            [
                [short(row["file_name"] or str(row["image_id"]), 60), *(row[name] for name in WORST[3:6])]
                for row in rows
            ],
        )
    ]


def notes(split: str, found: Sequence[Json], has_intervals: bool) -> list[str]:
    """What the tables of a split do not show, and why."""
    n_classes, measured, few = (sum(facts[name] for facts in found) for name in ("n_classes", "measured", "few_images"))
    if not measured:
        return [f"{split}: there are no boxes to find, so no class has an AP"]
    lines = []
    if measured < n_classes:
        lines.append(f"{split}: {_classes(n_classes - measured)} without boxes and so without AP")
    if few and has_intervals:
        lines.append(f"{split}: {_classes(few)} with boxes in too few images (under 5) for an interval")
    return lines


def _classes(n: int) -> str:
    return f"{n:,} class" if n == 1 else f"{n:,} classes"


def comparison_table(other: str, summaries: Sequence[Json], groups: Sequence[Json]) -> Table:
    """All classes together, then those where the models can be told apart, the most changed first."""
    rows: list[list[Any]] = []
    for receipt in summaries:
        (_, mine), (_, theirs) = receipt["facts"]["values"]
        gain, low, high, verdict = receipt["facts"]["gain"]
        name = f"all of {receipt['facts']['split']}"
        rows.append([short(name), mine["AP"], theirs["AP"], gain, _interval(low, high), verdict])
    found = [receipt["facts"] for receipt in groups]
    decided = sorted((row for facts in found for row in facts["decided"]), key=lambda row: -abs(row["delta"]))
    columns = ("category_name", "ap_a", "ap_b", "delta", "delta_interval", "verdict")
    rows += [[_shown(row, column) for column in columns] for row in decided[:MAX_CLASSES_SHOWN]]
    shown = f", the {MAX_CLASSES_SHOWN} that do most" if len(decided) > MAX_CLASSES_SHOWN else ""
    compared = sum(facts["compared"] for facts in found)
    return Table(
        f"Against {short(other, 40)}: {len(decided)} of {compared} measured classes differ{shown}; classes that do not"
        " are left out",
        ("class", "AP", "other AP", "difference", "95% interval", "verdict"),
        rows,
    )


def _shown(row: Json, column: str) -> Any:
    if column.endswith("_interval"):
        name = column.removesuffix("_interval")
        return _interval(row[f"{name}_low"], row[f"{name}_high"])
    return short(row[column]) if column in ("category_name", "slice", "value") else row[column]


def _interval(low: float | None, high: float | None) -> str | None:
    """As text: the least number of columns."""
    return None if low is None or high is None else " to ".join(f"{round(end, 3) + 0.0:.3f}" for end in (low, high))


def short(text: str | None, length: int = MAX_NAME) -> str | None:
    return text if text is None or len(text) <= length else f"{text[: length - 1]}…"
