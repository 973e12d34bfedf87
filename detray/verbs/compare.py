"""``detray compare``: output folders side by side."""

import argparse
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from detray import __version__
from detray.compare.comparison import TABLES, Comparison, compare
from detray.compare.facts import flat
from detray.compare.sides import Side, require_complete
from detray.errors import DetrayError, UsageError
from detray.evaluate.settings import EvaluateSettings
from detray.flow.outcome import Table
from detray.settings import convert, parse_yaml, to_yaml
from detray.store import Lock, Stage, Store, absolute, run_id
from detray.verbs.catalogue import STAGES
from detray.verbs.config import Config

NAME = "compare"


def run(options: argparse.Namespace) -> tuple[int, str, list[Table], list[str]]:
    """Compare folders, and write the tables, the page and the files for continuous integration.

    Returns:
        The exit code, the folder of the results, and what is printed: tables and lines.

    Raises:
        UsageError: fewer than two folders, one of them holds no results, or there is nothing for a check to judge.
    """
    places = [*([options.baseline] if options.baseline else []), *options.folders]
    if len(places) < 2:
        raise UsageError("detray compare takes two output folders or more, or one and --baseline")
    if options.fail_if_worse is not None and not options.fail_if_worse >= 0:
        raise UsageError("--fail-if-worse: a number of AP from 0 to 1")
    sides = [_side(place) for place in places]
    output = Store(absolute(options.output or str(Path("out") / "compare")))
    found = compare(sides, _settings(sides[-1]), options.fail_if_worse, sides[-1].name)
    if options.fail_if_worse is not None:
        _require_judged(found, sides)
    _write(output, found, places)
    folder = output.path(NAME)
    lines = [f"worse than may be: {line}" for line in found.worse] + [f"page: {folder}/index.html"]
    if options.fail_if_worse is not None and not found.worse:
        lines.insert(0, f"nothing is worse by more than {options.fail_if_worse:g}")
    return 1 if found.worse else 0, output.path(), _summary(found), lines


def _require_judged(found: Comparison, sides: Sequence[Side]) -> None:
    """Refuse a check that has nothing to judge: it would always pass."""
    judged = {row["later"] for row in found.tables["compared_classes"].to_pylist() if row["delta"] is not None}
    if blind := [side.name for side in sides[1:] if side.name not in judged]:
        raise UsageError(
            f"--fail-if-worse: no class has an AP in both {sides[0].name} and {blind[0]}; run detray evaluate on each"
        )


def _side(place: str) -> Side:
    store = Store(absolute(place))
    side = Side(place.rstrip("/"), store, flat(_config(store)))
    require_complete(side)
    return side


def _config(store: Store) -> dict[str, Any]:
    """The configuration of the newest complete stage."""
    newest: tuple[str, dict[str, Any]] = ("", {})
    for stage in STAGES:
        manifest, text = store.manifest(stage), store.read_bytes(stage, "config.yaml")
        if manifest is not None and text and str(manifest.get("created", "")) >= newest[0]:
            values = parse_yaml(text.decode("utf-8", "replace"), store.path(stage, "config.yaml"))
            newest = str(manifest.get("created", "")), values if isinstance(values, dict) else {}
    return newest[1]


def _settings(side: Side) -> EvaluateSettings:
    """How the later folder was evaluated."""
    try:
        return convert(_config(side.store), Config, side.name).evaluate
    except DetrayError:  # of another version
        return EvaluateSettings()


def _write(output: Store, found: Comparison, places: Sequence[str]) -> None:
    with Lock(output, lambda text: None) as lock:
        lock.take()
        stage, name = Stage(output, NAME, run_id(output)), uuid.uuid4().hex
        stage.begin(name)
        parts = {table: stage.write_parts(table, "00000", rows) for table, rows in found.tables.items()}
        files = {path: stage.write_file(path, content) for path, content in found.files.items()}
        manifest = {
            "run": NAME, "id": name, "fingerprint": name, "detray": __version__, "counts": {},
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "facts": {"folders": list(places)},
        }  # fmt: skip
        stage.commit(parts, files, manifest, to_yaml({"folders": list(places)}), TABLES)


def _summary(found: Comparison) -> list[Table]:
    classes = found.tables["compared_classes"].to_pylist()
    shown = (
        "split",
        "category_name",
        "ap_earlier",
        "ap_later",
        "n_images",
        "delta",
        "delta_low",
        "delta_high",
        "verdict",
    )
    rows = [[_shown(row[name]) for name in shown] for row in classes]
    for row in rows:
        row[1] = row[1] or "mean"
    others = {name: table.to_pylist() for name, table in found.tables.items() if name != "compared_classes"}
    words = [[name.removeprefix("compared_"), sum(map(_differs, rows))] for name, rows in others.items()]
    titles = ("split", "class", "AP before", "AP after", "shared images", "difference", "low", "high", "verdict")
    return [
        *([Table("Classes (later less earlier)", titles, rows)] if rows else []),
        Table("What else differs", ("table", "rows that differ"), words),
    ]


def _differs(row: Mapping[str, Any]) -> bool:
    """Whether a row tells of a difference: causes that stay and rules with as many findings as before are told too."""
    return row.get("change") != "stays" and row.get("delta") != 0


def _shown(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def as_json(output: str, tables: Sequence[Table], lines: Sequence[str], code: int) -> str:
    """What ``--json`` prints."""
    answer = {"verb": NAME, "output": output, "exit_code": code, "tables": list(tables), "notes": list(lines)}
    return msgspec.json.format(msgspec.json.encode(answer), indent=1).decode()
