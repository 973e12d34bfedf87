"""What was tried for the weak classes and what it gained; and how the training went."""

import json
from itertools import groupby
from typing import Any

import pyarrow.compute as pc

from detray.report import plots
from detray.report.reader import Reader, Row
from detray.report.sections.common import Content

MAX_TRIALS = 40
MAX_CLASSES = 60
MAX_CURVES = 8

MAX_SETTINGS = 8
"""Columns of levers that were searched; the others stand in the table trials."""


def build(reader: Reader) -> Content | None:
    """Trials by objective, the change of each class with its interval, and AP by epoch; None without tuning."""
    trials = reader.rows("trials")
    if not trials:
        return None
    ranked = sorted(
        trials,
        key=lambda row: (not row["is_best"], not row["is_baseline"], -(row["objective"] or 0.0), row["trial_id"]),
    )
    deltas = reader.rows("class_deltas")
    settings = list(dict.fromkeys(name for row in trials for name in _changes(row)))[:MAX_SETTINGS]
    facts = (reader.manifest("tune") or {}).get("facts", {})
    return {
        "sentence": facts.get("sentence"),
        "levers": facts.get("levers", []),
        "second_trial": facts.get("second_trial"),
        "pipeline": facts.get("pipeline", []),
        "trials": [row | {"values": _values(row, settings)} for row in ranked[:MAX_TRIALS]],
        "n_trials": len(trials),
        "left_out": max(len(trials) - MAX_TRIALS, 0),
        "settings": settings,
        "phases": len({row["phase"] for row in trials}) > 1,
        "failed": sum(row["status"] == "failed" for row in trials),
        "seconds": sum(row["seconds"] or 0.0 for row in trials),
        "forest": _forest(deltas),
        "curves": _curves(reader, deltas, trials),
    }


def _changes(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["changes"] or "{}")
    return found


def _values(row: Row, settings: list[str]) -> list[str]:
    """What a trial has for each lever that was searched; of one that it does not change, what its settings say."""
    changes, config = _changes(row), json.loads(row["config"])
    return [_value(changes[name] if name in changes else _at(config, name)) for name in settings]


def _at(values: Any, name: str) -> Any:
    for key in name.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None or value == {} else str(value)


def _forest(deltas: list[Row]) -> Content | None:
    """The classes' changes on one axis around 0, the focus first, then the largest gain."""
    if not deltas:
        return None
    ranked = sorted(deltas, key=lambda row: (not row["is_focus"], -(row["delta"] or 0.0), row["category_id"]))
    shown = ranked[:MAX_CLASSES]
    axis = plots.symmetric([row[end] for row in shown for end in ("delta", "delta_low", "delta_high")], least=0.05)
    places = [
        {name: None if row[name] is None else axis.at(row[name]) for name in ("delta", "delta_low", "delta_high")}
        for row in shown
    ]
    rows = [row | {"at": at} for row, at in zip(shown, places, strict=True)]
    return {"rows": rows, "reach": axis.high, "left_out": len(ranked) - len(shown)}


def _curves(reader: Reader, deltas: list[Row], trials: list[Row]) -> Content | None:
    """AP by epoch of every trial of the search, a plot for each class of the focus (or else the first classes)."""
    focus = [row["category_id"] for row in deltas if row["is_focus"]]
    filters = pc.field("category_id").isin(focus) if focus else None
    rows = reader.rows("trial_class_metrics", filters)
    search = {row["trial_id"]: row for row in trials if row["phase"] == "search"}
    rows = [row for row in rows if row["trial_id"] in search and row["ap"] is not None]
    if not rows:
        return None
    rows.sort(key=lambda row: (row["category_id"], row["trial_id"], row["epoch"]))
    return {
        "plots": [_curve(list(group), search) for _, group in groupby(rows, lambda row: row["category_id"])][
            :MAX_CURVES
        ]
    }


def _curve(rows: list[Row], trials: dict[str, Row]) -> dict[str, Any]:
    epochs = plots.Axis(0, max(row["epoch"] for row in rows))
    aps = plots.covering([row["ap"] for row in rows], least=0.02)
    lines = []
    for trial, group in groupby(rows, lambda row: row["trial_id"]):
        points = list(group)
        kind = "best" if trials[trial]["is_best"] else "baseline" if trials[trial]["is_baseline"] else "trial"
        line = plots.polyline([0, *(r["epoch"] for r in points)], [0.0, *(r["ap"] for r in points)], epochs, aps)
        lines.append(
            {
                "trial": trial,
                "kind": kind,
                "points": line,
                "kept": next((r["ap"] for r in points if r["is_kept"]), None),
            }
        )
    lines.sort(key=lambda line: ("trial", "baseline", "best").index(line["kind"]))
    return {"name": rows[0]["category_name"], "lines": lines, "top": aps.high, "epochs": epochs.high}


def training(reader: Reader) -> Content | None:
    """Loss by epoch, and AP by epoch of the classes that end lowest; None where nothing was trained."""
    totals = [row for row in reader.rows("history", pc.field("category_id").is_null()) if row["loss"] is not None]
    if not totals:
        return None
    totals.sort(key=lambda row: (row["split"], row["epoch"]))
    epochs = plots.Axis(min(row["epoch"] for row in totals), max(row["epoch"] for row in totals))
    losses = plots.around([row["loss"] for row in totals])
    every = [row for row in reader.rows("history", pc.field("category_id").is_valid()) if row["ap"] is not None]
    aps = plots.around([row["ap"] for row in every])
    kept = next((row["epoch"] for row in [*totals, *every] if row["is_kept"]), None)
    by_split = [(split, list(group)) for split, group in groupby(totals, lambda row: row["split"])]
    return {
        "losses": [_line(split, rows, "loss", (epochs, losses), kept) for split, rows in by_split],
        "aps": _class_lines(every, (epochs, aps), kept),
        "n_aps": len({(row["split"], row["category_id"]) for row in every}),
        "loss_axis": losses,
        "ap_axis": aps,
        "kept": None if kept is None else {"epoch": kept, "at": epochs.at(kept)},
        "epochs": epochs,
    }


def _class_lines(every: list[Row], axes: tuple[plots.Axis, plots.Axis], kept: int | None) -> list[Content]:
    """AP by epoch, the class that ends lowest first."""
    rows = sorted(every, key=lambda row: (row["split"], row["category_id"], row["epoch"]))
    groups = [list(group) for _, group in groupby(rows, lambda row: (row["split"], row["category_id"]))]
    groups.sort(key=lambda group: group[-1]["ap"])
    return [_line(group[0]["category_name"], group, "ap", axes, kept) for group in groups[:MAX_CURVES]]


def _line(
    name: str | None, rows: list[Row], value: str, axes: tuple[plots.Axis, plots.Axis], kept: int | None
) -> Content:
    """A line, and its first value and that of the epoch that is kept, or else of the last one."""
    points = plots.polyline([row["epoch"] for row in rows], [row[value] for row in rows], *axes)
    told = next((row[value] for row in rows if row["epoch"] == kept), rows[-1][value])
    return {"name": name, "points": points, "first": rows[0][value], "told": told}
