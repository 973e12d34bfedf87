"""What the end of a diagnosis shows: the first causes of each class, why, and what to do."""

from collections.abc import Sequence
from statistics import fmean

import msgspec

from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import MAPPING
from detray.diagnose.causes.ground_truth.no_ground_truth import NoGroundTruth
from detray.diagnose.counter_tests.outcome import CONFIRMED, NOT_CONFIRMED
from detray.diagnose.steps.classes import Shown
from detray.flow.outcome import Table

MAX_CLASSES_SHOWN = 40
MANY = 10
"""Classes that share a fault of their file from which the summary has one row for all."""
AT_MOST = "at most: AP regained if nothing of the fault were left; how much it will be is not known in advance."
MAX_NAMED = 8
"""Classes of such a row that are named."""
OF_FILES = tuple(cause.name for cause in CAUSES if cause.group == MAPPING)


def summary(split: str, shown: Sequence[Shown], *, promotes: bool = True) -> tuple[Table, list[str], str | None]:
    """The first two causes of each class, a sentence and a remedy for each, and what to do first.

    A fault of a whole file, which many classes share, is one row, and so are the classes without a box: nobody knows
    that these are weak, so that the others come first. ``promotes``: a cause that a counter-test confirmed comes before
    those that were not tested, since all were to be.
    """
    rows = _rows(shown)
    cells = [[row.name, row.ap, row.ap50, row.rank, row.cause, *_regained(row)] for row in rows]
    columns = ("class", "AP", "AP50", "rank", "cause", "AP regained", "at most")
    lines = [line for row in rows for line in _lines(row)]
    firsts = [row for row in rows if row.rank == 1]
    first = max(firsts, key=lambda row: _urgency(row, promotes=promotes), default=None)
    if any(row.is_ceiling for row in rows):
        lines.append(AT_MOST)
    table = Table(f"Diagnoses of {split}", columns, cells)
    return table, lines, None if first is None else _step(first)


def _regained(row: Shown) -> tuple[float | None, float | None]:
    """AP regained where that is known, and else at most."""
    return (None, row.d_ap) if row.is_ceiling else (row.d_ap, None)


def _urgency(row: Shown, *, promotes: bool) -> tuple[object, ...]:
    """What to do first has most of it: a box, a cause that no counter-test denied, one that a test confirmed, AP."""
    place = (promotes and row.counter_test == CONFIRMED) - (row.counter_test == NOT_CONFIRMED)
    return row.cause != NoGroundTruth.name, place, row.d_ap or 0.0


def _step(first: Shown) -> str:
    """What to do first, for the class that gains most by it."""
    most = ", which it may help most" if first.is_ceiling else ", which it helps most"
    most = "" if first.cause == NoGroundTruth.name else most
    return f"for {first.name}{most}: {first.remedy}"


def _lines(row: Shown) -> list[str]:
    """What is wrong, what to do, and the lines of a pipeline.config that do it."""
    stated = [f"    pipeline.config: {line}" for line in (row.pipeline or "").splitlines()]
    return [f"{row.name}, {row.rank}: {row.sentence}", f"    do: {row.remedy}", *stated]


def _rows(shown: Sequence[Shown]) -> list[Shown]:
    first = {cause: [row for row in shown if row.rank == 1 and row.cause == cause] for cause in OF_FILES}
    shared = {cause: rows for cause, rows in first.items() if len(rows) >= MANY}
    empty = [row for row in shown if row.rank == 1 and row.cause == NoGroundTruth.name]
    if len(empty) > 1:
        shared[NoGroundTruth.name] = empty
    left, is_told = [], False
    for row in shown:  # class by class, and two classes may share a name
        is_told = row.cause in shared if row.rank == 1 else is_told
        if row.rank <= 2 and not is_told:
            left.append(row)
    top = sorted(left, key=lambda row: (row.ap is None, row.ap, row.name or "", row.rank))
    unknown = shared.pop(NoGroundTruth.name, None)
    last = [_without_boxes(unknown)] if unknown else []
    return [*(_in_one(found) for found in shared.values()), *top[: 2 * MAX_CLASSES_SHOWN], *last]


def _without_boxes(rows: Sequence[Shown]) -> Shown:
    """One row for all classes that have no box in the split."""
    names = [f"`{row.name}`" for row in rows[:MAX_NAMED]]
    more = f" and {len(rows) - MAX_NAMED} more" if len(rows) > MAX_NAMED else ""
    told = f"{', '.join(names)}{more} have no box in this split: they have no AP, which is not an AP of 0."
    return msgspec.structs.replace(rows[0], name=f"{len(rows)} classes", sentence=told)


def _in_one(rows: Sequence[Shown]) -> Shown:
    """One row for many classes of one cause: means, and what is said of the class that loses most."""
    worst = max(rows, key=lambda row: row.d_ap or 0.0)
    means = {name: _mean([getattr(row, name) for row in rows]) for name in ("ap", "ap50", "d_ap")}
    return msgspec.structs.replace(worst, name=f"{len(rows)} classes", **means)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
