"""Running stages: what is stale, in which order, and what its manifest says."""

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from operator import attrgetter
from time import perf_counter
from typing import Any

import msgspec

from detray import __version__
from detray.cluster import probe
from detray.detectors.catalogue import is_trainable
from detray.errors import DetrayError, UsageError
from detray.flow.executor import Executor, InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.settings import to_yaml
from detray.store import Json, Stage
from detray.verbs import catalogue, work
from detray.verbs.base import Context, StageDefinition, Table
from detray.verbs.config import Config
from detray.verbs.engine import RAY_LOG
from detray.verbs.inputs import fingerprints

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
) -> list[Result]:
    """Run the stages ``verbs`` and, first, the earlier ones whose results are absent or stale.

    Args:
        context: where and with what.
        verbs: stages in the order of the data's way.
        force: run ``verbs`` even if they are current.
        on_stage: called with each stage and ``running``, ``done`` or ``current``.

    Returns:
        What became of each stage, in the order in which they ran.
    """
    results: dict[str, Result] = {}

    def ensure(name: str, again: bool) -> None:
        if name in results:
            return
        stage = catalogue.definition(name)
        for need in stage.needs(context.config):
            ensure(need, False)
        for wish in stage.tries:
            try:
                ensure(wish, False)
            except UsageError:
                raise
            except DetrayError as error:
                context.progress.note(f"{name} goes on without {wish}: {error}")
        inputs = fingerprints(stage.inputs(context.config), context.store)
        fingerprint = _fingerprint(stage, context, inputs)
        manifest = context.store.manifest(name)
        if manifest is not None and manifest["fingerprint"] == fingerprint and not again:
            results[name] = Result(name, "current", manifest)
        else:
            on_stage(name, "running")
            results[name] = Result(name, "done", _run_stage(stage, context, (fingerprint, inputs), again))
        on_stage(name, results[name].status)

    for verb in verbs:
        ensure(verb, force)
    return list(results.values())


def _run_stage(stage: StageDefinition, context: Context, seen: tuple[str, list[Json]], again: bool) -> Json:
    fingerprint, inputs = seen
    if context.engine is not None:
        estimate = work.work(stage.name, context.config, context.store)
        context = replace(context, executor=context.engine.executor(estimate))
    _check_machines(stage, context)
    writer = Stage(context.store, stage.name)
    done = writer.begin(f"{fingerprint} {uuid.uuid4().hex}" if again else fingerprint)
    start = perf_counter()
    flow = Flow(
        context.store,
        FileKeeper(writer, done),
        context.executor,
        context.progress,
        cpus=context.config.cluster.cpus_per_task,
    )
    outcome = stage.run(context, flow)
    manifest = {
        "run": context.config.name,
        "id": uuid.uuid4().hex,
        "fingerprint": fingerprint,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "detray": __version__,
        "versions": _versions(),
        "inputs": inputs,
        "counts": outcome.counts,
        "seconds": {step: round(value, 3) for step, value in flow.seconds.items()}
        | {"total": round(perf_counter() - start, 3)},
        "seeds": outcome.seeds,
        "cluster": _cluster(context.executor),
        "facts": outcome.facts,
        "summary": [asdict(table) for table in outcome.summary],
        "notes": outcome.notes,
        "advice": outcome.advice,
        "next_step": outcome.next_step,
    }
    return writer.commit(*flow.parts(), manifest, to_yaml(context.config), stage.tables)


def _cluster(executor: Executor) -> Json:
    log = {} if isinstance(executor, InProcess) else {"log": RAY_LOG}
    return {"executor": type(executor).__name__, "workers": executor.workers} | log


def _check_machines(stage: StageDefinition, context: Context) -> None:
    """Refuse to start where a machine cannot do what the stage will ask of it."""
    settings = context.config.cluster
    paths = [*stage.inputs(context.config), *stage.pictures(context.config)]
    has_gpus = stage.gpus and settings.gpus_per_actor > 0
    asked = probe.probe_of(context.store, paths, free_gib=settings.min_free_gib, gpu=has_gpus)
    probe.check(asked, context.executor)


@cache
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES}


def _fingerprint(stage: StageDefinition, context: Context, inputs: list[Json]) -> str:
    """Hash of all that the stage's result depends on: inputs, configuration, code version, earlier stages."""
    before = {}
    for name in (*stage.needs(context.config), *stage.tries, *stage.uses):
        manifest = context.store.manifest(name)
        before[name] = manifest["id"] if manifest else None
    state = {
        "stage": stage.name,
        "detray": __version__,
        "run": context.config.name,
        "sections": {name: msgspec.to_builtins(attrgetter(name)(context.config)) for name in stage.sections},
        "inputs": inputs,
        "before": before,
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
    return tuple(name for name in catalogue.STAGES if name in asked)


def worst_severity(context: Context) -> int | None:
    """The highest severity among the audit's findings; None without findings or audit."""
    manifest: dict[str, Any] | None = context.store.manifest("audit")
    return manifest["facts"].get("max_severity") if manifest else None
