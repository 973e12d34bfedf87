"""Tables: every declaration is whole, and nothing that does not fit passes `conform`."""

import numpy as np
import pyarrow as pa
import pytest

from detray import schema
from detray.errors import DetrayError


@pytest.mark.parametrize("name", schema.TABLES)
def test_every_table_starts_with_run_and_every_column_says_what_it_is(name: str) -> None:
    table = schema.TABLES[name]
    assert table.columns[0].name == "run"
    for field in schema.schema(name):
        assert field.metadata[b"description"]
    assert schema.conform(schema.empty(name), name).schema.equals(schema.schema(name), check_metadata=True)
    assert all(column.name in schema.as_text(table) for column in table.columns)


def test_conform_orders_casts_and_fills() -> None:
    table = pa.table({"reason": ["x"], "stage": ["ingest"], "run": ["r"], "row": pa.array([3], pa.int32())})
    made = schema.conform(table, "quarantine")
    assert made.schema.equals(schema.schema("quarantine"))
    assert made.to_pylist()[0] == {
        "run": "r",
        "run_id": None,
        "stage": "ingest",
        "split": None,
        "image_id": None,
        "source_file": None,
        "row": 3,
        "reason": "x",
        "detail": None,
    }


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"reason": [None]}, "NULL"),
        ({"row": ["three"]}, "row"),
        ({"colour": ["red"]}, "colour"),
    ],
)
def test_conform_refuses(change: dict, word: str) -> None:
    columns = {"run": ["r"], "stage": ["ingest"], "reason": ["x"]} | change
    with pytest.raises(DetrayError, match=word):
        schema.conform(pa.table(columns), "quarantine")


def test_conform_refuses_a_missing_required_column() -> None:
    with pytest.raises(DetrayError, match="reason"):
        schema.conform(pa.table({"run": ["r"], "stage": ["ingest"]}), "quarantine")


def test_not_a_number_becomes_null() -> None:
    columns = {
        "split": ["val"],
        "model": ["m"],
        "metric": ["AP"],
        "value": np.array([np.nan]),
    }
    assert schema.from_columns("summary_metrics", columns, run="r")["value"].null_count == 1


def test_from_rows_refuses_an_unknown_key() -> None:
    with pytest.raises(DetrayError, match="colour"):
        schema.from_rows("quarantine", [{"stage": "ingest", "reason": "x", "colour": 1}], run="r")
