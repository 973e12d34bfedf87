"""The stage ``tune``: search the train settings for the focus classes, and prove the gain on fresh seeds."""

import difflib
from functools import partial

import msgspec
import pyarrow.compute as pc

from detray.detectors.catalogue import require_trainable
from detray.errors import DetrayError, UsageError
from detray.settings import to_yaml
from detray.store import PARTIAL, Json, Stage, Store, absolute
from detray.tables import class_names, own_classes
from detray.tune import rows
from detray.tune.bench import TRAIN, VAL, Bench, Preparation, prepare
from detray.tune.finals import Candidate, best_candidate, finals
from detray.tune.search import Search
from detray.tune.space import search_space
from detray.tune.trial import MODELS, Trial, run_trial
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config

BEST = "best"
"""The folder of the winner below the stage's: ``model/`` and ``config.yaml``."""

NOT_TUNED = "no class to tune: tune.focus is empty, and diagnose found no weak class that has an AP in the split val"


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    config, store = context.config, context.store
    _check(config)
    categories = store.read("categories")
    trained = class_names(own_classes(categories.filter(pc.equal(categories["split"], TRAIN))))
    judged = categories.filter(
        pc.and_(pc.equal(categories["split"], VAL), pc.not_equal(categories["source"], "predictions"))
    )
    classes = class_names(judged) | trained
    focus = _focus(config, store, classes)
    if not focus:
        return Old([], facts={"is_win": False, "best": None, "focus": []}, notes=[NOT_TUNED])
    names = tuple(classes[number] for number in focus)
    bench = Bench(
        stage, config.name, config.detector, config.predict, trained, classes, focus, config.cluster.gpus_per_actor
    )
    prepared = _prepare(context, bench, done)
    space = search_space(config.tune, config.train, names, pretrained=config.detector.weights is not None)
    search = Search(bench, space, config.tune)
    context.progress.step("search", search.size)
    with context.timed("search"):
        context.executor.run_search(search, context.progress.advance)
    if (end := search.ends[search.baseline.trial_id])["status"] != "completed":
        raise DetrayError(f"the baseline, the configuration as given, could not be trained: {end['error']}")
    proofs = {receipt["shard"]: receipt["facts"] for receipt in _run_finals(context, search, done)}
    candidate = best_candidate(search, proofs)
    best = candidate.trial if candidate is not None and candidate.proof.is_win else search.baseline
    _write_best(context, stage, best, names)
    results = stage.write(
        "results",
        {
            "trials": rows.trials(search, list(proofs.values()), best),
            "trial_class_metrics": rows.trial_class_metrics(stage),
            "class_deltas": rows.class_deltas(bench, candidate),
        },
    )
    return Old(
        [*prepared, results],
        counts={
            "in": sum(receipt["facts"]["in"] for receipt in prepared),
            "kept": sum(receipt["facts"]["kept"] for receipt in prepared),
            "quarantined": sum(receipt["facts"]["in"] - receipt["facts"]["kept"] for receipt in prepared),
        },
        facts={"is_win": best is not search.baseline, "best": best.trial_id, "focus": list(names)},
        seeds={"search": config.tune.seed, "train": config.train.seed},
        summary=[_trials_summary(search), *([_classes_summary(bench, candidate)] if candidate else [])],
        notes=[_verdict(search, candidate)],
    )


def _check(config: Config) -> None:
    require_trainable(config.detector, "tuning")
    missing = [split for split in (TRAIN, VAL) if split not in config.dataset.splits]
    if missing:
        raise UsageError(f"tuning trains on the split train and judges on val; dataset.splits has no {missing[0]}")


def _focus(config: Config, store: Store, classes: dict[int, str]) -> tuple[int, ...]:
    """The ids of the classes to tune for: those named, else those diagnosed; sorted."""
    if not config.tune.focus:
        found = store.read("diagnoses", columns=["split", "category_id", "ap"])
        found = found.filter(pc.and_(pc.equal(found["split"], VAL), pc.is_valid(found["ap"])))
        return tuple(sorted(set(found["category_id"].to_pylist()) & set(classes)))
    for name in config.tune.focus:
        if name not in classes.values():
            near = difflib.get_close_matches(name, classes.values(), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"the classes are {', '.join(classes.values())}"
            raise UsageError(f"tune.focus names the class '{name}', which the data set does not have; {hint}")
    return tuple(sorted(number for number, name in classes.items() if name in config.tune.focus))


def _prepare(context: Context, bench: Bench, done: dict[str, bytes]) -> list[Json]:
    keys = {split: tuple(context.store.shards([split])) for split in (TRAIN, VAL)}
    tasks = {f"data-{split}": Preparation(bench, split, keys[split]) for split in (TRAIN, VAL)}
    receipts = context.run_tasks("prepare", prepare, tasks, done)
    judged = next(receipt["facts"]["classes"] for receipt in receipts if receipt["shard"] == f"data-{VAL}")
    absent = [bench.classes[number] for number in bench.focus if number not in judged]
    if absent:
        raise DetrayError(
            f"the class {absent[0]} has no box in the split val, so no AP to tune;"
            " leave it out of tune.focus or add boxes"
        )
    return receipts


def _run_finals(context: Context, search: Search, done: dict[str, bytes]) -> list[Json]:
    trials = finals(search)
    if not trials:
        return []
    train = partial(run_trial, search.bench)
    if search.bench.gpus:
        # an actor, since only actors hold GPUs; what it builds is the same function
        return context.run_tasks("prove", train, trials, done, build=partial(partial, train), gpus=search.bench.gpus)
    return context.run_tasks("prove", train, trials, done)


def _write_best(context: Context, stage: Stage, best: Trial, focus: tuple[str, ...]) -> None:
    """``best/model`` and ``best/config.yaml``, which names both model and data by their full place."""
    config, store = context.config, context.store
    store.delete(stage.name, BEST)
    folder = store.path(stage.name, PARTIAL, MODELS, best.trial_id)
    for name in ("model.keras", "model.json"):
        data = store.read_bytes(stage.name, PARTIAL, MODELS, best.trial_id, name)
        if data is None:
            raise DetrayError(f"{folder}/{name}: this file of the running stage is gone; run tune again with --force")
        store.write_bytes(data, stage.name, BEST, "model", name)
    output = absolute(store.root)
    whole = msgspec.structs.replace(
        config,
        name=f"{config.name}-best",
        output=f"{output.rstrip('/')}-best",
        dataset=msgspec.structs.replace(config.dataset, root=absolute(config.dataset.root)),
        detector=msgspec.structs.replace(
            config.detector,
            path=f"{output.rstrip('/')}/{stage.name}/{BEST}/model",
            weights=config.detector.weights and absolute(config.detector.weights),
        ),
        train=best.settings,
        tune=msgspec.structs.replace(config.tune, focus=focus),
    )
    store.write_bytes(to_yaml(whole).encode(), stage.name, BEST, "config.yaml")


def _trials_summary(search: Search) -> Table:
    shown = []
    for trial, choice in zip(search.trials, search.choices, strict=True):
        end = search.ends[trial.trial_id]
        changed = ", ".join(f"{key} {value}" for key, value in search.space.changed(choice).items())
        shown.append(
            [trial.trial_id, changed or "as configured", search.objective(trial), end["epochs"], end["status"]]
        )
    return Table("trials of the search", ("trial", "changed", "objective", "epochs", "status"), shown)


def _classes_summary(bench: Bench, candidate: Candidate) -> Table:
    deltas = rows.class_deltas(bench, candidate).to_pylist()
    columns = ("category_name", "baseline_ap", "best_ap", "delta", "delta_low", "delta_high", "verdict")
    return Table(
        f"{candidate.trial.trial_id} against the baseline on {len(candidate.seeds)} fresh seeds",
        ("class", "AP before", "AP after", "change", "low", "high", "verdict"),
        [[row[column] for column in columns] for row in deltas],
    )


def _verdict(search: Search, candidate: Candidate | None) -> str:
    """What came of it, in a sentence."""
    if candidate is None:
        return "no trial but the baseline ran to its end: best/ holds the baseline"
    name, focus = candidate.trial.trial_id, candidate.proof.focus
    gain = f"mean AP of the focus classes {focus.delta[0]:+.3f} [{focus.low[0]:+.3f}, {focus.high[0]:+.3f}]"
    if candidate.proof.is_win:
        return f"{name} wins: {gain}, and every other class is kept; best/ holds it"
    if len(candidate.seeds) < 2:
        return f"{name} is best on the search's seed, which proves nothing: best/ holds the baseline"
    if focus.low[0] > 0:
        drop = search.settings.guard.max_drop
        return f"{name} gains, {gain}, but another class may fall by over {drop:g}: best/ holds the baseline"
    return f"{name} is not distinguishable from the baseline: {gain}; best/ holds the baseline"


STAGE = StageDefinition(
    name="tune",
    tables=("trials", "trial_class_metrics", "class_deltas"),
    sections=("dataset", "detector", "train", "predict", "diagnose", "tune"),
    old=run,
    needs=lambda config: ("ingest",) if config.tune.focus else ("ingest", "diagnose"),
)
