"""``detray sql``: a query over all runs below a folder, and ``views.sql`` in an output folder."""

import argparse
import json
from collections.abc import Sequence
from itertools import count
from math import isfinite
from typing import Any

import pyarrow.fs as pafs

from detray import extras, schema, views
from detray.errors import DetrayError, UsageError
from detray.store import Store, absolute
from detray.store.stage import PARTIAL

FILE = "views.sql"
STAGES = tuple(dict.fromkeys(table.stage for table in schema.TABLES.values() if table.stage))


def write_views(store: Store) -> None:
    """Write the views of the tables that a folder has, where they are not there as they are to be."""
    found: set[str] = set()
    for stage in STAGES:
        written = (store.manifest(stage) or {"tables": {}})["tables"]
        found |= {name for name, table in written.items() if table["files"]} & schema.TABLES.keys()
    root = store.root if "://" in store.root else store.path()
    content = views.text(root, found).encode()
    if store.read_bytes(FILE) != content:
        store.write_bytes(content, FILE)


def run(options: argparse.Namespace) -> tuple[list[str], list[tuple[Any, ...]]]:
    """What a query comes to: columns and rows.

    Raises:
        UsageError: DuckDB is not installed, or there are no results below the folder.
        DetrayError: DuckDB refuses the query.
    """
    extras.require({"detray sql": ["duckdb"]})
    import duckdb

    root = absolute(options.output)
    found = _tables(root)
    if not found:
        raise UsageError(f"{options.output}: no tables of detray are below it; name the folder of a run with --output")
    connection = duckdb.connect()
    try:
        for statement in views.statements(root, found):
            connection.execute(statement)
        answer: duckdb.DuckDBPyConnection | None = connection.execute(options.query)
        if answer is None or answer.description is None:
            raise UsageError("the query is empty; 'detray schema' lists tables and columns")
        return _apart([column[0] for column in answer.description]), answer.fetchall()
    except duckdb.Error as error:
        raise DetrayError(f"DuckDB: {str(error).splitlines()[0]}; 'detray schema' lists tables and columns") from None
    finally:
        connection.close()


def _apart(names: Sequence[str]) -> list[str]:
    """Names of columns, those of a join that are equal numbered, so that rows by name lose none."""
    found: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        found[name if name not in found else next(one for one in numbered if one not in {*found, *names})] = None
    return list(found)


def as_json(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Rows by name; what JSON has no number for is null."""
    finite = ([None if isinstance(one, float) and not isfinite(one) else one for one in row] for row in rows)
    return json.dumps([dict(zip(names, row, strict=True)) for row in finite], indent=1, default=str)


def _tables(root: str) -> set[str]:
    """The tables that have a part below a folder."""
    store = Store(root)
    try:
        listed = store.fs.get_file_info(pafs.FileSelector(store.path(), recursive=True))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    found: set[str] = set()
    for info in listed:
        stage, table, name = ("", "", *str(info.path).split("/"))[-3:]
        known = schema.TABLES.get(table)
        is_whole = known is not None and known.stage in ("", stage) and stage != PARTIAL
        found |= {table} if is_whole and name.startswith("part-") else set()
    return found
