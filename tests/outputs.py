"""What stages leave in an output folder, for tests of the stages that read it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from detray import schema
from detray.flow.data import MemoryData
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.store import Json, Part, ShardKey, Stage, Store, Stored
from detray.tables import Shard
from detray.verbs.base import Context, Outcome, StageDefinition


def write_stage(
    store: Store,
    name: str,
    tables: Mapping[str, pa.Table | Sequence[pa.Table]],
    facts: Json | None = None,
    **manifest: Any,
) -> None:
    """Commit a stage with these tables, of which each may be in several parts."""
    stage = Stage(store, name)
    stage.begin("test")
    parts: dict[str, list[Part]] = {}
    for table, rows in tables.items():
        for number, part in enumerate([rows] if isinstance(rows, pa.Table) else rows):
            parts.setdefault(table, []).extend(stage.write_parts(table, f"{number:05d}", part))
    _commit(stage, parts, facts or {}, tuple(tables), manifest)


def write_data_set(store: Store, shards: Sequence[Shard], **manifest: Any) -> list[ShardKey]:
    """Commit the stage ingest with these shards, and return their keys."""
    stage = Stage(store, "ingest")
    stage.begin("test")
    data = MemoryData([replace(s, categories=schema.conform(s.categories, "categories")) for s in shards])
    keys = data.shards()
    parts: dict[str, list[Part]] = {"images": [], "annotations": []}
    for key, shard in zip(keys, shards, strict=True):
        for table, own in parts.items():
            own += stage.write_parts(table, key.name, getattr(shard, table), number=key.index)
    parts["categories"] = stage.write_parts("categories", "categories", data.read("categories"))
    _commit(stage, parts, {"shards": [asdict(key) for key in keys]}, tuple(parts), manifest)
    return keys


def _commit(
    stage: Stage,
    parts: Mapping[str, Sequence[Part]],
    facts: Json,
    tables: tuple[str, ...],
    manifest: Json,
    files: Mapping[str, Stored] | None = None,
) -> None:
    whole = {"id": stage.name, "fingerprint": stage.name, "created": "1", "counts": {}, "facts": facts} | manifest
    stage.commit(parts, files or {}, whole, "", tables)


def run_stage(definition: StageDefinition, context: Context, fingerprint: str = "test") -> Outcome:
    """Run a stage alone, whatever is stale, and commit it."""
    definition.check(context)
    stage = Stage(context.store, definition.name)
    flow = Flow(context.store, FileKeeper(stage, stage.begin(fingerprint)), context.executor, context.progress)
    outcome = definition.run(context, flow)
    parts, files = flow.parts()
    _commit(stage, parts, outcome.facts, definition.tables, {"counts": outcome.counts}, files)
    return outcome
