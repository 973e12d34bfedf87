"""Running stages: what is stale, in which order, and what its manifest says."""

import contextlib
import hashlib
import json
import shlex
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from operator import attrgetter
from time import perf_counter
from typing import Any

import msgspec

from detray import __version__, extras, schema
from detray.cluster import probe
from detray.detectors.catalogue import is_trainable
from detray.errors import DamagedError, DetrayError, UsageError, reason
from detray.flow.events import Event
from detray.flow.executor import Executor, InProcess, in_words
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.step import Resources
from detray.settings import to_yaml
from detray.store import Json, Lock, Stage, hive, identity, run_id
from detray.verbs import catalogue, work
from detray.verbs.base import Context, StageDefinition, Table
from detray.verbs.config import Config
from detray.verbs.engine import RAY_LOG
from detray.verbs.inputs import fingerprints, other_input, require_there
from detray.verbs.journal import Journal
from detray.verbs.sql import write_views
from detray.verbs.status import Told

LIBRARIES = ("numpy", "pyarrow", "ray", "tensorflow", "keras", "albumentations", "pycocotools")


@dataclass(frozen=True)
class Result:
    """A stage after a verb: ``status`` is done, or current where nothing had to be done."""

    stage: str
    status: str
    manifest: Json

    @property
    def tables(self) -> list[Table]:
        return [Table(entry["title"], tuple(entry["columns"]), entry["rows"]) for entry in self.manifest["summary"]]


def run(
    context: Context,
    verbs: Sequence[str],
    *,
    force: bool = False,
    on_stage: Callable[[str, str], None] = lambda stage, status: None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run the stages ``verbs`` and, first, the earlier ones whose results are absent or stale.

    Args:
        context: where and with what.
        verbs: stages in the order of the data's way.
        force: run ``verbs`` even if they are current.
        on_stage: called with each stage and ``running``, ``done`` or ``current``.
        on_result: called with what became of each, when it ends.

    Returns:
        What became of each stage, in the order in which they ran.
    """
    with Lock(context.store, context.progress.note) as lock, Journal(context.store) as journal:
        _refuse_other(context, lock)
        line = _Line(context, lock, journal, on_stage, on_result)
        try:
            line.run(verbs, force)
        except DamagedError as error:
            if not line.mend(error):
                raise
            line.run(verbs, force)
        write_views(context.store)
    return list(line.results.values())


def _refuse_other(context: Context, lock: Lock) -> None:
    """Refuse to write over the results of another data set, or delete them where that is asked for.

    Raises:
        UsageError: naming it, and the command that does so.
    """
    store = context.store
    other = other_input(store, context.config.dataset)
    if other is None:
        return
    if not context.overwrite:
        command = f"; to replace them: {context.command} --overwrite" if context.command else ""
        raise UsageError(
            f"{store.path()} holds the results of {other}, another data set; give another --output{command}"
        )
    lock.take()
    for name in catalogue.STAGES:
        Stage(store, name).discard()
    identity.forget(store)


@dataclass
class _Line:
    """The stages of a command, one after the other."""

    context: Context
    lock: Lock
    journal: Journal
    on_stage: Callable[[str, str], None]
    on_result: Callable[[Result], None]
    results: dict[str, Result] = field(default_factory=dict)
    _ran: set[str] = field(default_factory=set)
    _running: str = ""
    _planned: tuple[str, ...] = ()

    def run(self, verbs: Sequence[str], force: bool) -> None:
        self._planned = tuple(dict.fromkeys(_with_needs(verbs, self.context.config)))
        for verb in verbs:
            self._ensure(verb, force)

    def _refuse(self) -> None:
        """Before the first stage starts: what none of those to come could run with."""
        require_modules([name for name in self._planned if name not in self.results], self.context.config)
        for name in self._planned:
            if name not in self.results:
                stage = catalogue.definition(name)
                require_there(stage.inputs(self.context.config), self.context.store)
                stage.check(self.context)
        self._require_gpus()

    def _require_gpus(self) -> None:
        """Refuse GPUs that are asked for and not there; in this process none is asked for."""
        context, cluster = self.context, self.context.config.cluster
        stages = [catalogue.definition(name) for name in self._planned if name not in self.results]
        holding = [stage for stage in stages if stage.gpus(context.config)]
        if not (holding and cluster.gpus_per_actor):
            return
        if context.engine is not None:
            context = replace(context, executor=context.engine.executor(0.0))
        if isinstance(context.executor, InProcess):
            context.progress.note(
                f"cluster.gpus_per_actor is {cluster.gpus_per_actor:g}, which is for Ray: with --serial TensorFlow"
                " takes the GPUs that it sees, or none"
            )
            return
        context.executor.require(Resources(cluster.cpus_per_task, cluster.gpus_per_actor))
        _check_machines(holding[0], context)

    def mend(self, error: DamagedError) -> bool:
        """Discard what is damaged in this folder, so that it runs again; whether this may help."""
        store, note = self.context.store, self.context.progress.note
        if not self._running or not str(error).startswith(store.path()):
            return False
        damaged = {name: damage for name in self.results if (damage := store.damage(name, pages=True))}
        for name, damage in damaged.items():
            note(f"{damage}; {name} runs again")
            Stage(store, name).discard()
        if not damaged:
            note(f"{reason(error)}; {self._running} begins anew")
            Stage(store, self._running).discard()
        self.results.clear()
        return True

    def _ensure(self, name: str, again: bool) -> None:
        """Make a stage current, and first those that it needs; ``again``: even where it is current."""
        if name in self.results:
            return
        stage = catalogue.definition(name)
        for need in stage.needs(self.context.config):
            self._ensure(need, False)
        for wish in stage.tries:
            try:
                self._ensure(wish, False)
            except (UsageError, DamagedError):
                raise
            except DetrayError as error:
                self.context.progress.note(f"{name} goes on without {wish}: {error}")
        again = again and name not in self._ran
        inputs = fingerprints(stage.inputs(self.context.config), self.context.store)
        fingerprint, manifest, damage = self._standing(stage, inputs)
        if manifest is None or again:
            if self.lock.take():  # another run may have ended meanwhile
                self.context.store.forget()
                fingerprint, manifest, damage = self._standing(stage, inputs)
            else:
                self.lock.check()
        if manifest is None or again:
            if damage is not None:
                self.context.progress.note(f"{damage}; {name} runs again")
                Stage(self.context.store, name).discard()
            if not self._ran:
                self._refuse()
            self.on_stage(name, "running")
            self._running = name
            manifest = _run_stage(stage, self.context, (fingerprint, inputs), again, self.lock, self.journal)
            self._running = ""
            self._ran.add(name)
        if self.context.config.hive is not None:
            hive.export(self.context.store, name, self.context.config.hive)
        self.results[name] = Result(name, "done" if name in self._ran else "current", manifest)
        self.on_stage(name, self.results[name].status)
        self.on_result(self.results[name])

    def _standing(self, stage: StageDefinition, inputs: list[Json]) -> tuple[str, Json | None, str | None]:
        """The fingerprint that a stage is to have, its manifest if it is current, and what of it is damaged."""
        store = self.context.store
        fingerprint = _fingerprint(stage, self.context, inputs)
        damage = store.damage(stage.name, files=not stage.is_for_people)
        manifest = store.manifest(stage.name) if damage is None else None
        return fingerprint, manifest if manifest and manifest["fingerprint"] == fingerprint else None, damage


def require_modules(stages: Sequence[str], config: Config) -> None:
    """Refuse stages of which one imports what is not installed.

    Raises:
        UsageError: naming what, and the command that installs it.
    """
    extras.require({name: catalogue.definition(name).modules(config) for name in stages})


def _with_needs(names: Sequence[str], config: Config) -> Iterator[str]:
    """Stages, each after those that it needs."""
    for name in names:
        yield from _with_needs(catalogue.definition(name).needs(config), config)
        yield name


def _run_stage(
    stage: StageDefinition, context: Context, seen: tuple[str, list[Json]], again: bool, lock: Lock, journal: Journal
) -> Json:
    fingerprint, inputs = seen
    if context.engine is not None:
        estimate = work.work(stage.name, context.config, context.store)
        context = replace(context, executor=context.engine.executor(estimate))
    _check_machines(stage, context)
    writer = Stage(context.store, stage.name, run_id(context.store))
    done = writer.begin(f"{fingerprint} {uuid.uuid4().hex}" if again else fingerprint, context.progress.note)
    start = perf_counter()

    def log(event: Event) -> None:
        journal.write(event, writer.run_id or "")

    flow = Flow(
        context.store,
        FileKeeper(writer, done),
        context.executor,
        Told(context.progress, context.store, stage.name),
        cpus=context.config.cluster.cpus_per_task,
        stage=stage.name,
        log=log,
    )
    log(Event(event="stage_begun", stage=stage.name, host=socket.gethostname()))
    try:
        outcome = stage.run(context, flow)
    except BaseException as error:
        log(Event(event="stage_failed", stage=stage.name, detail=in_words(error)))
        with contextlib.suppress(DetrayError):  # what it is about is said first
            flow.keeper.flush()
        raise
    flow.keeper.flush()  # a commit that is cut off goes on from them
    manifest = {
        "run": context.config.name,
        "id": uuid.uuid4().hex,
        "fingerprint": fingerprint,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": writer.run_id,
        "command": context.command or shlex.join(sys.argv),
        "host": socket.gethostname(),
        "detray": __version__,
        "versions": _versions(),
        "inputs": inputs,
        "counts": outcome.counts,
        "seconds": {step: round(value, 3) for step, value in flow.seconds.items()}
        | {"total": round(perf_counter() - start, 3)},
        "seeds": outcome.seeds,
        "cluster": _cluster(context.executor) | {"events": journal.pattern},
        "facts": outcome.facts,
        "summary": [asdict(table) for table in outcome.summary],
        "notes": outcome.notes,
        "advice": outcome.advice,
        "next_step": _next(outcome.next_step, stage.then(context.config, outcome)),
    }
    lock.check()
    complete = writer.commit(*flow.parts(), manifest, to_yaml(context.config), stage.tables)
    log(Event(event="stage_complete", stage=stage.name, count=complete["seconds"]["total"]))
    return complete


def _next(step: str | None, command: str | None) -> str | None:
    return f"{step.rstrip('.')}; {command}" if step and command else step or command


def _cluster(executor: Executor) -> Json:
    log = {} if isinstance(executor, InProcess) else {"log": RAY_LOG}
    return {"executor": type(executor).__name__, "workers": executor.workers} | executor.described() | log


def _check_machines(stage: StageDefinition, context: Context) -> None:
    """Refuse to start where a machine cannot do what the stage will ask of it."""
    settings = context.config.cluster
    paths = [*stage.inputs(context.config), *stage.pictures(context.config)]
    has_gpus = stage.gpus(context.config) and settings.gpus_per_actor > 0
    asked = probe.probe_of(context.store, paths, free_gib=settings.min_free_gib, gpu=has_gpus)
    probe.check(asked, None if isinstance(context.executor, InProcess) else context.executor)


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _fingerprint(stage: StageDefinition, context: Context, inputs: list[Json]) -> str:
    """Hash of all that the stage's result depends on: inputs, configuration, code version, earlier stages."""
    before = {}
    for name in (*stage.needs(context.config), *stage.tries, *stage.uses):
        used, _, table = name.partition("/")
        manifest = context.store.manifest(used)
        is_read = manifest is not None and (not table or manifest["tables"].get(table, {}).get("rows"))
        before[name] = manifest["id"] if manifest is not None and is_read else None
    state = {
        "stage": stage.name,
        "detray": __version__,
        "run": context.config.name,
        "sections": {name: msgspec.to_builtins(attrgetter(name)(context.config)) for name in stage.sections},
        "inputs": inputs,
        "before": before,
        "columns": {name: [str(field) for field in schema.TABLES[name].arrow] for name in stage.tables},
    }
    return hashlib.blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=16).hexdigest()


def stages_of(config: Config) -> tuple[str, ...]:
    """The stages that ``detray run`` does for a configuration: all for which it names what they need."""
    has_detector = config.detector.path is not None or config.detector.is_precomputed
    trains = not has_detector and is_trainable(config.detector) and "train" in config.dataset.splits
    asked = {"ingest", "audit", "report"}
    if trains:
        asked |= {"train", "tune"}
    if trains or has_detector:
        asked |= {"predict", "evaluate", "diagnose", "clean"}
    if config.clean.folds and "clean" in asked:
        asked |= {"folds"}
    return tuple(name for name in catalogue.STAGES if name in asked)


def worst_severity(context: Context) -> int | None:
    """The highest severity among the audit's findings; None without findings or audit."""
    manifest: dict[str, Any] | None = context.store.manifest("audit")
    return manifest["facts"].get("max_severity") if manifest else None
