"""A tuning with Ray Tune: trainings side by side, weak trials of the search stopped early.

Search and proof are one run of Tune, so that the processes of the search, which have imported TensorFlow, go on with
the proof. A tuning that was cut off goes on from the workspaces of its trials, not through ``Tuner.restore``:
that works with and without Ray alike, and loads no pickle from the output folder.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import Searcher

from detray.cluster.hosts import LOOK, Watch
from detray.tune.bench import Bench
from detray.tune.course import Course
from detray.tune.objective import focus_ap
from detray.tune.trial import Trial, as_array, conclude, read_end, run_trial

METRIC = "focus_ap"
"""What schedulers compare: the focus classes' mean AP in the epoch that a trial is so far."""

SECONDS = "trained_seconds"
"""Since a trial's beginning."""

RAY = "ray"
"""In the search's workspace: where Tune keeps its own state."""

GRACE, LEAST_GRACE = 8, 2
"""No trial is stopped in the first of so many parts of the epochs, nor before so many: of classes without an AP
trials are equal, and equal ones go on."""

REDUCTION = 3
"""ASHA lets the best of this many go on at each rung (Li et al., MLSys 2020)."""

MAX_FAILURES = 3
"""How often a trial whose process or machine died is run again."""


def run_trials(
    course: Course,
    on_trial: Callable[[], None],
    workers: int,
    watch: Callable[[float], Watch] = functools.partial(Watch, lambda event: None),  # noqa: B008 - makes nothing yet
) -> None:
    """Run every training of ``course`` on the cluster that this process is connected to.

    Each holds the CPUs and GPUs that `Bench` asks for; at most ``workers`` run at once. ``watch``, of such CPUs, tells
    of machines that die.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # results lie in the workspace and tables
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it prints the traceback of each process that dies
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # else an interrupt ends the search as if it were whole
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output prints boxes even with verbose=0
    bench = course.search.bench
    bench.workspace.below(RAY).clear()
    resources = {"cpu": bench.cpus} | ({"gpu": bench.gpus} if bench.gpus else {})
    reasons: dict[str, str] = {}
    tuner = Tuner(
        tune.with_resources(functools.partial(_train, bench=bench), resources),
        tune_config=TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=_Proposals(course, reasons, on_trial),
            scheduler=_scheduler(course, reasons),
            num_samples=-1,  # the course knows when it is over
            max_concurrent_trials=None if bench.gpus else max(int(workers / bench.cpus), 1),
            reuse_actors=True,  # importing TensorFlow costs a process seconds
        ),
        run_config=RunConfig(
            name=RAY,
            storage_path=bench.workspace.store.path(*bench.workspace.place),
            storage_filesystem=bench.workspace.store.fs,
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            verbose=0,
        ),
    )
    with _watched(course, watch(bench.cpus)):
        tuner.fit()


@contextmanager
def _watched(course: Course, watch: Watch) -> Iterator[None]:
    """Look for machines that have died, beside Tune, which says nothing of them."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            watch.look(course.running, now=True)
        watch.look(course.running, now=True)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _train(config: dict[str, Any], bench: Bench) -> None:
    def report(epoch: int, ap: list[float | None], seconds: float) -> bool:
        score = focus_ap(as_array(ap), bench.is_focus)
        tune.report({"epoch": epoch, METRIC: -1.0 if score is None else score, SECONDS: seconds})
        return True  # it is Tune that stops a trial

    run_trial(bench, config["trial"], report)


class _Proposals(Searcher):
    """Tune's view of a `Course`; ``reasons`` why a trial of Tune's failed, by its id."""

    def __init__(self, course: Course, reasons: Mapping[str, str], on_trial: Callable[[], None]) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._course = course
        self._reasons = reasons
        self._on_trial = on_trial
        self._running: dict[str, Trial] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune saves a copy to restore from, which is never used; the callback may hold a terminal
        return {name: value for name, value in self.__dict__.items() if name != "_on_trial"}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        trial = self._course.next()
        if trial is None:
            return Searcher.FINISHED if self._course.is_over else None
        self._running[trial_id] = trial
        return {"trial": trial}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self._running.pop(trial_id)
        bench = self._course.search.bench
        # a trial that the scheduler stops, or whose process dies, does not come to write its end
        if error:
            reason = f"its process died {MAX_FAILURES + 1} times: {self._reasons.get(trial_id, 'nobody knows why')}"
            end = conclude(bench, trial, "failed", error=reason)
        else:
            end = read_end(bench, trial) or conclude(bench, trial, "stopped")
        self._course.finish(end)
        self._on_trial()


class _Patient(FIFOScheduler):
    """Stops trials where the budget ends, and no others.

    It never stops the baseline, against whose end all others are measured, a trial in its last epoch, or a training of
    the proof, of which the schedulers below see nothing. It keeps in ``reasons`` why a trial of Tune's failed.
    """

    def __init__(self, course: Course, reasons: dict[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._course = course
        self._reasons = reasons
        self._reached: dict[str, int] = {}

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        # what `run_trial` does not record: that of its process, or of its machine
        lines = Path(trial.error_file).read_text(errors="replace").strip().splitlines() if trial.error_file else []
        self._reasons[trial.trial_id] = lines[-1][:300] if lines else "nobody knows why"
        super().on_trial_error(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if trial.config["trial"].phase == "search":
            super().on_trial_complete(tune_controller, trial, result)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        own = trial.config["trial"]
        if own.phase == "proof":
            return TrialScheduler.CONTINUE
        decision: str = super().on_trial_result(tune_controller, trial, result)
        epoch = self._reached[trial.trial_id] = result["epoch"]
        goes_on = self._course.goes_on(own, epoch, seconds=result.get(SECONDS, 0.0))
        if own.is_baseline or epoch == own.settings.epochs:
            return TrialScheduler.CONTINUE
        return self._patiently(decision, epoch) if goes_on else TrialScheduler.STOP

    def _patiently(self, decision: str, epoch: int) -> str:
        """What a scheduler decides once it can tell the best of `REDUCTION`: no trial is stopped before so many, itself
        among them, have come as far."""
        there = sum(other >= epoch for other in self._reached.values())
        return TrialScheduler.CONTINUE if there < REDUCTION else decision


class _PatientASHA(_Patient, ASHAScheduler):
    """ASHA, but for what `_Patient` says."""


class _PatientMedian(_Patient, MedianStoppingRule):
    """The median stopping rule (Golovin et al., KDD 2017), but for what `_Patient` says."""


def _scheduler(course: Course, reasons: dict[str, str]) -> TrialScheduler:
    search = course.search
    epochs = search.space.baseline.epochs
    grace = max(LEAST_GRACE, epochs // GRACE)
    if search.settings.scheduler == "asha":
        settings = {"grace_period": grace, "reduction_factor": REDUCTION}
        return _PatientASHA(course, reasons, time_attr="epoch", max_t=epochs + 1, **settings)  # a trial ends by itself
    if search.settings.scheduler == "median":
        return _PatientMedian(
            course,
            reasons,
            time_attr="epoch",
            grace_period=grace,
            min_samples_required=REDUCTION,
            min_time_slice=float("inf"),  # no trial gives way to others before its end
        )
    return _Patient(course, reasons)
