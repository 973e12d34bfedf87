"""What the findings and the label errors ask for: one action each, at one annotation each."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Rows
from detray.clean.rows import NOT_FOUND, locate
from detray.clean.settings import Action, CleanSettings
from detray.schema import SEVERITIES

RULES: Mapping[str, Action] = {
    "degenerate-box": "drop",
    "fully-outside": "drop",
    "duplicate-box": "drop",
    "out-of-bounds": "clip",
    # every bearer of an id that collides gets a new one: what the id meant cannot be known
    "duplicate-annotation-id": "renumber",
    "annotation-id-zero": "renumber",
}
"""What mends a finding, by rule; of several drops of one annotation the first here gives the reason."""

LABEL_ERRORS: Mapping[str, Action] = {
    # spurious has none: deleting on a model's word alone takes the hard examples first
    "wrong_class": "relabel",
    "bad_box": "move",
    "missing": "add",
}
"""What mends a label error, by kind."""

FINDING_COLUMNS = ("rule", "severity", "scope", "finding_id", "image_id", "annotation_row", "source_file")
"""What is read of a finding."""

INFO = SEVERITIES.index("info")

_REASONS = (*RULES, *LABEL_ERRORS)
_BOX = ("x", "y", "width", "height")
_SCHEMA = pa.schema(
    [
        ("at", pa.int64()),  # position of the annotation, NOT_FOUND for add
        ("action", pa.string()),
        ("reason", pa.string()),
        ("reason_id", pa.string()),
        ("priority", pa.int64()),
        ("score", pa.float64()),
        ("image_id", pa.int64()),
        ("suggested_category_id", pa.int64()),
        *((side, pa.float64()) for side in _BOX),  # suggested
    ]
)


def collect(
    annotations: pa.Table, findings: pa.Table, label_errors: pa.Table, settings: CleanSettings
) -> tuple[pa.Table, Counter[str]]:
    """The requests that ``settings`` allow, by image, the weightiest first; how many are not followed, by reason.

    A request has the columns at (position of the annotation; `NOT_FOUND` for add), action, reason,
    reason_id, image_id and, from a label error, score, suggested_category_id and the suggested box.
    """
    not_followed: Counter[str] = Counter()
    # a root finding stands for others and names no row; info is nothing to mend, such as a box outside by rounding
    own = pc.and_(pc.equal(findings["scope"], "annotation"), pc.greater(findings["severity"], INFO))
    findings = findings.filter(own)
    strong = pc.greater_equal(label_errors["score"], settings.min_score)
    not_followed["score below clean.min_score"] += label_errors.num_rows - (pc.sum(strong).as_py() or 0)
    found = pa.concat_tables(
        [
            _translate(annotations, findings, "rule", RULES),
            _translate(annotations, label_errors.filter(strong), "kind", LABEL_ERRORS),
        ]
    )
    allowed = pc.is_in(found["action"], value_set=pa.array(settings.actions, pa.string()))
    not_followed["action not in clean.actions"] += found.num_rows - (pc.sum(allowed).as_py() or 0)
    found = found.filter(allowed)
    placed = pc.or_(pc.equal(found["action"], "add"), pc.not_equal(found["at"], NOT_FOUND))
    not_followed["it names no single annotation"] += found.num_rows - (pc.sum(placed).as_py() or 0)
    order = ("image_id", "at", "priority", "score", "reason_id", "suggested_category_id", *_BOX)
    ranked = [(name, "descending" if name == "score" else "ascending") for name in order]
    return found.filter(placed).sort_by(ranked), +not_followed


def _translate(annotations: pa.Table, reports: pa.Table, column: str, actions: Mapping[str, Action]) -> pa.Table:
    """The reports that have an action, as requests."""
    reports = reports.filter(pc.is_in(reports[column], value_set=pa.array(list(actions))))
    action = pc.index_in(reports[column], value_set=pa.array(list(actions)))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "at": pa.array(locate(annotations, reports)),
        "action": pa.array(list(actions.values())).take(action.combine_chunks()),
        "reason": reports[column],
        "priority": pc.index_in(reports[column], value_set=pa.array(_REASONS)),
        "image_id": reports["image_id"],
    }
    if "finding_id" in reports.column_names:
        columns["reason_id"] = reports["finding_id"]
    else:
        columns["score"] = reports["score"]
        # a missing box may be told by its own class and box alone
        columns["suggested_category_id"] = pc.coalesce(reports["suggested_category_id"], reports["category_id"])
        columns |= {side: pc.coalesce(reports[f"suggested_{side}"], reports[side]) for side in _BOX}
    return _requests(columns, reports.num_rows)


def _requests(columns: Mapping[str, pa.Array | pa.ChunkedArray], count: int) -> pa.Table:
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in _SCHEMA]
    return pa.table(arrays, names=_SCHEMA.names).cast(_SCHEMA)


def repeated_box(at: Rows, image_ids: pa.ChunkedArray) -> pa.Table:
    """Requests to drop boxes that edits made equal to others: the rule duplicate-box, without a finding."""
    columns = {
        "at": pa.array(at),
        "action": pa.array(["drop"] * len(at), pa.string()),
        "reason": pa.array(["duplicate-box"] * len(at), pa.string()),
        "image_id": image_ids,
    }
    return _requests(columns, len(at))


def count_additions(label_errors: pa.Table, settings: CleanSettings) -> int:
    """How many requests to add a box `collect` makes at most."""
    kind = pc.equal(label_errors["kind"], "missing")
    asked = pc.and_(kind, pc.greater_equal(label_errors["score"], settings.min_score))
    return pc.sum(asked).as_py() or 0


def first_by_annotation(requests: pa.Table, action: Action) -> pa.Table:
    """Of the requests for ``action``, the weightiest for each annotation, in the annotations' order."""
    requests = requests.filter(pc.equal(requests["action"], action))
    _, first = np.unique(positions(requests), return_index=True)
    return requests.take(first)


def positions(requests: pa.Table) -> Rows:
    """The column at, shape ``[n]``."""
    return tables.numpy(requests, "at").astype(np.int64)
