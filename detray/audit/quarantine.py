"""Findings for what ingest set aside."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.findings import RAW
from detray.audit.rule import Rule
from detray.audit.text import hash_text, hash_texts, hexadecimal, integer, join, mix

_ENTRIES = {
    "corrupt-record": ("image", "record"),
    "category-without-id": ("class", "category entry"),
    "listed-image-missing": ("split", "name"),
}
"""By reason: what the row of a file is about, and what a sentence calls it. Others are rows of annotations."""


def unreadable(rule: Rule, quarantine: pa.Table) -> pa.Table:
    """The raw findings of ``rule`` for rows of the table quarantine: files (row is NULL) and rows of files."""
    k = quarantine.num_rows
    if not k:
        return RAW.empty_table()
    code, split = hash_text(rule.code), hash_texts(quarantine["split"])
    row, source = quarantine["row"].combine_chunks(), quarantine["source_file"].combine_chunks()
    reason = quarantine["reason"].combine_chunks()
    scopes, words = zip(*(_ENTRIES.get(one, ("annotation", "row")) for one in reason.to_pylist()), strict=True)
    whole = pc.is_null(row)
    scope = pc.if_else(whole, "split", pa.array(scopes))
    observed = pc.if_else(
        pc.is_null(quarantine["detail"]), reason, join(reason, ": ", quarantine["detail"])
    ).combine_chunks()
    subject = pc.if_else(whole, source, join(source, ", ", pa.array(words), " ", integer(row)))
    columns = {
        "finding_id": hexadecimal(
            mix(code, split, hash_texts(source), tables.numpy(quarantine, "row", -1), hash_texts(observed))
        ),
        "rule": pa.repeat(pa.scalar(rule.code), k),
        "family": pa.repeat(pa.scalar(rule.family), k),
        "severity": pa.array(np.full(k, rule.severity, np.int8)),
        "confidence": pa.array(np.ones(k)),
        "scope": scope,
        "count": pa.array(np.ones(k, np.int64)),
        "split": quarantine["split"],
        **{
            f"{about}_row": pc.if_else(pc.equal(scope, about), row, pa.scalar(None, pa.int64()))
            for about in ("annotation", "image")
        },
        "source_file": source,
        "observed": observed,
        "expected": pa.repeat(pa.scalar(rule.expected), k),
        "group": pa.array(mix(code, split, hash_texts(reason), hash_texts(scope))),
        "share": reason,
        "message": join(subject, f": {rule.problem} (", observed, ")"),
        "fix": pa.repeat(pa.scalar(rule.fix), k),
    }
    return pa.table([columns.get(field.name, pa.nulls(k, field.type)) for field in RAW], names=RAW.names).cast(RAW)
