"""Advice about models that were really trained: the first cause of each harmed class, and what its remedy regains.

Run ``python benchmarks/trained.py BCCD`` (about half an hour on two cores). ``BCCD`` is that data set's folder, in
Pascal VOC form; the other data are the pictures of ``detray demo``. The small network is trained on clean labels and on
labels or settings with a fault, and models of clean labels are judged on splits with a fault, for ``--seeds`` seeds,
by ``detray audit`` and ``detray diagnose --serial``. A class is harmed where the fault costs it .05 AP; if it is not
weak by itself, ``diagnose.classes`` names it. What a run says is compared with what is true; then the remedy of the
first cause is followed, and AP measured again. A review by hand gives the true labels of the split that it blames.

With ``--cache`` trainings are kept, and a second run predicts, evaluates and diagnoses; detections that stand in
``--results`` are used again too, so that it only diagnoses.
"""

import argparse
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import strftime
from zlib import crc32

import numpy as np
from planted.data import Data, blood_cells, drawn
from planted.faults import Trial, trials
from planted.judge import HEALTHY, Judged, accusations, harmed, promises, summary, table, totals
from planted.plant import Case
from planted.remedy import follow
from planted.runs import Bench, NotTrainedError, Result


@dataclass
class Running:
    """All trials of a command."""

    bench: Bench
    cells: Path | None

    def __post_init__(self) -> None:
        self.judged: list[Judged] = []
        self.accused: list[str] = []
        self.n_healthy = 0
        self._clean: dict[tuple[str, int], Result] = {}
        self._alone: dict[tuple[str, int], list[str]] = {}

    @cached_property
    def data(self) -> dict[str, Data]:
        cells = {} if self.cells is None else {"cells": blood_cells(self.cells.resolve())}
        return cells | {"drawn": drawn(self.bench.cache / "drawn")}

    def clean(self, data: Data, seed: int) -> Result:
        """The model that is trained and judged on true labels."""
        if (data.name, seed) not in self._clean:
            name, case = f"{data.name} clean {seed}", self.bench.clean(data, seed)
            result = self.bench.run(data, case, name, self.bench.model(data, case, name), [])
            self._clean[data.name, seed] = result
            self._healthy(name, result, set())
        return self._clean[data.name, seed]

    def case(self, trial: Trial, seed: int) -> Case:
        """What the faults make of the clean data."""
        case = self.bench.clean(self.data[trial.data], seed)
        for fault in trial.faults:
            case = fault.plant(case, np.random.default_rng([seed, crc32(fault.name.encode())]))
        return case

    def trial(self, trial: Trial, seed: int) -> None:
        """Run a trial, and note what was said of the classes."""
        data, case = self.data[trial.data], self.case(trial, seed)
        clean, name = self.clean(data, seed), f"{trial.data} {trial.name} {seed}"
        model = self.bench.model(data, case, f"{trial.data} {_in_training(trial)} {seed}")
        given = self.bench.run(data, case, name, model, [])
        own = harmed(trial, seed, clean, given)
        if any(not row.causes for row in own):
            given = self.bench.run(data, case, name, model, [row.category for row in own])
        alone = {fault.name: self._alone.get((fault.name, seed), list(given.ap)) for fault in trial.faults}
        own = harmed(trial, seed, clean, given, alone)
        if len(trial.faults) == 1:
            self._alone[trial.name, seed] = [row.category for row in own]
        self.judged += own
        self._healthy(name, given, {row.category for row in own})
        for row in own:  # what takes a training comes last
            with suppress(NotTrainedError):
                self.deliver(row, trains=False)

    def _healthy(self, name: str, given: Result, harmed: set[str]) -> None:
        """Count the classes that are well, and what is said of them."""
        self.n_healthy += sum(ap50 >= HEALTHY and category not in harmed for category, ap50 in given.ap50.items())
        self.accused += [f"{name}: {category} {cause}" for category, cause in accusations(given, harmed)]

    def deliver(self, row: Judged, *, trains: bool) -> None:
        """Follow the remedy of the first cause, if it says what that regains, and measure what it does.

        Raises:
            NotTrainedError: that takes a training, which is not asked for.
        """
        if row.first is None or row.said is None or row.delivered is not None:
            return
        bench = self.bench if trains else replace(self.bench, trains=False)
        data, case = self.data[row.trial.data], self.case(row.trial, row.seed)
        mended = follow(row.first, case, data)
        if mended is None:
            return
        row.delivered = self._ap(bench, data, case, mended, row) - row.ap

    def _ap(self, bench: Bench, data: Data, case: Case, mended: Case, row: Judged) -> float:
        """AP of a class after the mend."""
        if mended == self.bench.clean(data, row.seed):
            return self.clean(data, row.seed).ap.get(row.category, 0.0)
        cause = "" if row.first is None else row.first["cause"]
        name = f"{data.name} {row.trial.name} {row.seed} {cause}"
        parts = [(one.documents["train"], one.detector, one.train) for one in (case, mended)]
        if parts[0] != parts[1]:  # settings of a training can name the class
            name += f" {row.category}"
        model = bench.model(data, mended, f"{name} mended")
        return bench.run(data, mended, f"{name} mended", model, []).ap.get(row.category, 0.0)


def _in_training(trial: Trial) -> str:
    """What the faults that the training meets are called."""
    return " + ".join(fault.name for fault in trial.faults if fault.in_training) or "clean"


def _run_all(running: Running, seeds: int, only: list[str], note: Path) -> None:
    for seed in range(seeds):
        for trial in trials(only):
            if trial.data not in running.data:
                continue
            try:
                running.trial(trial, seed)
            except NotTrainedError:
                print(f"not trained: {trial.name}, seed {seed}", file=sys.stderr)
                continue
            with note.open("a") as stream:
                stream.write(f"{strftime('%H:%M:%S')} {trial.data}: {trial.name}, seed {seed}\n")
    for row in running.judged:
        try:
            running.deliver(row, trains=True)
        except NotTrainedError:
            print(f"not trained again: {row.trial.name}, seed {row.seed}, {row.category}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, metavar="BCCD", nargs="?", help="without it only the drawn pictures")
    parser.add_argument("--cache", type=Path, help="folder in which trainings are kept")
    parser.add_argument("--results", type=Path, help="folder of the runs; results in the cache if it is not given")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORDS", help="trials whose name holds one of these")
    parser.add_argument("--cached", action="store_true", help="train nothing: leave out what is not in the cache")
    parser.add_argument("--each", action="store_true", help="print a row for each class and seed too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="detray-trained-") as temporary:
        cache = (options.cache or Path(temporary)).resolve()
        bench = Bench(cache, (options.results or cache / "results").resolve(), trains=not options.cached)
        bench.results.mkdir(parents=True, exist_ok=True)
        running = Running(bench, options.cells)
        _run_all(running, options.seeds, options.only, bench.results / "finished.txt")
    print(summary(running.judged))
    print()
    print(promises(running.judged))
    print()
    if options.each:
        print(table(running.judged))
        print()
    print(totals(running.judged, running.accused, running.n_healthy))


if __name__ == "__main__":
    main()
