"""``detray review OUTPUT --to TOOL``: what is suspected in an output folder, for the tool that people look at it with.

A verb of its own and no stage: it reads results as `detray compare` does, several exports stand side by side, and
nothing that follows is stale for want of one. The way back is a key of the stage clean, ``clean.decisions``.
"""

import argparse
import shlex
from typing import Any

import msgspec

from detray.errors import UsageError
from detray.flow.outcome import Table
from detray.review.catalogue import TOOLS
from detray.review.export import Request, Written, write
from detray.review.key import FOLDER
from detray.store import Store, absolute

NAME = "review"


def run(options: argparse.Namespace) -> tuple[list[Table], list[str], dict[str, Any]]:
    """Write the export, and say how it is opened and how decisions come back.

    Raises:
        UsageError: there is no such tool, the folder holds no audit, or nothing is suspected in it.
    """
    tool = next((one for one in TOOLS if one.name == options.to), None)
    if tool is None:
        raise UsageError(f"--to {options.to}: no such tool; known: {', '.join(one.name for one in TOOLS)}")
    if options.most < 1:
        raise UsageError("--most: a number from 1")
    store = Store(absolute(options.output))
    manifest = store.manifest("audit") or store.manifest("ingest")
    if manifest is None:
        raise UsageError(f"{options.output}: no results of detray; run detray audit or detray diagnose first")
    into = Store(absolute(options.into)) if options.into else Store(f"{store.root.rstrip('/')}/{FOLDER}/{tool.name}")
    request = Request(options.most, options.misses, options.all, options.pictures, options.min_score)
    made = write(store, str(manifest["run"]), tool, request, into)
    place = into.path() if into.is_local else into.root
    back = f"detray clean --output {shlex.quote(options.output)} --decisions FILE"
    lines = [
        *(f"left out, {what}: {count}" for what, count in made.left_out.items()),
        f"files: {place}",
        f"then: {tool.opening}",
        f"back: {back}, FILE being what {tool.name} saved",
    ]
    return [_table(made)], lines, {"folder": place} | msgspec.to_builtins(made)


def _table(made: Written) -> Table:
    rows = [
        ["pictures", made.pictures],
        ["boxes", made.boxes],
        ["suggested boxes", made.suggested],
        ["suspects and findings asked about", made.asked],
    ]
    return Table(f"Export {made.export}", ("what", "count"), rows)


def as_json(tables: list[Table], lines: list[str], facts: dict[str, Any]) -> str:
    """What ``--json`` prints."""
    answer = {"verb": NAME, "exit_code": 0, "facts": facts, "tables": tables, "notes": lines}
    return msgspec.json.format(msgspec.json.encode(answer), indent=1).decode()
