"""The tables that the demonstration closes with, as columns and rows of plain values."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from detray.demo.verify import Check

FAULT_COLUMNS = ("planted fault", "planted", "found", "by", "where")
CLASS_COLUMNS = ("class", "AP before", "AP after", "change", "95% interval", "verdict")

_SHOWN = 6


def fault_rows(checks: Sequence[Check]) -> list[list[Any]]:
    """One row for each kind of fault: how many were planted and found, by which table, and where."""
    rows: list[list[Any]] = []
    for name, group in groupby(checks, key=lambda check: check.fault.name):
        members = list(group)
        hits = [check for check in members if check.found]
        by = dict.fromkeys(f"{v.evidence.table}: {v.evidence.code}" for v in hits if v.evidence)
        places = list(dict.fromkeys(check.where for check in hits))
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        where = ", ".join(str(place) for place in places[:_SHOWN]) + more
        rows.append([name, len(members), len(hits), ", ".join(by), where])
    return rows


def class_rows(class_deltas: pa.Table) -> list[list[Any]]:
    """One row a class: AP before and after tuning, the change and its interval; the focus first."""
    found = sorted(class_deltas.to_pylist(), key=lambda row: (not row["is_focus"], row["category_name"]))
    return [
        [
            row["category_name"],
            row["baseline_ap"],
            row["best_ap"],
            row["delta"],
            None if row["delta_low"] is None else [row["delta_low"], row["delta_high"]],
            row["verdict"],
        ]
        for row in found
    ]


def query(output: Path | str) -> str:
    """A DuckDB query that shows each weak class, its likeliest cause and what the tuning did for it."""
    base = Path(output).as_posix().replace("'", "''")
    return (
        "SELECT category_name, round(ap, 3) AS ap, cause, remedy, round(best_ap - baseline_ap, 3) AS gained\n"
        f"FROM '{base}/diagnose/diagnoses/*.parquet' d\n"
        f"LEFT JOIN '{base}/tune/class_deltas/*.parquet' t USING (category_id, category_name)\n"
        "WHERE d.rank = 1 ORDER BY ap"
    )
