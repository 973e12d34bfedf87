"""Which planted faults were found, and where: every fault is looked up at its own row or box."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import boxes, schema, tables
from detray.demo.faults import Evidence, Fault

PROVEN = schema.SEVERITIES.index("error")
"""Severity from which a finding claims to be certain."""

_SAME_BOX = 0.5
"""IoU from which a suggested box is the one that was left out: COCO's loosest match."""


@dataclass(frozen=True)
class Check:
    """Whether a fault was found: by which table's row, under which code, and where that is."""

    fault: Fault
    evidence: Evidence | None
    where: str | None

    @property
    def found(self) -> bool:
        return self.evidence is not None


def verify(faults: Sequence[Fault], found: Mapping[str, pa.Table]) -> list[Check]:
    """A check of each of ``faults`` from the tables (findings, label_errors, diagnoses) of a run.

    Tables that the run did not write may be absent. A finding must name the fault's annotation row,
    or its image where the fault is the picture's; a missing box must be suggested with IoU of at
    least .5 and its class; a diagnosis must name the class that suffers, and if the fault names
    none, any class.
    """
    return [_check(fault, found) for fault in faults]


def unexplained(faults: Sequence[Fault], findings: pa.Table) -> pa.Table:
    """The findings of severity error or fatal at rows and pictures where nothing was planted.

    Root findings, which stand for others, are left out.
    """
    proven = findings.filter(pc.greater_equal(findings["severity"], PROVEN))
    roots = pc.unique(proven["root_cause_id"].drop_null())
    rows = pa.array({fault.annotation_row for fault in faults} - {None}, pa.int64())
    images = pa.array(
        {fault.image_id for fault in faults if fault.annotation_row is None and fault.box is None}, pa.int64()
    )
    explained = pc.or_(
        pc.is_in(proven["finding_id"], value_set=roots.cast(pa.string())),
        pc.or_(pc.is_in(proven["annotation_row"], value_set=rows), pc.is_in(proven["image_id"], value_set=images)),
    )
    return proven.filter(pc.invert(explained))


def _check(fault: Fault, found: Mapping[str, pa.Table]) -> Check:
    for evidence in fault.evidence:
        if evidence.table in found:
            where = _LOOK[evidence.table](fault, evidence.code, found[evidence.table])
            if where is not None:
                return Check(fault, evidence, where)
    return Check(fault, None, None)


def _in_findings(fault: Fault, rule: str, findings: pa.Table) -> str | None:
    rows = findings.filter(pc.equal(findings["rule"], rule))
    if fault.annotation_row is not None:
        hit = pc.any(pc.equal(rows["annotation_row"], fault.annotation_row)).as_py()
        return f"row {fault.annotation_row}" if hit else None
    hit = pc.any(pc.equal(rows["image_id"], fault.image_id)).as_py()
    return f"image {fault.image_id}" if hit else None


def _in_label_errors(fault: Fault, kind: str, label_errors: pa.Table) -> str | None:
    rows = label_errors.filter(pc.equal(label_errors["kind"], kind))
    if fault.annotation_row is not None:
        hit = pc.any(pc.equal(rows["annotation_row"], fault.annotation_row)).as_py()
        return f"row {fault.annotation_row}" if hit else None
    rows = rows.filter(
        pc.and_(
            pc.equal(rows["image_id"], fault.image_id),
            pc.equal(pc.coalesce(rows["suggested_category_name"], rows["category_name"]), fault.category_name),
        )
    )
    if not rows.num_rows:
        return None
    suggested = np.stack(
        [tables.numpy(rows, f"suggested_{side}").astype(np.float64) for side in ("x", "y", "width", "height")], axis=1
    )
    overlap = boxes.pairwise_iou(np.array([fault.box], np.float64), suggested)
    return f"image {fault.image_id}" if np.nanmax(overlap, initial=0.0) >= _SAME_BOX else None


def _in_diagnoses(fault: Fault, cause: str, diagnoses: pa.Table) -> str | None:
    rows = diagnoses.filter(pc.equal(diagnoses["cause"], cause))
    if fault.category_name is not None:
        rows = rows.filter(pc.equal(rows["category_name"], fault.category_name))
    names = sorted({name for name in rows["category_name"].to_pylist() if name is not None})
    return f"class {', '.join(names)}" if names else None


_LOOK: dict[str, Callable[[Fault, str, pa.Table], str | None]] = {
    "findings": _in_findings,
    "label_errors": _in_label_errors,
    "diagnoses": _in_diagnoses,
}
