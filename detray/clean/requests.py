"""What the findings and the label errors ask for: one action each, at one annotation each."""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Floats, Rows
from detray.boxes import paired_iou
from detray.clean import shared
from detray.clean.decisions import MENDS, Decided
from detray.clean.rows import NOT_FOUND, locate
from detray.clean.settings import Action, CleanSettings
from detray.clean.shared import Roots
from detray.schema import SEVERITIES
from detray.tables import Shard

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

NEAR: Mapping[str, Action] = {"near-duplicate-box": "drop"}
"""As `RULES`, where the two boxes overlap by `SAME_IOU`: below it they may be two objects."""

SAME_IOU = 0.995

LABEL_ERRORS: Mapping[str, Action] = {
    # spurious has none: deleting on a model's word alone takes the hard examples first
    "wrong_class": "relabel",
    "bad_box": "move",
    "missing": "add",
}
"""What mends a label error, by kind."""

_TWO_OBJECTS = f"near-duplicate-box, boxes that overlap by less than {SAME_IOU} may be two objects"
MOVED = 0.9
"""Score from which a box that a detector finds loose is moved unasked: that it is likelier wrong than right does not
make the detector's the better one (`detray demo` moved an exact box at .5)."""
_LOOSE = f"bad_box, a box is not moved on a score below {MOVED}"
_ON_A_WORD = "spurious, a box is not deleted on a model's word alone"

FINDING_COLUMNS = (
    "rule",
    "severity",
    "scope",
    "finding_id",
    "image_id",
    "annotation_row",
    "source_file",
    "root_cause_id",
)
"""What is read of a finding."""

INFO = SEVERITIES.index("info")

_REASONS = (*shared.WHOLE, shared.EXCHANGED, *RULES, *NEAR, *LABEL_ERRORS, *MENDS)
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


def mended(rules: Collection[str]) -> list[str]:
    """Of the rules of findings those that edits mend which are made unasked; none where boxes are wrong as a whole,
    from which others follow, and which are mended only where it is certain how."""
    if any(rule in shared.WHOLE for rule in rules):
        return []
    actions = {**RULES, shared.EXCHANGED: "move"}
    return [rule for rule in rules if actions.get(rule) in CleanSettings().actions]


def collect(
    shard: Shard,
    findings: pa.Table,
    label_errors: pa.Table,
    settings: CleanSettings,
    roots: Roots,
    decided: Decided,
) -> tuple[pa.Table, Counter[str]]:
    """The requests that ``settings`` allow, by image, the weightiest first; how many are not followed, by reason.

    What a person decided goes before what is allowed: what was accepted is asked for, and beside new ids nothing else
    of that annotation; what was rejected is not. What follows from a fault that many boxes share asks for what mends
    the fault, and for nothing else.

    A request has the columns at (position of the annotation; `NOT_FOUND` for add), action, reason,
    reason_id, image_id and, from a label error, score, suggested_category_id and the suggested box.
    """
    not_followed: Counter[str] = Counter()
    # a root finding stands for others and names no row; info is nothing to mend, such as a box outside by rounding
    annotations = shard.annotations
    own = pc.and_(pc.equal(findings["scope"], "annotation"), pc.greater(findings["severity"], INFO))
    findings = findings.filter(own)
    findings = findings.filter(~decided.is_about(findings, "rule"))
    label_errors = label_errors.filter(~decided.is_about(label_errors, "kind"))
    sizes = image_sizes(annotations, shard.images)
    moves = [*shared.conversions(annotations, sizes, shard.split, roots, not_followed)]
    shared.unsettled(findings, roots, roots.formats.get(shard.split, ""), not_followed)
    findings = findings.filter(~shared.follows(findings, roots, *shared.WHOLE))
    findings, exchanged = _exchanges(annotations, findings, roots, not_followed)
    moves.append(exchanged)
    is_box = pc.equal(label_errors["kind"], "bad_box")
    allowed = pc.greater_equal(label_errors["score"], settings.min_score)
    sure = pc.or_(pc.invert(is_box), pc.greater_equal(label_errors["score"], MOVED))
    strong = pc.and_(allowed, sure)
    not_followed["score below clean.min_score"] += label_errors.num_rows - _count(allowed)
    not_followed[_LOOSE] += _count(pc.and_(allowed, pc.invert(sure)))
    near = _translate(annotations, findings, "rule", NEAR)
    same = _nearly_same(annotations, near)
    not_followed[_TWO_OBJECTS] += near.num_rows - same.num_rows
    label_errors = label_errors.filter(strong)
    not_followed[_ON_A_WORD] += _count(pc.equal(label_errors["kind"], "spurious"))
    found = pa.concat_tables(
        [
            *(_moves(annotations, move) for move in moves),
            _translate(annotations, findings, "rule", RULES),
            same,
            _translate(annotations, label_errors, "kind", LABEL_ERRORS),
        ]
    )
    listed = pc.is_in(found["action"], value_set=pa.array(settings.actions, pa.string()))
    for action in found.filter(pc.invert(listed))["action"].to_pylist():
        not_followed[f"{action} is not in clean.actions"] += 1
    found = found.filter(listed)
    settled = pa.array({at for _, at in decided.accepted} - {NOT_FOUND}, pa.int64())
    is_settled = pc.and_(pc.is_in(found["at"], value_set=settled), pc.not_equal(found["action"], "renumber"))
    found = pa.concat_tables([_accepted(decided), found.filter(pc.invert(is_settled))])
    placed = pc.or_(pc.equal(found["action"], "add"), pc.not_equal(found["at"], NOT_FOUND))
    not_followed["it names no single annotation"] += found.num_rows - _count(placed)
    order = ("image_id", "at", "priority", "score", "reason_id", "suggested_category_id", *_BOX)
    ranked = [(name, "descending" if name == "score" else "ascending") for name in order]
    return found.filter(placed).sort_by(ranked), +not_followed


def _count(holds: pa.ChunkedArray) -> int:
    """How many rows a condition holds for."""
    return pc.sum(holds).as_py() or 0


def image_sizes(rows: pa.Table, images: pa.Table) -> Floats:
    """Stated width and height of the image of each row, ``[n, 2]``, px; infinite where not stated."""
    sides = [
        pc.fill_null(tables.lookup(rows["image_id"], images, "image_id", side), 0).to_numpy()
        for side in ("width", "height")
    ]
    sizes = np.stack(sides, axis=1).astype(np.float64)
    return np.where(sizes > 0, sizes, np.inf)


def _exchanges(
    annotations: pa.Table, findings: pa.Table, roots: Roots, not_followed: Counter[str]
) -> tuple[pa.Table, shared.Moves]:
    """The findings that are not about exchanged corners, and the moves that mend those that are.

    A box whose corners are exchanged holds an object: it is not dropped, be it that nobody can say how to mend it.
    """
    at = locate(annotations, findings)
    flat = np.asarray(pc.equal(findings["rule"], "degenerate-box").to_numpy()) & shared.is_exchanged(annotations, at)
    mended = flat & shared.follows(findings, roots, shared.EXCHANGED)
    shared.left(int((flat & ~mended).sum()), not_followed)
    ids = findings["finding_id"].filter(mended).combine_chunks()
    return findings.filter(~flat), shared.exchange(annotations, at[mended], ids)


def _accepted(decided: Decided) -> pa.Table:
    """What a person accepted, as requests."""
    rows = [
        {
            "at": at,
            "action": about.action,
            "reason": about.kind,
            "priority": -1,
            "image_id": about.image_id,
            "suggested_category_id": about.suggested_category_id,
            **dict(zip(_BOX, about.suggested_box or (None,) * 4, strict=True)),
        }
        for about, at in decided.accepted
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _moves(annotations: pa.Table, moves: shared.Moves) -> pa.Table:
    """Moves as requests."""
    count = len(moves.at)
    columns = {
        "at": pa.array(moves.at, pa.int64()),
        "action": pa.array(["move"] * count, pa.string()),
        "reason": pa.array([moves.reason] * count, pa.string()),
        "reason_id": moves.reason_id,
        "priority": pa.array([_REASONS.index(moves.reason)] * count, pa.int64()),
        "image_id": annotations["image_id"].take(pa.array(moves.at, pa.int64())),
        **dict(zip(_BOX, map(pa.array, moves.box.T), strict=True)),
    }
    return _requests(columns, count)


def _nearly_same(annotations: pa.Table, requests: pa.Table) -> pa.Table:
    """Those requests whose box overlaps an earlier one of its image, class and annotator by `SAME_IOU`."""
    if not requests.num_rows:
        return requests
    boxes = tables.boxes(annotations)
    image_ids, rows = (tables.numpy(annotations, name) for name in ("image_id", "annotation_row"))
    alike = [annotations[name].to_pylist() for name in ("category_id", "annotator", "is_crowd")]
    keep = np.zeros(requests.num_rows, bool)
    for index, at in enumerate(positions(requests).tolist()):
        if at != NOT_FOUND:
            low, high = np.searchsorted(image_ids, [image_ids[at], image_ids[at] + 1]).tolist()
            earlier = [row for row in range(low, high) if rows[row] < rows[at]]
            earlier = [row for row in earlier if all(column[row] == column[at] for column in alike)]
            iou = paired_iou(boxes[earlier], np.repeat(boxes[[at]], len(earlier), axis=0))
            keep[index] = bool((iou >= SAME_IOU).any())
    return requests.filter(keep)


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
    return _count(pc.and_(kind, pc.greater_equal(label_errors["score"], settings.min_score)))


def first_by_annotation(requests: pa.Table, action: Action) -> pa.Table:
    """Of the requests for ``action``, the weightiest for each annotation, in the annotations' order."""
    requests = requests.filter(pc.equal(requests["action"], action))
    _, first = np.unique(positions(requests), return_index=True)
    return requests.take(first)


def positions(requests: pa.Table) -> Rows:
    """The column at, shape ``[n]``."""
    return tables.numpy(requests, "at").astype(np.int64)
