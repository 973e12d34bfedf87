"""Findings for what ingest set aside."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.findings import RAW
from detray.audit.rule import Rule
from detray.audit.text import hash_text, hash_texts, hexadecimal, integer, join, mix


def unreadable(rule: Rule, quarantine: pa.Table) -> pa.Table:
    """The raw findings of ``rule`` for rows of the table quarantine: files (row is NULL) and rows of files."""
    k = quarantine.num_rows
    if not k:
        return RAW.empty_table()
    code, split = hash_text(rule.code), hash_texts(quarantine["split"])
    row, source, reason = quarantine["row"].combine_chunks(), quarantine["source_file"], quarantine["reason"]
    whole = pc.is_null(row)
    observed = pc.if_else(
        pc.is_null(quarantine["detail"]), reason, join(reason, ": ", quarantine["detail"])
    ).combine_chunks()
    subject = pc.if_else(whole, source.combine_chunks(), join(source, ", row ", integer(row))).combine_chunks()
    columns = {
        "finding_id": hexadecimal(
            mix(code, split, hash_texts(source), tables.numpy(quarantine, "row", -1), hash_texts(observed))
        ),
        "rule": pa.repeat(pa.scalar(rule.code), k),
        "family": pa.repeat(pa.scalar(rule.family), k),
        "severity": pa.array(np.full(k, rule.severity, np.int8)),
        "confidence": pa.array(np.ones(k)),
        "scope": pc.if_else(whole, "split", "annotation"),
        "count": pa.array(np.ones(k, np.int64)),
        "split": quarantine["split"],
        "annotation_row": row,
        "source_file": source,
        "observed": observed,
        "expected": pa.repeat(pa.scalar(rule.expected), k),
        "group": pa.array(mix(code, split, hash_texts(reason))),
        "share": reason,
        "message": join(subject, f": {rule.problem} (", observed, ")"),
        "fix": pa.repeat(pa.scalar(rule.fix), k),
    }
    return pa.table([columns.get(field.name, pa.nulls(k, field.type)) for field in RAW], names=RAW.names).cast(RAW)
