"""Faults that many boxes share, as the audit's root findings tell: what mends a box follows from the root.

Corners that are exchanged are exchanged back; boxes that are written in another format as a whole are converted.
Such a box is never dropped or clipped for what follows from the fault.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Flags, Floats, Rows
from detray.box_formats import FORMATS, OWN, SPREAD, Notation, as_written, named_in, read_as
from detray.boxes import exchange_corners, plausible

EXCHANGED = "swapped-corners"
WHOLE = ("box-format", "coordinate-scale", "column-order", "column-copy", "swapped-size")
"""Rules whose root findings say that the numbers of boxes, or the sizes of their images, are wrong as a whole."""

ROOTS = pa.schema(
    [
        ("finding_id", pa.string()),
        ("rule", pa.string()),
        ("split", pa.string()),
        ("category_id", pa.int64()),
        ("annotator", pa.string()),
        ("source_file", pa.string()),
        ("observed", pa.string()),
    ]
)
"""What is read of a root finding."""

_LEFT = "its corners are exchanged, and in the other order it fits neither image nor class: look at it"
_NO_FORMAT = "it follows from {rule}, and what the right numbers are is not certain: mend the files"
_MISFIT = "in the format that {rule} names its box does not fit the image"


@dataclass(frozen=True)
class Roots:
    """The root findings of a data set that boxes follow from; ``formats``: of each split's files."""

    rows: pa.Table = field(default_factory=ROOTS.empty_table)
    formats: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Moves:
    """Boxes ``[k, 4]`` that annotations (positions ``at``, ``[k]``) should have, and which finding says so."""

    at: Rows
    box: Floats
    reason: str
    reason_id: pa.Array


def follows(findings: pa.Table, roots: Roots, *rules: str) -> Flags:
    """Which findings follow from a root finding of some rules, ``[n]``."""
    ids = roots.rows.filter(pc.is_in(roots.rows["rule"], value_set=pa.array(rules)))["finding_id"]
    return np.asarray(pc.is_in(findings["root_cause_id"], value_set=ids.combine_chunks()).to_numpy())


def is_exchanged(annotations: pa.Table, at: Rows) -> Flags:
    """Annotations whose width or height is negative, of some positions; none where -1."""
    flags = np.zeros(len(at), bool)
    known = at >= 0
    flags[known] = (tables.boxes(annotations)[at[known], 2:] < 0).any(axis=1)
    return flags


def exchange(annotations: pa.Table, at: Rows, finding_ids: pa.Array) -> Moves:
    """The boxes with their corners in the right order."""
    return Moves(at, exchange_corners(tables.boxes(annotations)[at]), EXCHANGED, finding_ids)


def conversions(
    annotations: pa.Table, sizes: Floats, split: str, roots: Roots, not_followed: Counter[str]
) -> Iterator[Moves]:
    """What becomes of boxes that are written in another format; ``sizes`` of their images, ``[n, 2]``.

    A box that does not fit its image when it is read so stays as it is.
    """
    boxes = tables.boxes(annotations)
    own = FORMATS[OWN.get(roots.formats.get(split, ""), next(iter(FORMATS)))]
    for root in roots.rows.to_pylist():
        how = _format_of(root, own)
        if how is None or root["split"] not in (None, split):
            continue
        at = np.flatnonzero(_members(annotations, root))
        with np.errstate(all="ignore"):
            target = read_as(as_written(boxes[at], sizes[at], own), sizes[at], how)
            fits = plausible(target, sizes[at])
        not_followed[_MISFIT.format(rule=root["rule"])] += int((~fits).sum())
        reason_ids = pa.repeat(pa.scalar(root["finding_id"]), int(fits.sum()))
        yield Moves(at[fits], target[fits], root["rule"], reason_ids)


def _format_of(root: dict[str, Any], own: Notation) -> Notation | None:
    """The format that boxes are written in, as a root finding says; None where it leaves that open."""
    if root["rule"] == "column-order":
        return Notation("corners", SPREAD, own.shares)
    return named_in(root["observed"] or "") if root["rule"] == "box-format" else None


def unsettled(findings: pa.Table, roots: Roots, formats: str, not_followed: Counter[str]) -> None:
    """Count the findings that follow from a root whose mend is not certain; ``formats``: of the split's files."""
    own = FORMATS[OWN.get(formats, next(iter(FORMATS)))]
    for root in roots.rows.filter(pc.is_in(roots.rows["rule"], value_set=pa.array(WHOLE))).to_pylist():
        if _format_of(root, own) is None:
            count = pc.sum(pc.equal(findings["root_cause_id"], root["finding_id"])).as_py() or 0
            not_followed[_NO_FORMAT.format(rule=root["rule"])] += count


def _members(annotations: pa.Table, root: dict[str, Any]) -> Flags:
    """The boxes that a root finding is about."""
    chosen = np.ones(annotations.num_rows, bool)
    for name in ("category_id", "annotator", "source_file"):
        if root[name] is not None:
            chosen &= pc.fill_null(pc.equal(annotations[name], root[name]), False).to_numpy()
    return chosen


def left(count: int, not_followed: Counter[str]) -> None:
    """Count boxes whose exchanged corners nobody should exchange unseen."""
    not_followed[_LEFT] += count
