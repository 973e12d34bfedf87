"""``detray demo``: a drawn data set, known faults in a copy, every stage, and what came of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from detray import __version__
from detray.demo import closing, draw, plan, verify
from detray.errors import UsageError
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context, Table
from detray.verbs.config import Config

OUTPUT = "out/demo"
DRAWN = "drawn.json"

OnStage = Callable[[str, str], None]
Show = Callable[[list[Table], list[str]], None]


def values(output: str | None) -> dict[str, Any]:
    """The configuration of the main run, below ``output``, a local folder.

    Raises:
        UsageError: ``output`` is a URI.
    """
    if output is not None and "://" in output:
        raise UsageError(f"--output {output}: the demonstration draws pictures, so give it a local folder")
    return plan.main(output or OUTPUT).values


def run_demo(
    context: Context, *, force: bool, on_stage: OnStage, show: Show, show_stage: Callable[[runner.Result], None]
) -> list[runner.Result]:
    """Draw, plant, run; ``show`` gets the planted faults as soon as they are looked for, and at last what tuning did,
    ``show_stage`` each stage of the main run when it ends.

    Returns:
        The results of the main run.
    """
    output = context.config.output
    runner.require_modules(runner.stages_of(context.config), context.config)
    _draw(context, Path(plan.main(output).root), force)
    first = runner.run(context, plan.FIRST, force=force, on_stage=on_stage, on_result=show_stage)
    show(*_planted(context, on_stage))
    done = {result.stage for result in first}
    rest = [stage for stage in runner.stages_of(context.config) if stage not in done]
    last = runner.run(
        context,
        rest,
        force=force,
        on_stage=on_stage,
        on_result=lambda result: None if result.stage in done else show_stage(result),
    )
    show(*_tuned(context))
    return [*first, *(result for result in last if result.stage not in done)]


def _planted(context: Context, on_stage: OnStage) -> tuple[list[Table], list[str]]:
    """The faults that were planted in a copy, and which of them its findings, suspects and diagnoses name."""
    output = context.config.output
    planted, off_by_one = plan.write_copies(output, context.store.read("predictions"))
    faulty = _side_run(context, plan.faulty(output), on_stage)
    shifted = _side_run(context, plan.shifted(output), on_stage)
    tables = {name: faulty.read(name) for name in ("findings", "label_errors", "diagnoses")}
    checks = [
        *verify.verify(planted, tables),
        *verify.verify([off_by_one], {"diagnoses": shifted.read("diagnoses")}),
    ]
    false_alarms = verify.unexplained(planted, tables["findings"]).num_rows
    found = sum(check.found for check in checks)
    edits = (faulty.manifest("clean") or {})["facts"]["edits"]
    return [Table("Planted faults", closing.FAULT_COLUMNS, closing.fault_rows(checks))], [
        f"{found} of {len(checks)} planted faults found, {false_alarms} findings of"
        f" severity error or fatal where nothing was planted; {edits} proven ones corrected in {faulty.path('clean')}",
        f"page of the faulty copy: {faulty.path('report', 'index.html')}",
    ]


def _tuned(context: Context) -> tuple[list[Table], list[str]]:
    deltas = closing.class_rows(context.store.read("class_deltas"))
    return [Table("Classes, before and after tuning", closing.CLASS_COLUMNS, deltas)], [
        f"page: {context.store.path('report', 'index.html')}",
        f'try: duckdb -c "{closing.query(context.config.output)}"',
    ]


def _draw(context: Context, root: Path, force: bool) -> None:
    drawn = root / DRAWN
    if not force and drawn.is_file() and json.loads(drawn.read_text()).get("detray") == __version__:
        return
    context.progress.note("drawing the pictures")
    splits = draw.draw_dataset(root)
    drawn.write_text(json.dumps({"detray": __version__, "splits": splits}))


def _side_run(context: Context, run: plan.Run, on_stage: OnStage) -> Store:
    context.progress.note(f"-- {run.name}: {run.values['output']}")
    config = convert(run.values, Config, f"demo {run.name}")
    config = msgspec.structs.replace(config, cluster=context.config.cluster)
    store = Store(config.output)
    runner.run(replace(context, config=config, store=store), run.verbs, on_stage=on_stage)
    return store
