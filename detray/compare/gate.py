"""A comparison as a check of continuous integration: what fell too far, as JUnit and Markdown."""

import xml.etree.ElementTree as ET  # only written
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def is_worse(row: Row, most: float) -> bool:
    """Whether a class fell by more than ``most``; one that has an interval fails only where that leaves no doubt."""
    fell = row["delta"] is not None and row["delta"] < -most
    return fell and row["verdict"] in (None, "worse")


def title(row: Row) -> str:
    """What a row of the table compared_classes is about."""
    return f"{row['split']}: {'mean over classes' if row['category_id'] is None else row['category_name']}"


def told(row: Row) -> str:
    """AP earlier and later, and the difference with its interval."""
    before, after = (_first(row, f"paired_{when}", f"ap_{when}") for when in ("earlier", "later"))
    if row["delta"] is None:
        return f"AP {_number(before)} to {_number(after)}"
    interval = ""
    if row.get("delta_low") is not None:
        interval = f", 95% interval {row['delta_low']:+.3f} to {row['delta_high']:+.3f}"
    return f"AP {_number(before)} to {_number(after)} ({row['delta']:+.3f}{interval})"


def _first(row: Row, *names: str) -> float | None:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def junit(rows: Sequence[Row], most: float | None) -> bytes:
    """A JUnit file: a test for each class; it fails where the class is worse."""
    failed = [row for row in rows if most is not None and is_worse(row, most)]
    suite = ET.Element("testsuite", name="detray compare", tests=str(len(rows)), failures=str(len(failed)))
    for row in rows:
        case = ET.SubElement(suite, "testcase", classname=f"{_clean(row['earlier'])} to {_clean(row['later'])}")
        case.set("name", _clean(title(row)))
        if row in failed:
            ET.SubElement(case, "failure", message=f"worse by more than {most:g}").text = _clean(told(row))
        else:
            ET.SubElement(case, "system-out").text = _clean(told(row))
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _clean(text: str) -> str:
    """Text without characters that XML cannot hold."""
    return "".join(
        c if c in "\t\n" or (ord(c) >= 32 and c not in "\ufffe\uffff") else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def markdown(rows: Sequence[Row], changes: Iterable[tuple[str, str, int]], most: float | None) -> bytes:
    """A summary for a pull request: what fell too far first, then every class."""
    failed = [row for row in rows if most is not None and is_worse(row, most)]
    lines = ["# detray compare", ""]
    if most is not None:
        word = "is" if len(failed) == 1 else "are"
        lines += [f"**{len(failed)} of {len(rows)}** {word} worse by more than {most:g}." if failed else
                  f"Nothing is worse by more than {most:g}.", ""]  # fmt: skip
    lines += ["| split, class | earlier | later | difference | 95% interval | verdict |", "|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: row not in failed):
        before, after = (_first(row, f"paired_{when}", f"ap_{when}") for when in ("earlier", "later"))
        delta = "" if row["delta"] is None else f"{row['delta']:+.3f}"
        has_interval = row.get("delta_low") is not None
        interval = f"{row['delta_low']:+.3f} to {row['delta_high']:+.3f}" if has_interval else ""
        verdict = "**fails**" if row in failed else row["verdict"] or ""
        cells = [_escaped(title(row)), _number(before), _number(after), delta, interval, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    counted = [f"- {_escaped(split)}: {n:,} annotation{'s' if n > 1 else ''} {change}" for split, change, n in changes]
    return "\n".join([*lines, *(["", "## Data", "", *counted] if counted else []), ""]).encode()


def _escaped(text: str) -> str:
    """Text that stays text in a cell of Markdown."""
    kept = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    for character in "\\`*_[]<>|#&~":
        kept = kept.replace(character, f"\\{character}" if character not in "<>&" else f"&#{ord(character)};")
    return kept
