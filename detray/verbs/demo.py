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


def values(output: str | None) -> dict[str, Any]:
    """The configuration of the main run, below ``output``, a local folder.

    Raises:
        UsageError: ``output`` is a URI.
    """
    if output is not None and "://" in output:
        raise UsageError(f"--output {output}: the demonstration draws pictures, so give it a local folder")
    return plan.main(output or OUTPUT).values


def run_demo(context: Context, *, force: bool, on_stage: OnStage) -> tuple[list[runner.Result], list[Table], list[str]]:
    """Draw, plant, run: the results of the main run, the closing tables and the closing lines."""
    output = context.config.output
    _draw(context, Path(plan.main(output).root), force)
    results = runner.run(context, runner.stages_of(context.config), force=force, on_stage=on_stage)
    predictions = context.store.read("predictions")
    planted, off_by_one = plan.write_copies(output, predictions)
    faulty = _side_run(context, plan.faulty(output), on_stage)
    shifted = _side_run(context, plan.shifted(output), on_stage)
    tables = {
        "findings": faulty.read("findings"),
        "label_errors": faulty.read("label_errors"),
        "diagnoses": faulty.read("diagnoses"),
    }
    checks = [
        *verify.verify(planted, tables),
        *verify.verify([off_by_one], {"diagnoses": shifted.read("diagnoses")}),
    ]
    false_alarms = verify.unexplained(planted, tables["findings"]).num_rows
    summary = [
        Table("Planted faults", closing.FAULT_COLUMNS, closing.fault_rows(checks)),
        Table(
            "Classes, before and after tuning",
            closing.CLASS_COLUMNS,
            closing.class_rows(context.store.read("class_deltas")),
        ),
    ]
    lines = [
        f"{sum(check.found for check in checks)} of {len(checks)} planted faults found, {false_alarms} findings of"
        " severity error or fatal where nothing was planted",
        f"page: {Path(output, 'report', 'index.html')}",
        f"page of the faulty copy: {Path(plan.faulty(output).values['output'], 'report', 'index.html')}",
        f'try: duckdb -c "{closing.query(output)}"',
    ]
    return results, summary, lines


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
