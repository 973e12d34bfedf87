"""The steps of counter-tests: every shard evaluated with and without each remedy, and what the classes come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.diagnose.counter_tests.catalogue import BY_CAUSE
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.outcome import CounterTested, reranked
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet
from detray.diagnose.steps.classes import Shown, shown_of
from detray.diagnose.steps.others import MATCHED
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import ShardTask, Work, image_set, read_tables
from detray.evaluate.kernel import match
from detray.evaluate.kernel.accumulate import average_precision
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.store import ShardKey

TRIED = MATCHED.set(0, pa.field("trial", pa.int64()))
"""Matched detections; trial 2i is claim i without its remedy, 2i + 1 with it."""


@dataclass(frozen=True)
class TryShard:
    """A shard, its detections as given and under the images that they mean, and what is to be tried."""

    key: ShardKey
    source: DetectionSource
    renamed: DetectionSource
    faults: MappingFaults
    claims: tuple[Claim, ...]


class TrialBoxes(msgspec.Struct, frozen=True):
    """Boxes that count, by trial."""

    boxes: dict[int, int]


def read_both(work: Work, task: TryShard) -> dict[str, pa.Table]:
    """Images, annotations and detections of a shard, and the detections under the images that they mean."""
    found = read_tables(work, ShardTask(task.key, task.source))
    if task.renamed == task.source:
        return found
    renamed = read_tables(work, ShardTask(task.key, task.renamed))
    return found | {"renamed": renamed["detections"]}


def try_shard(work: Work, task: TryShard, tables: Mapping[str, pa.Table]) -> Output[TrialBoxes]:
    """Match the class of each claim without and with the remedy."""
    given = image_set(tables)
    renamed = image_set({**tables, "detections": tables["renamed"]}) if "renamed" in tables else given
    read: dict[tuple[str, ...], ImageSet] = {}

    def repaired(without: tuple[str, ...]) -> ImageSet:
        if without not in read:
            left = without_faults(task.faults, without)
            read[without] = left.repairs.apply(given if "pairing" in without else renamed)
        return read[without]

    parts, boxes = [], {}
    for number, claim in enumerate(task.claims):
        test = BY_CAUSE[claim.cause]
        sides = ((repaired(test.mends), claim.cap), (test.remedied(repaired(()), claim), test.cap(claim)))
        for trial, (images, cap) in enumerate(sides, 2 * number):
            rows, boxes[trial] = matched_class(images, claim.category, cap)
            parts.append(trial_rows(rows, trial))
    return Output(TrialBoxes(boxes), kept={"tried": pa.concat_tables([TRIED.empty_table(), *parts])})


def trial_rows(rows: pa.Table, trial: int) -> pa.Table:
    """Matched detections as those of a trial."""
    return rows.add_column(0, TRIED.field(0), pa.array(np.full(rows.num_rows, trial)))


def without_faults(faults: MappingFaults, names: Sequence[str]) -> MappingFaults:
    """All faults but those of these names."""
    nothing = MappingFaults()
    return replace(faults, **{name: getattr(nothing, name) for name in names})


def matched_class(images: ImageSet, category: int, cap: int) -> tuple[pa.Table, int]:
    """The detections of a class that count, matched, without the column ``trial``; and its number of boxes."""
    gt, dt = take(images.gt, images.gt.category == category), take(images.dt, images.dt.category == category)
    found = match(gt, dt, cap)
    rows = np.flatnonzero(found.kept)
    columns = (dt.score, dt.image, dt.rank, found.matched[:, 0], found.ignored[:, 0])
    table = pa.table([column[rows] for column in columns], schema=MATCHED.remove(0))
    return table, int((~gt.crowd).sum())


TRY: Step[Work, TryShard, TrialBoxes] = Step(
    "counter-test", try_shard, TrialBoxes, (Keep("tried", TRIED),), read_both, label="counter-tests", streams=True
)


@dataclass(frozen=True)
class Averaging:
    """Trials ``low`` to ``high`` of matched detections, and the boxes of each trial."""

    shards: tuple[Kept, ...]
    low: int
    high: int
    boxes: Mapping[int, int]


class TrialAps(msgspec.Struct, frozen=True):
    """AP by trial; None without boxes."""

    aps: dict[int, float | None]


def average_trials(work: Work, task: Averaging) -> Output[TrialAps]:
    """AP of some trials."""
    parts = []
    for kept in task.shards:
        own = kept.read(["trial"])["trial"].to_numpy()
        low, high = np.searchsorted(own, [task.low, task.high])
        parts.append(kept.slice(int(low), int(high)))
    rows = pa.concat_tables([TRIED.empty_table(), *parts])
    return Output(TrialAps(trial_aps(rows, range(task.low, task.high), task.boxes)))


def trial_aps(rows: pa.Table, trials: Iterable[int], boxes: Mapping[int, int]) -> dict[int, float | None]:
    """AP of each trial from its matched detections and its number of boxes; None without boxes."""
    trial, *columns = (rows[name].to_numpy() for name in TRIED.names)
    aps: dict[int, float | None] = {}
    for number in trials:
        n = boxes.get(number, 0)
        score, image, rank, matched, ignored = (column[trial == number] for column in columns)
        aps[number] = float(average_precision(score, image, rank, matched, ignored, n).mean()) if n else None
    return aps


AVERAGE: Step[Work, Averaging, TrialAps] = Step(
    "average-trials", average_trials, TrialAps, label="average counter-tests"
)


TRIALS_A_TASK = 32


def averaged(
    flow: Flow, work: Work, prefix: str, tried: Sequence[Kept], boxes: Mapping[int, int], end: int
) -> dict[int, float | None]:
    """AP of trials 0 to ``end`` of matched detections; ``boxes`` of each trial, ``prefix`` of the tasks' keys."""
    tasks = {
        f"{prefix}-{low:09d}": Averaging(tuple(tried), low, min(low + TRIALS_A_TASK, end), boxes)
        for low in range(0, end, TRIALS_A_TASK)
    }
    return {trial: ap for facts in flow.map(AVERAGE, work, tasks).facts for trial, ap in facts.aps.items()}


@dataclass(frozen=True)
class Settling:
    """Diagnoses of some classes, and what came of their counter-tests."""

    diagnoses: Kept
    tested: tuple[tuple[int, str, CounterTested], ...]
    tests_all: bool


class Settled(msgspec.Struct, frozen=True):
    """What is shown of some classes."""

    shown: list[Shown]


def settle(work: Work, task: Settling) -> Output[Settled]:
    """Write the diagnoses as their counter-tests leave them."""
    tested = {(category, cause): found for category, cause, found in task.tested}
    rows: list[dict[str, Any]] = reranked(task.diagnoses.read().to_pylist(), tested, promotes=task.tests_all)
    return Output(Settled(shown_of(rows)), {"diagnoses": schema.from_rows("diagnoses", rows, run=work.run)})


SETTLE: Step[Work, Settling, Settled] = Step("settle", settle, Settled, label="rank by counter-tests")
