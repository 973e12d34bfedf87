"""What a person reads first of an evaluation: the weak classes and what each loses most to.

`of_classes` and `worst_images` take it from the tables, in the tasks that have them; the rest puts the
tasks' findings together.
"""

from collections.abc import Iterable, Sequence
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


class Line(msgspec.Struct, frozen=True):
    """A line of a table, and what the lines of all tasks are ordered by, rising."""

    key: float
    cells: list[str | int | float | None]


class ClassesShown(msgspec.Struct, frozen=True):
    """What the summary may show of some classes.

    Attributes:
        measured: how many have an AP, ``few_images`` of these no interval.
        weakest: those with the lowest AP.
        below: slices that do worse than their class; ``slices`` are the worst of them.
        compared: classes compared with another model; ``changes`` are those that differ.
    """

    measured: int
    few_images: int
    weakest: list[Line]
    below: int
    slices: list[Line]
    compared: int
    changes: list[Line]


class CocoNumbers(msgspec.Struct, frozen=True):
    """The protocol's numbers of a model, by metric, the main one first."""

    model: str
    values: dict[str, float | None]

    @property
    def main(self) -> float | None:
        """The main one."""
        return next(iter(self.values.values()))


@dataclass(frozen=True)
class SplitShown:
    """What there is to show of a split, by group of classes where it is about classes.

    ``numbers`` are of the model and then of the other one, if there is one; ``gain`` is what that one gains;
    ``told`` are sentences.
    """

    split: str
    n_classes: int
    classes: Sequence[ClassesShown]
    worst: Sequence[Line]
    numbers: Sequence[CocoNumbers]
    gain: Gain | None
    told: Sequence[str]


def of_classes(class_metrics: pa.Table, errors: pa.Table, slices: pa.Table, comparisons: pa.Table) -> ClassesShown:
    """What the summary may show of some classes, from their rows of these tables."""
    measured = class_metrics.filter(
        pc.and_(pc.equal(class_metrics["area_range"], "all"), pc.is_valid(class_metrics["ap"]))
    )
    weakest = measured.sort_by([("ap", "ascending"), ("category_id", "ascending")]).slice(0, MAX_CLASSES_SHOWN)
    ids = weakest["category_id"].combine_chunks()
    costs = _costliest(errors.filter(pc.is_in(errors["category_id"], value_set=ids)))
    aps = dict(zip(measured["category_id"].to_pylist(), measured["ap"].to_pylist(), strict=True))
    known = slices.filter(pc.greater_equal(slices["n_ground_truth"], SLICE_BOXES)).to_pylist()
    below = _in_order(
        Line(row["ap"] - ap, [*_short(row, "category_name", "slice", "value"), row["n_ground_truth"], row["ap"], ap])
        for row in known
        if row["ap"] - (ap := aps[row["category_id"]]) <= -SLICE_DROP
    )
    decided = comparisons.filter(pc.is_in(comparisons["verdict"], value_set=pa.array(["better", "worse"])))
    return ClassesShown(
        measured.num_rows,
        measured["ap_low"].null_count,
        [_weak(row, costs.get(row["category_id"])) for row in weakest.to_pylist()],
        len(below),
        below[:MAX_SLICES_SHOWN],
        comparisons.num_rows - comparisons["ap_a"].null_count,
        [_change(row) for row in decided.to_pylist()],
    )


def _weak(row: dict[str, Any], cost: str | None) -> Line:
    interval = _interval(row["ap_low"], row["ap_high"])
    found = [*_short(row, "category_name"), row["n_ground_truth"], row["n_detections"], row["ap"], interval]
    found += [row[name] for name in ("ap50", "ap75", "best_f1_threshold", "best_f1_precision", "best_f1_recall")]
    return Line(row["ap"], [*found, cost])


def _change(row: dict[str, Any]) -> Line:
    interval = _interval(row["delta_low"], row["delta_high"])
    values = [row["ap_a"], row["ap_b"], row["delta"], interval, row["verdict"]]
    return Line(-abs(row["delta"]), [*_short(row, "category_name"), *values])


def _costliest(errors: pa.Table) -> dict[int, str]:
    """The type of error that each class loses most AP to, in words; where all boxes are missed nothing costs more."""
    found: dict[int, tuple[float, str]] = {}
    for row in errors.select(["category_id", "error", "n", "d_ap"]).to_pylist():
        cost = float("inf") if row["d_ap"] is None else row["d_ap"]
        if cost > max(found.get(row["category_id"], (0.0, ""))[0], LEAST_COST):
            words = "all missed" if row["d_ap"] is None else f"{row['error']} {row['d_ap']:+.3f}"
            found[row["category_id"]] = (cost, words)
    return {number: words for number, (_, words) in found.items()}


def worst_images(image_metrics: pa.Table) -> list[Line]:
    """The images among those with the first ranks that have missed boxes or false detections."""
    rows = image_metrics.filter(pc.less_equal(image_metrics["rank"], MAX_IMAGES_SHOWN)).to_pylist()
    counts = ("n_ground_truth", "n_missed", "n_false")
    return [
        Line(row["rank"], [short(row["file_name"] or str(row["image_id"]), 60), *(row[name] for name in counts)])
        for row in rows
        if row["n_missed"] + row["n_false"]
    ]


def coco_numbers(model: str, summary_metrics: pa.Table) -> CocoNumbers:
    """The rows of ``summary_metrics`` about a split."""
    metrics, values = (summary_metrics[name].to_pylist() for name in ("metric", "value"))
    return CocoNumbers(model, dict(zip(metrics, values, strict=True)))


def tables(splits: Sequence[SplitShown], other: str | None, title: str) -> list[Table]:
    """The tables of the summary, of a comparison with the model ``other`` too where there is one.

    ``title`` says whose numbers they are.
    """
    return [
        _numbers_table(splits, title),
        *(table for split in splits for table in _class_tables(split)),
        *(_images_table(split) for split in splits if split.worst),
        *([_changes_table(splits, other)] if other is not None else []),
    ]


def _numbers_table(splits: Sequence[SplitShown], title: str) -> Table:
    """The protocol's numbers of each split and model."""
    rows = [(split.split, model) for split in splits for model in split.numbers]
    metrics = list(rows[0][1].values) if rows else []
    return Table(
        f"{title} numbers",
        ("split", "model", *metrics),
        [[short(split), short(part.model), *(part.values[metric] for metric in metrics)] for split, part in rows],
    )


def _class_tables(split: SplitShown) -> list[Table]:
    """The weakest classes of a split, and the slices on which classes do worst."""
    shown = _cells((row for part in split.classes for row in part.weakest), MAX_CLASSES_SHOWN)
    measured = sum(part.measured for part in split.classes)
    which = f"the weakest {len(shown)} of {measured}" if len(shown) < measured else "the weakest first"
    classes = Table(
        f"Classes of {split.split}, {which} (score, precision and recall at the best F1; AP lost to the costliest"
        " error)",
        (
            *("class", "boxes", "detections", "AP", "95% interval", "AP50", "AP75"),
            *("score", "prec.", "recall", "costliest error"),
        ),
        shown,
    )
    below = sum(part.below for part in split.classes)
    if not below:
        return [classes]
    worst = _cells((row for part in split.classes for row in part.slices), MAX_SLICES_SHOWN)
    how_many = f"the worst {len(worst)} of {below}" if len(worst) < below else f"all {below}"
    slices = Table(
        f"Slices of {split.split} whose AP is {SLICE_DROP:g} or more below that of their class ({SLICE_BOXES} boxes or"
        f" more), {how_many}",
        ("class", "slice", "value", "boxes", "AP there", "AP"),
        worst,
    )
    return [classes, slices]


def _images_table(split: SplitShown) -> Table:
    rows = _cells(split.worst, MAX_IMAGES_SHOWN)
    return Table(
        f"Worst images of {split.split} (missed and false from the score of the best F1 of each class)",
        ("image", "boxes", "missed", "false"),
        rows,
    )


def _changes_table(splits: Sequence[SplitShown], other: str) -> Table:
    """All classes together, then those where the models can be told apart, the most changed first."""
    rows: list[list[Any]] = []
    for split in splits:
        mine, theirs = split.numbers
        if split.gain is not None:
            interval = _interval(split.gain.low, split.gain.high)
            values = (mine.main, theirs.main, split.gain.delta, interval, split.gain.verdict)
            rows.append([short(f"all of {split.split}"), *values])
    found = [part for split in splits for part in split.classes]
    rows += _cells((change for part in found for change in part.changes), MAX_CLASSES_SHOWN)
    differ, compared = sum(len(part.changes) for part in found), sum(part.compared for part in found)
    shown = f", the {MAX_CLASSES_SHOWN} that do most" if differ > MAX_CLASSES_SHOWN else ""
    return Table(
        f"Against {short(other, 40)}: {differ} of {compared} measured classes differ{shown}; classes that do not"
        " are left out",
        ("class", "AP", "other AP", "difference", "95% interval", "verdict"),
        rows,
    )


def notes(split: SplitShown, has_intervals: bool) -> list[str]:
    """What the tables of a split do not show, and why."""
    measured, few = (sum(getattr(part, name) for part in split.classes) for name in ("measured", "few_images"))
    if not measured:
        return [f"{split.split}: there are no boxes to find, so no class has an AP", *split.told]
    lines = []
    if measured < split.n_classes:
        lines.append(f"{split.split}: {_classes(split.n_classes - measured)} without boxes and so without AP")
    if few and has_intervals:
        lines.append(f"{split.split}: {_classes(few)} with boxes in too few images (under 5) for an interval")
    return [*lines, *split.told]


def _classes(n: int) -> str:
    return f"{n:,} class" if n == 1 else f"{n:,} classes"


def _in_order(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.key)


def _cells(lines: Iterable[Line], most: int) -> list[list[Any]]:
    return [list(line.cells) for line in _in_order(lines)[:most]]


def _interval(low: float | None, high: float | None) -> str | None:
    """As text: the least number of columns."""
    return None if low is None or high is None else " to ".join(f"{round(end, 3) + 0.0:.3f}" for end in (low, high))


def short(text: str, length: int = MAX_NAME) -> str:
    """A name, cut where it is longer than the summary has room for."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _short(row: dict[str, Any], *names: str) -> list[str]:
    return [short(row[name]) for name in names]
