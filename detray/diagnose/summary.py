"""What the end of a diagnosis shows: the first causes of each class."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import MAPPING
from detray.diagnose.steps.classes import Shown
from detray.flow.outcome import Table

MAX_CLASSES_SHOWN = 40
MANY = 10
"""Classes that share a fault of their file from which the summary has one row for all."""
OF_FILES = tuple(cause.name for cause in CAUSES if cause.group == MAPPING)


def summary(split: str, shown: Sequence[Shown]) -> Table:
    """The first two causes of each class; a fault of a whole file, which many classes share, in one row."""
    first = {cause: [row for row in shown if row.rank == 1 and row.cause == cause] for cause in OF_FILES}
    shared = {cause: rows for cause, rows in first.items() if len(rows) >= MANY}
    left, is_told = [], False
    for row in shown:  # class by class, and two classes may share a name
        is_told = row.cause in shared if row.rank == 1 else is_told
        if row.rank <= 2 and not is_told:
            left.append(row)
    top = sorted(left, key=lambda row: (row.ap is None, row.ap, row.name or "", row.rank))
    rows = [_in_one(found) for found in shared.values()] + [_cells(row) for row in top[: 2 * MAX_CLASSES_SHOWN]]
    return Table(f"Diagnoses of {split}", ("class", "AP", "AP50", "rank", "cause", "AP regained", "why"), rows)


def _cells(row: Shown) -> list[Any]:
    return [row.name, row.ap, row.ap50, row.rank, row.cause, row.d_ap, row.sentence]


def _in_one(rows: Sequence[Shown]) -> list[Any]:
    """One row for many classes of one cause: means, and what is said of the class that loses most."""
    worst = max(rows, key=lambda row: row.d_ap or 0.0)
    means = [_mean([getattr(row, name) for row in rows]) for name in ("ap", "ap50", "d_ap")]
    return [f"{len(rows)} classes", means[0], means[1], 1, worst.cause, means[2], worst.sentence]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
