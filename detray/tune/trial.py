"""One trial: train one configuration and keep what every epoch came to, class by class.

A trial may fail in any way; its end then says so, and the tuning goes on. Everything that a trial came
to lies in its workspace, each epoch and its end. So a trial that was cut off goes on after its last
whole epoch, wherever it is run again.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from time import perf_counter, time
from typing import Any, Literal

import msgspec
import numpy as np

from detray.arrays import Floats
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import DamagedError, DetrayError
from detray.evaluate.scores import class_scores
from detray.flow.epochs import epoch_file
from detray.flow.workspace import Workspace
from detray.tune import live
from detray.tune.bench import Bench
from detray.tune.objective import focus_ap, jackknife_error, objective
from detray.tune.trainer import Model, Reported

Status = Literal["completed", "stopped", "failed"]
Values = list[float | None]
"""A number for each class, None without ground truth."""
Report = Callable[[int, Values, float], bool]
"""Called after each epoch with its number, every class's AP in the epoch that the trial is so far (`kept_among`) and
the seconds since the beginning; whether the trial goes on."""

CHECKPOINT, MODEL, END = "checkpoint", "model", "end.json"
"""In a trial's workspace: two folders and its end."""
NAMES, LOG = "model.json", "program.log"
"""The names of the model's files, beside its folder; and what the program that trains has printed, if one does."""

AP50, AP75 = 0, 5
"""Positions of these among the ten IoU thresholds."""


class Trial(msgspec.Struct, frozen=True):
    """A configuration to train. ``phase``: search on the configured seed, or proof on a fresh one; ``own`` are values
    of the trainer's own configuration, by dotted name."""

    trial_id: str
    phase: Literal["search", "proof"]
    settings: TrainSettings
    detector: DetectorSettings
    is_baseline: bool = False
    own: dict[str, Any] = {}


class Epoch(msgspec.Struct, frozen=True):
    """What an epoch came to: by class, in the order of their ids; seconds since the trial's beginning.

    ``error`` is the standard error of the focus classes' mean AP over the images; ``ended`` in seconds since 1970.
    """

    ap: Values
    ap50: Values
    ap75: Values
    class_loss: float | None
    box_loss: float | None
    seconds: float
    error: float | None = None
    ended: float = 0.0


NO_EPOCH = Epoch([], [], [], 0.0, 0.0, 0.0)


class Judgement(msgspec.Struct, frozen=True):
    """What the model of a proof came to: by class, and the AP without each group of images."""

    ap: Values
    ap50: Values
    left_out: list[Values]


class End(msgspec.Struct, frozen=True):
    """What a trial came to: how many epochs are whole, the last of these, and the one that it is, whose weights the
    training keeps; number 0 and `NO_EPOCH` where there was none. ``milliseconds`` are of inference a picture, where it
    was timed."""

    trial: Trial
    status: Status
    epochs: int
    last: Epoch
    kept_epoch: int
    kept: Epoch
    gpu_seconds: float
    error: str | None
    judgement: Judgement | None = None
    milliseconds: float | None = None


def run_trial(bench: Bench, trial: Trial, report: Report = lambda epoch, ap, seconds: True) -> End:
    """Run ``trial``, or what is left of it.

    A search trial leaves its model in its workspace; a proof trial, in its end, how that is judged.
    """
    before = epochs(bench, trial)

    def told(whole: Sequence[Epoch]) -> bool:
        return report(len(whole), whole[kept_among(bench, trial, whole) - 1].ap, whole[-1].seconds)

    goes_on = [told(before[:number]) for number in range(1, len(before) + 1)]
    if (end := read_end(bench, trial)) is not None:
        return end
    if not all(goes_on):
        return conclude(bench, trial, "stopped")
    workspace = place(bench, trial)
    start = perf_counter() - (before[-1].seconds if before else 0.0)
    whole = [*before]

    def on_epoch(result: Reported) -> float | None:
        if result.epoch > len(before):
            epoch = _scored(bench, result, perf_counter() - start)
            write_epoch(bench, trial, result.epoch, epoch)
            whole.append(epoch)
            if not told(whole) and result.epoch < trial.settings.epochs:
                raise _Stopped
        return best_so_far(bench, trial, whole[: result.epoch]) or None

    judgement = milliseconds = None
    try:
        model = bench.trainer.train(trial, workspace, on_epoch)
        if trial.phase == "search":
            milliseconds = model.milliseconds() if bench.is_timed else None
            _keep(model, workspace)
        else:
            judgement = _judged(bench, model)
    except DamagedError:
        raise
    except _Stopped:
        return conclude(bench, trial, "stopped")
    except DetrayError as error:
        return conclude(bench, trial, "failed", error=str(error))
    except Exception as error:  # whatever it was, the other trials go on
        return conclude(bench, trial, "failed", error=f"{type(error).__name__}: {str(error).strip()[:500]}")
    return conclude(bench, trial, "completed", judgement=judgement, milliseconds=milliseconds)


class _Stopped(Exception):
    """Nothing of the budget is left."""


def best_so_far(bench: Bench, trial: Trial, whole: Sequence[Epoch]) -> int:
    """The number of the epoch whose weights a training keeps after those that are ``whole``, of equal ones the first; 0
    where no focus class has an AP.

    By what ``train.best_by`` says, an epoch is worth its focus classes less what it costs the others (`objective`),
    which are held against their own best so far: the AP of a class with few boxes goes up and down, and is often
    highest in an early epoch, at which the others are not learnt yet. Weights of earlier epochs are gone, so that only
    the last one may take the place of the one that is kept.
    """
    rows = [as_array(epoch.ap if trial.settings.best_by == "ap" else epoch.ap50) for epoch in whole]
    kept, most = 0, None
    for number, row in enumerate(rows, 1):
        most = row if most is None else np.fmax(most, row)
        old, new = (objective(one, most, bench.is_focus, bench.max_drop) for one in (rows[kept - 1], row))
        if new is not None and (not kept or old is None or new > old):
            kept = number
    return kept


def kept_among(bench: Bench, trial: Trial, whole: Sequence[Epoch]) -> int:
    """The number of the epoch that a trial is after those that are ``whole``: the best or the last, as train.keep says;
    0 where there is none."""
    best = best_so_far(bench, trial, whole) if trial.settings.keep == "best" else 0
    return best or len(whole)


def _keep(model: Model, workspace: Workspace) -> None:
    files = model.files()
    for name, data in files.items():
        workspace.below(MODEL).write(name, data)
    workspace.write_json(NAMES, list(files))


def read_model(bench: Bench, trial: Trial) -> dict[str, bytes]:
    """The files of the model that a completed trial of the search left.

    Raises:
        DamagedError: one is gone.
    """
    workspace = place(bench, trial)
    folder = workspace.below(MODEL)
    found = {name: folder.read(name) for name in workspace.read_json(NAMES, list[str]) or ()}
    lost = [name for name, content in found.items() if content is None]
    if lost:
        raise folder.damaged(lost[0], "gone")
    if not found:
        raise workspace.damaged(NAMES, "gone")
    return {name: content for name, content in found.items() if content is not None}


def _judged(bench: Bench, model: Model) -> Judgement:
    found, image_ids = model.proven()
    scores = class_scores(bench.proof_truth, found, bench.class_ids, bench.image_groups(bench.proof_truth, image_ids))
    return Judgement(
        as_json(scores.ap.mean(axis=1)), as_json(scores.ap[:, AP50]), [as_json(row) for row in scores.left_out]
    )


def _scored(bench: Bench, result: Reported, seconds: float) -> Epoch:
    groups = bench.image_groups(bench.truth)
    scores = class_scores(bench.truth, result.detections, bench.class_ids, groups, bench.focus)
    return Epoch(
        as_json(scores.ap.mean(axis=1)),
        as_json(scores.ap[:, AP50]),
        as_json(scores.ap[:, AP75]),
        result.class_loss,
        result.box_loss,
        seconds,
        jackknife_error(scores.left_out, bench.is_focus),
        time(),
    )


def conclude(
    bench: Bench,
    trial: Trial,
    status: Status,
    error: str | None = None,
    judgement: Judgement | None = None,
    milliseconds: float | None = None,
) -> End:
    """Write the trial's end."""
    whole = epochs(bench, trial)
    number = kept_among(bench, trial, whole)
    last, kept = (whole[-1], whole[number - 1]) if whole else (NO_EPOCH, NO_EPOCH)
    seconds = bench.gpus * last.seconds
    end = End(trial, status, len(whole), last, number, kept, seconds, error, judgement, milliseconds)
    workspace = place(bench, trial)
    with suppress(OSError):  # a process that was told to stop may still write there; the folder goes with the commit
        workspace.below(CHECKPOINT).clear()
    workspace.write_json(END, end)
    return end


def place(bench: Bench, trial: Trial) -> Workspace:
    """The trial's own workspace."""
    return bench.workspace.below(trial.trial_id)


def read_end(bench: Bench, trial: Trial) -> End | None:
    """The end of a trial; None while it runs."""
    return place(bench, trial).read_json(END, End)


def write_epoch(bench: Bench, trial: Trial, number: int, epoch: Epoch) -> None:
    """Keep what epoch ``number`` of a trial came to."""
    place(bench, trial).write_json(epoch_file(number), epoch)
    live.write(bench, trial.trial_id, number, epoch)


def read_epoch(bench: Bench, trial: Trial, number: int) -> Epoch | None:
    """What epoch ``number`` of a trial came to; None if it is not whole."""
    return place(bench, trial).read_json(epoch_file(number), Epoch)


def epochs(bench: Bench, trial: Trial) -> list[Epoch]:
    """The trial's whole epochs."""
    numbers = count(1)
    return list(iter(lambda: read_epoch(bench, trial, next(numbers)), None))


def described(bench: Bench, content: bytes, before: bytes | None) -> str:
    """What was kept of an epoch, in words."""
    epoch = msgspec.json.decode(content, type=Epoch)
    start = msgspec.json.decode(before, type=Epoch).seconds if before else 0.0
    score = focus_ap(as_array(epoch.ap), bench.is_focus)
    focus = f", focus AP {score:.3f}" if score is not None else ""
    known = [part for part in (epoch.class_loss, epoch.box_loss) if part is not None]
    loss = f"loss {sum(known):.3f}" if known else "no loss known"
    return f"{loss}{focus}, {epoch.seconds - start:.1f} s"


def as_json(values: Sequence[float] | Floats) -> list[float | None]:
    """NaN becomes None."""
    return [None if math.isnan(value) else float(value) for value in values]


def as_array(values: Sequence[float | None]) -> Floats:
    """None becomes NaN."""
    return np.array([np.nan if value is None else value for value in values])
