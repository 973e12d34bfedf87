"""The tables of several runs below one root, partitioned by run as Hive has it.

``<root>/<stage>/<table>/run_id=<id>/part-*.parquet``, without the column run_id, which the folder's name is. What says
that a run's tables of a stage are all there is written last: ``<root>/<stage>/_manifests/<id>.json``.
"""

import contextlib
import json

from detray import schema
from detray.errors import DamagedError
from detray.store.integrity import refuse_paths
from detray.store.manifest import Json
from detray.store.parts import encode
from detray.store.store import Store, readable_errors

MANIFESTS = "_manifests"
NEW = "_new"
"""Where tables lie until they are whole; on object stores, which cannot rename, they are written to their place."""


def export(source: Store, stage: str, root: str) -> None:
    """Write the tables of a complete stage below ``root``, in the place of what an earlier run of it left there.

    Raises:
        DetrayError: a part is damaged, or cannot be written.
    """
    manifest, target = source.manifest(stage), Store(root)
    if manifest is None or not manifest["run_id"]:
        return
    run_id = manifest["run_id"]
    try:
        refuse_paths([run_id])
    except ValueError as error:
        raise source.damaged(f"{stage}/manifest.json", f"damaged (run_id: {error})") from None
    told = (stage, MANIFESTS, f"{run_id}.json")
    if _id(target, told) == manifest["id"]:
        return
    target.delete(*told)
    target.delete(stage, NEW, run_id)
    tables = {
        table: _write(source, target, (stage, table, f"run_id={run_id}"), found["files"])
        for table, found in manifest["tables"].items()
    }
    kept = ("stage", "id", "run", "run_id", "created", "command", "host", "detray", "counts")
    content = {name: manifest[name] for name in kept if name in manifest} | {"tables": tables}
    target.delete(stage, NEW, run_id)
    target.write_bytes(json.dumps(content, indent=1).encode(), *told)


def _id(target: Store, told: tuple[str, ...]) -> str | None:
    """The id of the manifest that was exported last."""
    with contextlib.suppress(ValueError, KeyError, TypeError, DamagedError):
        return str(json.loads(target.read_bytes(*told) or b"")["id"])
    return None


def _write(source: Store, target: Store, place: tuple[str, str, str], files: list[Json]) -> Json:
    """A table of a run; one without rows has a part too, from which its columns are known."""
    stage, table, partition = place
    own = (stage, NEW, partition.partition("=")[2], table) if target.is_local else place
    if own == place:
        target.delete(*place)
    rows = 0
    parts: list[Json | None] = [*files] or [None]
    for number, part in enumerate(parts):
        found = schema.empty(table) if part is None else source.read_files([part], table)
        target.write_bytes(encode(found.drop_columns([schema.RUN_ID.name])), *own, f"part-{number:05d}.parquet")
        rows += found.num_rows
    if own != place:
        target.delete(*place)
        goal = target.path(*place)
        with readable_errors(goal):
            target.fs.create_dir(goal.rpartition("/")[0], recursive=True)
            target.fs.move(target.path(*own), goal)
    return {
        "rows": rows,
        "files": [f"{'/'.join(place)}/part-{number:05d}.parquet" for number in range(len(parts))],
    }
