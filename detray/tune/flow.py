"""``detray tune``: search the train settings for the focus classes, and prove the gain on fresh seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.events import event_file
from detray.detectors.training.history import EVENTS
from detray.errors import DetrayError, UsageError
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome
from detray.flow.step import NoFacts, Output, Step
from detray.pipeline.read import PipelineFile
from detray.tune import live, rows, summary
from detray.tune.auto import Auto, Grounds, auto_space, read_remedies
from detray.tune.bench import Bench
from detray.tune.course import Course
from detray.tune.finals import Candidate, best_candidate
from detray.tune.focus import find_focus, read_classes
from detray.tune.proof_stage import ProofStage, proof_stage, require_boxes
from detray.tune.search import Search
from detray.tune.settings import TuneSettings
from detray.tune.space import Space, require_settable, require_whole_grid, search_space
from detray.tune.survey import survey
from detray.tune.trainer import Preparation, TrainerKind
from detray.tune.trial import LOG, End, Trial, epochs, place, read_model
from detray.tune.watch import Watch
from detray.tune.winner import as_pipeline, changes, next_step, sentence

BEST = "best"
"""The folder of the winner below the stage's: ``model/`` and ``config.yaml``."""
LOGS = "logs"
"""The folder of what programs printed that trained, by trial."""

NOT_TUNED = "no class to tune: tune.focus is empty, and diagnose found no weak class that has an AP in the split val"
NO_STEP = "nothing: no class is weak (tune.focus names some to tune all the same)"

RunTrials = Callable[[Course, Callable[[], None]], None]
"""Runs every training of a course to its end, and calls the second argument after each."""


@dataclass(frozen=True)
class Request:
    """The settings, and who trains.

    ``configure`` gives the configuration of a whole run with settings of both kinds, tuned for some classes, and
    the files of a model, as YAML text. ``again`` is the command that tunes once more. ``pipeline`` is a pipeline.config
    that the winner's settings are also written to.
    """

    run: str
    detector: DetectorSettings
    predict: PredictSettings
    train: TrainSettings
    tune: TuneSettings
    trainer: TrainerKind
    configure: Callable[[TrainSettings, DetectorSettings, tuple[str, ...], Sequence[str]], str]
    again: str
    pipeline: PipelineFile | None = None


@dataclass(frozen=True)
class Finish:
    """The task of the last step."""

    search: Search
    proofs: Sequence[End]
    candidate: Candidate | None
    best: Trial
    configure: Callable[[Sequence[str]], str]
    pipeline: str | None


def finish(bench: Bench, task: Finish) -> Output[NoFacts]:
    """The tables, and the best trial's model and configuration."""
    ends = [*task.search.ends.values(), *task.proofs]
    model = read_model(bench, task.best)
    files = {f"{BEST}/model/{name}": content for name, content in model.items()}
    files[f"{BEST}/config.yaml"] = task.configure(list(model)).encode()
    for end in ends:
        if points := [live.point(bench, number, one) for number, one in enumerate(epochs(bench, end.trial), 1)]:
            files[f"{live.CURVES}/{end.trial.trial_id}/{EVENTS}"] = event_file(points)
        if (log := place(bench, end.trial).read(LOG)) is not None:
            files[f"{LOGS}/{end.trial.trial_id}.log"] = log
    if task.pipeline is not None:
        files[f"{BEST}/pipeline.config"] = task.pipeline.encode()
    return Output(
        NoFacts(),
        {
            "trials": rows.trials(task.search, task.proofs, task.best),
            "trial_class_metrics": rows.trial_class_metrics(bench, ends),
            "class_deltas": rows.class_deltas(bench, task.candidate),
        },
        files=files,
    )


FINISH = Step[Bench, Finish, NoFacts]("results", finish, NoFacts)


def tune(flow: Flow, request: Request, run_trials: RunTrials) -> Outcome:
    """Search around the train settings, prove the best trials on fresh seeds, and keep what is proven to gain.

    Raises:
        UsageError: a focus class is not there, or nothing can be varied.
        DetrayError: a focus class cannot be judged, or the baseline cannot be trained.
    """
    request = replace(request, train=request.trainer.baseline(request.train))
    classes = read_classes(flow.data)
    focus = find_focus(flow.data, request.tune.focus, classes.all)
    if not focus:
        return Outcome(facts={"is_win": False, "best": None, "focus": []}, notes=[NOT_TUNED], next_step=NO_STEP)
    space, told = _space(flow, request, {classes.all[number]: number for number in focus})
    stage = proof_stage(flow.data, request.tune)
    ready = request.trainer.prepare(
        flow, Preparation(request.run, request.detector, request.predict, classes.trained, space, stage)
    )
    require_boxes(focus, classes.all, ready.found, stage)
    bench = Bench(
        *(request.run, ready.trainer, classes.all, focus, ready.truth, ready.proof_truth, flow.workspace("trials")),
        *(request.trainer.cpus, request.trainer.gpus, request.tune.objective == "ap_time", request.tune.guard.max_drop),
    )
    search = Search(bench, space, request.tune)
    course = Course(search)
    search.budget.begin()
    with Watch(flow, course) as watch:
        run_trials(course, watch.ended)
    if (end := search.ends[search.baseline.trial_id]).status != "completed":
        raise DetrayError(f"the baseline, the configuration as given, could not be trained: {end.error}")
    proofs = [course.ends[trial_id] for trial_id in course.proofs]
    candidate = best_candidate(search, {end.trial.trial_id: end for end in proofs})
    return _concluded(flow, request, search, proofs, candidate, stage, dict(ready.counts), told)


def _concluded(
    flow: Flow,
    request: Request,
    search: Search,
    proofs: list[End],
    candidate: Candidate | None,
    stage: ProofStage,
    counts: dict[str, int],
    told: Auto | None,
) -> Outcome:
    """Write the tables and the best trial's model, and say what came of the search."""
    bench, winner = search.bench, candidate if candidate is not None and candidate.proof.is_win else None
    best = winner.trial if winner is not None else search.baseline
    configure = partial(request.configure, best.settings, best.detector, bench.focus_names)
    pipeline: str | None = None
    lines: list[str] = []
    if request.pipeline is not None and winner is not None:
        pipeline, lines = as_pipeline(request.pipeline, changes(search, winner), best.detector)
    flow.reduce(FINISH, bench, Finish(search, proofs, candidate, best, configure, pipeline))
    facts = {
        "is_win": winner is not None,
        "best": best.trial_id,
        "focus": list(bench.focus_names),
        "proof_split": stage.name,
        "sentence": sentence(search, candidate, stage.name),
        "pipeline": lines,
    }
    return Outcome(
        counts=counts,
        facts=facts | summary.space_facts(told),
        seeds={"search": request.tune.seed, "train": request.train.seed},
        summary=summary.summary(search, candidate),
        notes=[
            *(*summary.space_notes(told), *stage.notes, *summary.budget_notes(search), *summary.front_notes(search)),
            *(sentence(search, candidate, stage.name), *lines),
        ],
        next_step=next_step(search, candidate, request.again),
    )


def _require_budget(request: Request) -> None:
    if request.tune.gpu_hours is not None and not request.trainer.gpus:
        raise UsageError("tune.gpu_hours is stated, and a trial holds no GPU; state minutes or max_epochs")
    most, epochs = request.tune.max_epochs, request.train.epochs
    if most is not None and most <= epochs:
        raise UsageError(f"tune.max_epochs is {most}, and the baseline alone takes {epochs} (train.epochs); raise it")


def _space(flow: Flow, request: Request, focus: Mapping[str, int]) -> tuple[Space, Auto | None]:
    """The space, and where it follows from the diagnosis, what is said about it; a budget that it breaks is refused."""
    _require_budget(request)
    auto = None
    if request.tune.space == "auto":
        ids = tuple(focus.values())
        grounds = Grounds(
            request.train, request.detector, survey(flow, ids), focus, request.trainer.refusal, request.trainer.usual
        )
        auto = auto_space(read_remedies(flow.data, ids), grounds)
    trainer = request.trainer
    space = (
        auto.space
        if auto
        else search_space(request.tune, request.train, tuple(focus), request.detector, own=trainer.own)
    )
    require_settable(space, trainer.refusal)
    if request.tune.objective == "ap_time" and len(space.detectors) < 2:
        raise UsageError(
            "tune.objective is ap_time, and tune.space varies nothing of the detector; add a detector.NAME"
        )
    if request.tune.search == "grid":
        require_whole_grid(space, request.tune.trials)
    return space, auto
