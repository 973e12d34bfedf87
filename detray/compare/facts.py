"""Causes, findings, settings and sizes of two folders."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from detray.compare.sides import Pair, Side

Row = dict[str, Any]


def compare_causes(pair: Pair) -> Iterator[Row]:
    """Rows of the table compared_causes: the causes that either folder names, by class."""
    earlier, later = (
        {(row["split"], row["category_name"], row["cause"]): row for row in side.rows("diagnoses")}
        for side in (pair.earlier, pair.later)
    )
    for key in dict.fromkeys([*later, *earlier]):
        before, after = earlier.get(key), later.get(key)
        known: Row = after or before or {}
        yield {
            **pair.label,
            **{name: known[name] for name in ("split", "category_id", "category_name", "cause")},
            "change": "stays" if before and after else "new" if after else "gone",
            "rank_earlier": before and before["rank"],
            "rank_later": after and after["rank"],
            "confidence_earlier": before and before["confidence"],
            "confidence_later": after and after["confidence"],
        }


def compare_findings(pair: Pair) -> Iterator[Row]:
    """Rows of the table compared_findings: how many findings a rule has in a split, where both folders are audited."""
    if not (pair.earlier.has("findings") and pair.later.has("findings")):
        return
    earlier, later = _counted(pair.earlier), _counted(pair.later)
    for key in sorted({*earlier, *later}, key=lambda key: (-key[1], key[0], key[3] or "")):
        rule, severity, name, split = key
        yield {
            **pair.label,
            "rule": rule,
            "severity": severity,
            "severity_name": name,
            "split": split,
            "n_earlier": earlier[key],
            "n_later": later[key],
            "delta": later[key] - earlier[key],
        }


def _counted(side: Side) -> Counter[tuple[str, int, str, str | None]]:
    columns = ["rule", "severity", "severity_name", "split"]
    counted = side.store.read("findings", columns=columns).group_by(columns).aggregate([([], "count_all")])
    rows = counted.to_pylist()
    return Counter({tuple(row[name] for name in columns): row["count_all"] for row in rows})


def compare_settings(pair: Pair) -> Iterator[Row]:
    """Rows of the table compared_settings: keys whose values differ."""
    earlier, later = pair.earlier.settings, pair.later.settings
    for key in sorted({*earlier, *later}):
        if earlier.get(key) != later.get(key):
            values = {f"value_{when}": _text(side.get(key)) for when, side in (("earlier", earlier), ("later", later))}
            yield {**pair.label, "key": key} | values


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A mapping of mappings by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found
