"""From hits to rows of the findings table, all at once, and from many rows to their root.

A raw finding is a row of the findings table before it is known whether others share its fault: in
place of root_cause_id it carries ``group``, the key of all rows of one rule, severity, split, class,
annotator and source file, if these are few (and whatever else `Hits.share` names). Ids are hashes of
what a finding is about, so they do not depend on how the data set was cut.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.audit.rule import Hits, Rule
from detray.audit.summary import GROUPS
from detray.audit.text import hash_text, hash_texts, hexadecimal, integer, join, mix
from detray.audit.view import NO_ID, View

_LATER = {"run", "severity_name", "root_cause_id"}
RAW = pa.schema(
    [
        *(pa.field(field.name, field.type) for field in schema.schema("findings") if field.name not in _LATER),
        pa.field("group", pa.uint64()),
        pa.field("share", pa.string()),
        pa.field("whole_file", pa.string()),
    ]
)
"""The findings table without what is known only at the end, and with the group that shares a fault."""


def build(rule: Rule, limits: dict[str, float], view: View, hits: Hits) -> pa.Table:
    """The raw findings of one rule's hits in one shard."""
    k = len(hits.rows)
    if not k:
        return RAW.empty_table()
    about_boxes = hits.about == "annotations"
    rows = (view.annotations if about_boxes else view.images).take(pa.array(hits.rows))
    severity = np.full(k, rule.severity, np.int8) if hits.severity is None else hits.severity
    file_name = view.file_names(view.image_of[hits.rows]) if about_boxes else rows["file_name"].combine_chunks()
    nobody = pa.nulls(k, pa.string())
    shared = {
        "share": nobody if hits.share is None else hits.share,
        "annotator": rows["annotator"].combine_chunks() if about_boxes else nobody,
        "whole_file": rows["source_file"].combine_chunks() if about_boxes and view.source_files else nobody,
    }
    category = tables.numpy(rows, "category_id", NO_ID) if about_boxes else np.full(k, NO_ID)
    about = (hash_text(rule.code), hash_text(view.split), hash_text(hits.about))
    group = mix(*about, severity.astype(np.int64), category, *(hash_texts(texts) for texts in shared.values()))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "finding_id": _ids(rule, view, hits, rows),
        "rule": _same(rule.code, k),
        "family": _same(rule.family, k),
        "severity": pa.array(severity, pa.int8()),
        "confidence": pa.array(np.ones(k) if hits.confidence is None else hits.confidence),
        "scope": _same("annotation" if about_boxes else "image", k),
        "count": pa.array(np.ones(k, np.int64)),
        "split": _same(view.split, k),
        "image_id": rows["image_id"],
        "file_name": file_name,
        "source_file": rows["source_file"],
        "observed": _text(hits.observed, k),
        "expected": _text(rule.expected if hits.expected is None else hits.expected, k),
        "group": pa.array(group),
        "fix": _same(rule.fix, k),
    }
    columns |= shared | _threshold(rule, limits, k)
    subject = _named(file_name, rows["image_id"], None if about_boxes else rows["image_row"])
    pair = {"other_file_name": hits.other_file_name, "other_split": hits.other_split}
    columns |= {name: texts for name, texts in pair.items() if texts is not None}
    if about_boxes:
        columns |= _of_boxes(view, hits, rows)
        subject = join(pc.fill_null(columns["category_name"], "a box"), " in ", subject)
    else:
        columns["image_row"] = rows["image_row"]
    columns["message"] = _sentence(subject, rule.problem, columns["observed"])
    return pa.table([columns.get(field.name, pa.nulls(k, field.type)) for field in RAW], names=RAW.names).cast(RAW)


def _ids(rule: Rule, view: View, hits: Hits, rows: pa.Table) -> pa.Array:
    """The ids of findings, which the rows and what is said of them decide."""
    about_boxes = hits.about == "annotations"
    source = hash_texts(rows["source_file"])
    position = tables.numpy(rows, "annotation_row" if about_boxes else "image_row", -1)
    extra = np.zeros(len(hits.rows), np.uint64) if hits.extra is None else hash_texts(hits.extra)
    partner = np.full(len(hits.rows), -1) if hits.other is None else view.annotation_rows[hits.other]
    about = (hash_text(rule.code), hash_text(view.split), hash_text(hits.about))
    identity = mix(*about, source, position, extra, partner)
    if not about_boxes:  # not every format lists its images
        identity = mix(identity, tables.numpy(rows, "image_id", NO_ID), hash_texts(rows["file_name"]))
    return hexadecimal(identity)


def _of_boxes(view: View, hits: Hits, rows: pa.Table) -> dict[str, pa.Array | pa.ChunkedArray]:
    """The columns about annotations."""
    own = ("annotation_id", "annotation_row", "category_id", "x", "y", "width", "height")
    columns = {name: rows[name] for name in own}
    columns["category_name"] = view.names(rows["category_id"].combine_chunks())
    if hits.other is not None:
        other = view.annotations.select(["annotation_id", "annotation_row", "category_id"]).take(pa.array(hits.other))
        columns["other_annotation_id"] = other["annotation_id"]
        columns["other_annotation_row"] = other["annotation_row"]
        columns["other_category_name"] = view.names(other["category_id"].combine_chunks())
    return columns


def _threshold(rule: Rule, limits: dict[str, float], k: int) -> dict[str, pa.Array]:
    if not rule.thresholds:
        return {}
    first = rule.thresholds[0]
    return {"threshold": pa.array(np.full(k, limits[first.name])), "unit": _same(first.unit, k)}


def _same(text: str, k: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), k)


def _text(value: pa.Array | str | None, k: int) -> pa.Array:
    if value is None:
        return pa.nulls(k, pa.string())
    return _same(value, k) if isinstance(value, str) else value


def _named(file_name: pa.Array, image_id: pa.ChunkedArray, row: pa.ChunkedArray | None) -> pa.Array:
    """What a sentence calls an image: its file, else its id, else its place in the list of images."""
    if not file_name.null_count:
        return file_name
    ids = image_id.combine_chunks()
    place = "an unknown image" if row is None else join("image entry ", integer(row.combine_chunks()))
    return pc.coalesce(file_name, pc.if_else(ids.is_valid(), join("image ", integer(ids)), place))


def _sentence(subject: pa.Array, problem: str, observed: pa.Array) -> pa.Array:
    without = join(subject, f": {problem}")
    return pc.if_else(pc.is_null(observed), without, join(without, " (", observed, ")"))


def group_counts(raw: pa.Table) -> pa.Table:
    """Raw findings counted by group."""
    keys = [name for name in GROUPS.names if name != "n"]
    counted = raw.select(keys).group_by(keys).aggregate([([], "count_all")])
    return counted.rename_columns([*keys, "n"]).cast(GROUPS)


def merge_groups(parts: Iterable[pa.Table]) -> pa.Table:
    """Counts of several shards added up, in the order of groups."""
    total = tables.Total(_add_groups)
    for part in parts:
        total.add(part)
    return total.table().sort_by("group")


def _add_groups(parts: Sequence[pa.Table]) -> pa.Table:
    keys = [name for name in GROUPS.names if name != "n"]
    merged = pa.concat_tables([GROUPS.empty_table(), *parts]).group_by(keys).aggregate([("n", "sum")])
    return merged.rename_columns([*keys, "n"]).cast(GROUPS)


def roots_table(roots: dict[int, str]) -> pa.Table:
    """The root of each group that has one, as a table that crosses processes."""
    return pa.table({"group": pa.array(list(roots), pa.uint64()), "root": pa.array(list(roots.values()), pa.string())})


def with_roots(raw: pa.Table, roots: pa.Table, run: str) -> pa.Table:
    """Raw findings as rows of the findings table, each with the root of its group, if `roots_table` has one."""
    names = pa.array(schema.SEVERITIES)
    found = raw.drop_columns(["group", "share", "whole_file"])
    return schema.from_columns(
        "findings",
        {name: found[name] for name in found.column_names}
        | {
            "severity_name": names.take(raw["severity"]),
            "root_cause_id": tables.lookup(raw["group"], roots, "group", "root"),
        },
        run=run,
    )


def hash_of(*parts: str | int | None) -> str:
    """The id of a finding that is not about a row: of its rule, its split and whatever else it is about."""
    return hexadecimal(mix(*(hash_text("" if part is None else str(part)) for part in parts)))[0].as_py()
