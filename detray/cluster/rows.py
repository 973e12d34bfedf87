"""A task in a stream of Ray Data: one row, in which each table is one list of structs.

Arrow lays a list of structs out like the table itself, so that nothing is copied on the way in or out.
A row holds the task's number, an answer once there is one, and the tables that were read until then.
"""

from collections.abc import Mapping

import pyarrow as pa

TASK, ANSWER = "task", "answer"


def encode(number: int, answer: bytes | None, tables: Mapping[str, pa.Table]) -> pa.Table:
    """The row of a task."""
    columns = {TASK: pa.array([number], pa.int64()), ANSWER: pa.array([answer], pa.large_binary())}
    for name, table in tables.items():
        columns[f"table {name}"] = _listed(table)
    return pa.table(columns)


def _listed(table: pa.Table) -> pa.Array:
    whole = table.combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in whole.columns]
    if not arrays:
        raise ValueError("a table without columns cannot travel")
    rows = pa.StructArray.from_arrays(arrays, fields=list(whole.schema))
    return pa.LargeListArray.from_arrays(pa.array([0, len(rows)], pa.int64()), rows)


def decode(row: pa.Table, at: int) -> tuple[int, bytes | None, dict[str, pa.Table]]:
    """Number, answer and tables of the row at ``at``."""
    tables = {
        name.removeprefix("table "): _table(row[name], at)
        for name in row.column_names
        if name.startswith("table ") and row[name][at].is_valid
    }
    return row[TASK][at].as_py(), row[ANSWER][at].as_py(), tables


def _table(column: pa.ChunkedArray, at: int) -> pa.Table:
    rows = column[at].values
    return pa.table(
        rows.flatten() if len(rows) else [pa.array([], f.type) for f in rows.type], schema=pa.schema(list(rows.type))
    )
