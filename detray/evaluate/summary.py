"""What a person reads first of an evaluation: the weak classes and what each loses most to.

`of_classes` and `worst_images` take it from the tables, in the tasks that have them; the rest puts the
tasks' findings together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray.evaluate.tables.comparisons import Gain
from detray.flow.outcome import Table

MAX_CLASSES_SHOWN = 40
MAX_SLICES_SHOWN = 10
MAX_IMAGES_SHOWN = 5
MAX_NAME = 18
"""Characters of a class's or model's name, so that lines stay under 120."""
SLICE_BOXES, SLICE_DROP = 10, 0.05
"""A slice is shown from so many boxes on, where its AP lies so far below that of its class."""
LEAST_COST = 0.0005
"""AP lost to a type of error from which on it is shown."""


class WeakClass(msgspec.Struct, frozen=True):
    """A class with an AP; names as in ``class_metrics``. ``cost``: the type of error it loses most AP to."""

    category_name: str
    n_ground_truth: int
    n_detections: int
    ap: float
    ap_low: float | None
    ap_high: float | None
    ap50: float | None
    ap75: float | None
    best_f1_threshold: float | None
    best_f1_precision: float | None
    best_f1_recall: float | None
    cost: str | None


class WeakSlice(msgspec.Struct, frozen=True):
    """A slice on which a class does worse than elsewhere."""

    category_name: str
    slice: str
    value: str
    n_ground_truth: int
    ap: float
    class_ap: float

    @property
    def drop(self) -> float:
        """What the slice gains over the class: below 0."""
        return self.ap - self.class_ap


class Change(msgspec.Struct, frozen=True):
    """A class in which two models can be told apart; names as in ``comparisons``."""

    category_name: str
    ap_a: float | None
    ap_b: float | None
    delta: float
    delta_low: float | None
    delta_high: float | None
    verdict: str


class ClassesShown(msgspec.Struct, frozen=True):
    """What the summary may show of some classes.

    Attributes:
        measured: how many have an AP, ``few_images`` of these no interval.
        weakest: those with the lowest AP, rising.
        below: slices that do worse than their class; ``slices`` are the worst of them.
        compared: classes compared with another model; ``changes`` are those that differ.
    """

    measured: int
    few_images: int
    weakest: list[WeakClass]
    below: int
    slices: list[WeakSlice]
    compared: int
    changes: list[Change]


class WorstImage(msgspec.Struct, frozen=True):
    """An image with many errors; names as in ``image_metrics``."""

    file_name: str | None
    image_id: int
    n_ground_truth: int
    n_missed: int
    n_false: int
    rank: int


class CocoNumbers(msgspec.Struct, frozen=True):
    """COCO's twelve numbers of a model, by metric."""

    model: str
    values: dict[str, float | None]


@dataclass(frozen=True)
class SplitShown:
    """What there is to show of a split, by group of classes where it is about classes.

    ``numbers`` are of the model and then of the other one, if there is one; ``gain`` is what that one gains.
    """

    split: str
    n_classes: int
    classes: Sequence[ClassesShown]
    worst: Sequence[WorstImage]
    numbers: Sequence[CocoNumbers]
    gain: Gain | None


def of_classes(class_metrics: pa.Table, errors: pa.Table, slices: pa.Table, comparisons: pa.Table) -> ClassesShown:
    """What the summary may show of some classes, from their rows of these tables."""
    measured = class_metrics.filter(
        pc.and_(pc.equal(class_metrics["area_range"], "all"), pc.is_valid(class_metrics["ap"]))
    )
    weakest = measured.sort_by([("ap", "ascending"), ("category_id", "ascending")]).slice(0, MAX_CLASSES_SHOWN)
    costs = _costliest(
        errors.filter(pc.is_in(errors["category_id"], value_set=weakest["category_id"].combine_chunks()))
    )
    weak = [row | {"cost": costs.get(row["category_id"])} for row in weakest.to_pylist()]
    aps = dict(zip(measured["category_id"].to_pylist(), measured["ap"].to_pylist(), strict=True))
    known = slices.filter(pc.greater_equal(slices["n_ground_truth"], SLICE_BOXES)).to_pylist()
    found = msgspec.convert([row | {"class_ap": aps[row["category_id"]]} for row in known], list[WeakSlice])
    below = sorted((part for part in found if part.drop <= -SLICE_DROP), key=lambda part: part.drop)
    changes = comparisons.filter(pc.is_in(comparisons["verdict"], value_set=pa.array(["better", "worse"])))
    return ClassesShown(
        measured.num_rows,
        measured["ap_low"].null_count,
        msgspec.convert(weak, list[WeakClass]),
        len(below),
        below[:MAX_SLICES_SHOWN],
        comparisons.num_rows - comparisons["ap_a"].null_count,
        msgspec.convert(changes.to_pylist(), list[Change]),
    )


def _costliest(errors: pa.Table) -> dict[int, str]:
    """The type of error that each class loses most AP to, in words; where all boxes are missed nothing costs more."""
    found: dict[int, tuple[float, str]] = {}
    for row in errors.select(["category_id", "error", "n", "d_ap"]).to_pylist():
        cost = float("inf") if row["d_ap"] is None else row["d_ap"]
        if cost > max(found.get(row["category_id"], (0.0, ""))[0], LEAST_COST):
            words = "all missed" if row["d_ap"] is None else f"{row['error']} {row['d_ap']:+.3f}"
            found[row["category_id"]] = (cost, words)
    return {number: words for number, (_, words) in found.items()}


def worst_images(image_metrics: pa.Table) -> list[WorstImage]:
    """Rows of ``image_metrics`` for `SplitShown`."""
    return msgspec.convert(image_metrics.to_pylist(), list[WorstImage])


def coco_numbers(model: str, summary_metrics: pa.Table) -> CocoNumbers:
    """The rows of ``summary_metrics`` about a split."""
    metrics, values = (summary_metrics[name].to_pylist() for name in ("metric", "value"))
    return CocoNumbers(model, dict(zip(metrics, values, strict=True)))


def tables(splits: Sequence[SplitShown], other: str | None) -> list[Table]:
    """The tables of the summary, of a comparison with the model ``other`` too where there is one."""
    return [
        _numbers_table(splits),
        *(table for split in splits for table in _class_tables(split)),
        *(table for split in splits for table in _images_table(split)),
        *([_changes_table(splits, other)] if other is not None else []),
    ]


def _numbers_table(splits: Sequence[SplitShown]) -> Table:
    """COCO's twelve numbers of each split and model."""
    rows = [(split.split, model) for split in splits for model in split.numbers]
    metrics = list(rows[0][1].values) if rows else []
    return Table(
        "COCO numbers",
        ("split", "model", *metrics),
        [[short(split), short(part.model), *(part.values[metric] for metric in metrics)] for split, part in rows],
    )


def _class_tables(split: SplitShown) -> list[Table]:
    """The weakest classes of a split, and the slices on which classes do worst."""
    weakest = sorted((row for part in split.classes for row in part.weakest), key=lambda row: row.ap)
    shown, measured = weakest[:MAX_CLASSES_SHOWN], sum(part.measured for part in split.classes)
    which = f"the weakest {len(shown)} of {measured}" if len(shown) < measured else "the weakest first"
    classes = Table(
        f"Classes of {split.split}, {which} (score, precision and recall at the best F1; AP lost to the costliest"
        " error)",
        (
            *("class", "boxes", "detections", "AP", "95% interval", "AP50", "AP75"),
            *("score", "prec.", "recall", "costliest error"),
        ),
        [
            [
                *(short(row.category_name), row.n_ground_truth, row.n_detections, row.ap),
                *(_interval(row.ap_low, row.ap_high), row.ap50, row.ap75),
                *(row.best_f1_threshold, row.best_f1_precision, row.best_f1_recall, row.cost),
            ]
            for row in shown
        ],
    )
    below = sum(part.below for part in split.classes)
    if not below:
        return [classes]
    worst = sorted((row for part in split.classes for row in part.slices), key=lambda row: row.drop)[:MAX_SLICES_SHOWN]
    how_many = f"the worst {len(worst)} of {below}" if len(worst) < below else f"all {below}"
    slices = Table(
        f"Slices of {split.split} whose AP is {SLICE_DROP:g} or more below that of their class ({SLICE_BOXES} boxes or"
        f" more), {how_many}",
        ("class", "slice", "value", "boxes", "AP there", "AP"),
        [
            [*map(short, (row.category_name, row.slice, row.value)), row.n_ground_truth, row.ap, row.class_ap]
            for row in worst
        ],
    )
    return [classes, slices]


def _images_table(split: SplitShown) -> list[Table]:
    """The images of a split with the most missed boxes and false detections; no table where there are none."""
    worst = sorted((image for image in split.worst if image.n_missed + image.n_false), key=lambda image: image.rank)
    rows: list[list[Any]] = [
        [short(image.file_name or str(image.image_id), 60), image.n_ground_truth, image.n_missed, image.n_false]
        for image in worst[:MAX_IMAGES_SHOWN]
    ]
    return [Table(f"Worst images of {split.split}", ("image", "boxes", "missed", "false"), rows)] if rows else []


def _changes_table(splits: Sequence[SplitShown], other: str) -> Table:
    """All classes together, then those where the models can be told apart, the most changed first."""
    rows: list[list[Any]] = []
    for split in splits:
        mine, theirs = split.numbers
        if split.gain is not None:
            interval = _interval(split.gain.low, split.gain.high)
            values = (mine.values["AP"], theirs.values["AP"], split.gain.delta, interval, split.gain.verdict)
            rows.append([short(f"all of {split.split}"), *values])
    found = [part for split in splits for part in split.classes]
    changes = sorted((change for part in found for change in part.changes), key=lambda change: -abs(change.delta))
    for change in changes[:MAX_CLASSES_SHOWN]:
        interval = _interval(change.delta_low, change.delta_high)
        name = short(change.category_name)
        rows.append([name, change.ap_a, change.ap_b, change.delta, interval, change.verdict])
    shown = f", the {MAX_CLASSES_SHOWN} that do most" if len(changes) > MAX_CLASSES_SHOWN else ""
    compared = sum(part.compared for part in found)
    return Table(
        f"Against {short(other, 40)}: {len(changes)} of {compared} measured classes differ{shown}; classes that do not"
        " are left out",
        ("class", "AP", "other AP", "difference", "95% interval", "verdict"),
        rows,
    )


def notes(split: SplitShown, has_intervals: bool) -> list[str]:
    """What the tables of a split do not show, and why."""
    measured, few = (sum(getattr(part, name) for part in split.classes) for name in ("measured", "few_images"))
    if not measured:
        return [f"{split.split}: there are no boxes to find, so no class has an AP"]
    lines = []
    if measured < split.n_classes:
        lines.append(f"{split.split}: {_classes(split.n_classes - measured)} without boxes and so without AP")
    if few and has_intervals:
        lines.append(f"{split.split}: {_classes(few)} with boxes in too few images (under 5) for an interval")
    return lines


def _classes(n: int) -> str:
    return f"{n:,} class" if n == 1 else f"{n:,} classes"


def _interval(low: float | None, high: float | None) -> str | None:
    """As text: the least number of columns."""
    return None if low is None or high is None else " to ".join(f"{round(end, 3) + 0.0:.3f}" for end in (low, high))


def short(text: str, length: int = MAX_NAME) -> str:
    """A name, cut where it is longer than the summary has room for."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
