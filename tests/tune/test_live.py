"""What is known of a tuning while it runs, and to the one who interrupts it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from outputs import run_stage
from test_tune_stage import Played, play, sharp

from detray.console import Bar
from detray.detectors.settings import TrainSettings
from detray.detectors.training.events import Event
from detray.flow.executor import InProcess
from detray.flow.outcome import Silent, Table
from detray.formats.tfrecord.records import map_file, records
from detray.pipeline.fields import from_protobuf, message_class
from detray.store import Store
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.tune import STAGE

__all__ = ["play"]

Play = Callable[..., Played]


class Shown(Silent):
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.tables: list[Table] = []

    def show(self, table: Table) -> None:
        self.tables.append(table)


def test_rows_and_curves_stand_there_while_it_runs(store: Store, config: Config, play: Play) -> None:
    """Each epoch sees the rows of those before it."""
    work = Path(store.root, "tune/_partial/work/trials")
    seen: list[int] = []
    curves: list[int] = []

    def watched(settings: TrainSettings, label: int) -> float:
        if label == 0:
            files = sorted((work / "trial_class_metrics").glob("*.parquet"))
            seen.append(sum(pq.read_table(file).num_rows for file in files))
            curves.append(len(list(work.glob("tensorboard/*/events*"))))
        return sharp(settings, label)

    play(watched)
    run_stage(STAGE, Context(config, store, InProcess()))
    assert seen[:7] == [0, 2, 4, 6, 8, 10, 12]
    assert max(curves) == 7
    for trial in store.read("trials").to_pylist():
        file = Path(store.root, "tune/tensorboard", trial["trial_id"])
        (path,) = file.iterdir()
        data = map_file(str(path))
        events = [from_protobuf(Event, message_class(Event).FromString(one)) for _, one in records(data, 0, len(data))]
        assert [event.step for event in events] == [0, 1, 2, 3]
        assert events[1].wall_time < events[2].wall_time < events[3].wall_time
        tags = {value.tag for value in events[1].summary.value}
        assert tags == {
            *("train/class_loss", "train/box_loss", "val/focus_ap", "val/focus_ap50"),
            *(f"val/{metric}/{name}" for metric in ("ap", "ap50") for name in ("red", "blue")),
        }


def test_the_table_of_what_is_known(store: Store, config: Config, play: Play) -> None:
    play(sharp)
    shown = Shown()
    run_stage(STAGE, Context(config, store, InProcess(), progress=shown))
    trials = {row["trial_id"]: row for row in store.read("trials").to_pylist()}
    table = next(table for table in reversed(shown.tables) if table.rows[0][0].startswith("search"))
    assert table.title == "trials so far, best first, by blue"
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert set(rows) == {name for name in trials if name.startswith("search")}
    assert table.rows[0][3] == max(row["focus AP"] for row in rows.values())
    base = rows["search-0000"]
    assert (base["changed"], base["guard"], base["epoch"]) == ("as configured", "", "3/3")
    better = next(row for row in rows.values() if "oversample blue x2" in row["changed"])
    assert re.fullmatch(r"red [+-]0\.\d{3}", better["guard"])
    low, high = map(float, re.fullmatch(r"\[(\S+), (\S+)\]", better["95% over images"]).groups())  # type: ignore[union-attr]
    assert low < better["focus AP"] < high
    proofs = shown.tables[-1]
    assert {row[1] for row in proofs.rows} == {"seed 1", "seed 2"}


def test_who_interrupts_is_told_what_is_known(
    store: Store, config: Config, play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(settings: TrainSettings, label: int) -> float:
        calls.append(settings)
        if len(calls) > 9:  # two classes a call: in the second trial's second epoch
            raise KeyboardInterrupt
        return sharp(settings, label)

    calls: list[Any] = []
    play(interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, Context(config, store, InProcess(), progress=Bar()))
    lines = capsys.readouterr().err.splitlines()
    known = [line.strip() for line in lines if ": AP of blue" in line]
    interval = r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]"
    assert re.fullmatch(rf"search-0000 \(as configured\): AP of blue {interval}, epochs 3/3, completed", known[0])
    assert re.fullmatch(rf"search-0001 \(.+\): AP of blue {interval}, epochs 1/3, running; red .+", known[1])
    assert lines[-1].strip() == "all this is kept, and the same command goes on from there"
