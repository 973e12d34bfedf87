"""What the terminal says of the findings: each fault in a sentence, with its fix and an example, the worst first."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.audit.rule import WARNING

MAX_SAID = 8
"""Faults that are told one by one."""
_COLUMNS = (
    *("rule", "severity", "split", "count", "message", "fix", "root_cause_id"),
    *("file_name", "source_file", "annotation_row", "image_row"),
)


_ORDER = ("source_file", "annotation_row", "image_row", "file_name")


class Place(msgspec.Struct, frozen=True, order=True):
    """Where a finding can be looked at: a row of an annotation file, from 0, and a picture; -1 and empty if unknown."""

    source_file: str
    row: int
    file_name: str

    def __str__(self) -> str:
        name = PurePath(self.source_file).name
        source = f"row {self.row} of {name}" if name and self.row >= 0 else name
        return ", ".join(part for part in (self.file_name, source) if part)


_NOWHERE = Place("", -1, "")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong in ``count`` rows, in words, and what to do."""

    rule: str
    severity: int
    split: str | None
    count: int
    message: str
    fix: str
    place: Place | None = None


class Said(msgspec.Struct, frozen=True):
    """What some rows of the table findings say.

    Attributes:
        places: of the first finding of each root.
        faults: of the rows of severity warning or more that have none, by rule, severity and split.
    """

    places: dict[str, Place]
    faults: list[Fault]


def said_of_rows(findings: pa.Table) -> Said:
    """What rows of the table findings say."""
    rows = findings.select(_COLUMNS).sort_by([(name, "ascending", "at_start") for name in _ORDER])
    root = rows["root_cause_id"].combine_chunks().dictionary_encode()
    ids = root.dictionary.to_pylist()
    codes, first = np.unique(pc.fill_null(root.indices, -1).to_numpy(zero_copy_only=False), return_index=True)
    found = rows.take(pa.array(first)).to_pylist()
    places = {ids[code]: _place(row) for code, row in zip(codes.tolist(), found, strict=True) if code >= 0}
    alone = rows.filter(pc.and_(pc.is_null(rows["root_cause_id"]), pc.greater_equal(rows["severity"], WARNING)))
    return Said(places, _merged(_fault(row, _place(row)) for row in alone.to_pylist()))


def sentences(facts: Iterable[Mapping[str, Any]], said: Sequence[Said]) -> tuple[list[str], str | None]:
    """Lines on the faults, and what to do first; ``facts`` are the findings about no single row."""
    places: dict[str, Place] = {}
    for part in said:
        places |= {root: min(place, places.get(root, place)) for root, place in part.places.items()}
    roots = [
        _fault(row, places.get(row["finding_id"]))
        for row in facts
        if row.get("root_cause_id") is None and row["severity"] >= WARNING
    ]
    faults = sorted(
        [*roots, *_merged(fault for part in said for fault in part.faults)],
        key=lambda fault: (-fault.severity, -fault.count, fault.rule, fault.message),
    )
    lines = [line for fault in faults[:MAX_SAID] for line in _lines(fault)]
    if len(faults) > MAX_SAID:
        rest = faults[MAX_SAID:]
        names = list(dict.fromkeys(fault.rule for fault in rest))
        lines.append(f"and {len(rest)} more of warning or above, in audit/findings: {', '.join(names)}")
    if not faults:
        return [], "nothing of severity warning or above was found: train, or evaluate detections on these annotations"
    first = faults[0]
    return lines, f"{first.fix} ({first.rule}); then run the same command again, which tells what is left"


def _lines(fault: Fault) -> list[str]:
    lines = [f"{schema.SEVERITIES[fault.severity]}: {fault.message} [{fault.rule}]", f"    fix: {fault.fix}"]
    place = "" if fault.place is None else str(fault.place)
    return [*lines, f"    example: {place}"] if place else lines


def _merged(faults: Iterable[Fault]) -> list[Fault]:
    """One fault for each rule, severity and split: the first one's words and place, and how many there are."""
    found: dict[tuple[str, int, str | None], list[Fault]] = {}
    for fault in faults:
        found.setdefault((fault.rule, fault.severity, fault.split), []).append(fault)
    return [
        msgspec.structs.replace(
            min(alike, key=lambda fault: (fault.place or _NOWHERE, fault.message)),
            count=sum(fault.count for fault in alike),
        )
        for alike in found.values()
    ]


def _fault(row: Mapping[str, Any], place: Place | None) -> Fault:
    count = row.get("count") or 1
    return Fault(row["rule"], row["severity"], row["split"], count, row["message"], row["fix"], place)


def _place(row: Mapping[str, Any]) -> Place:
    number = next((row[name] for name in ("annotation_row", "image_row") if row[name] is not None), -1)
    return Place(row["source_file"] or "", number, row["file_name"] or "")
