"""The answer, first on the page: which classes are weak, why, and what to do."""

from detray import schema
from detray.report.reader import Reader
from detray.report.sections.common import Content

MAX_WEAK = 6
PROVEN = ("fatal", "error")


def build(reader: Reader, evaluation: Content | None, diagnosis: Content | None, findings: Content | None) -> Content:
    """The weak classes with their first cause in words, and counts; what is not known is None.

    Classes without ground truth have a diagnosis and need help too, but nobody knows that they are weak.
    """
    deltas = {row["category_id"]: row for row in reader.rows("class_deltas")}
    weak = [] if diagnosis is None else [row for row in diagnosis["classes"] if row["is_weak"]]
    intervals = {row["category_id"]: row for row in evaluation["classes"]} if evaluation else {}
    proven = None
    if findings is not None:
        proven = sum(row["n"] for row in findings["by_severity"] if row["name"] in PROVEN)
    return {
        "weak": [
            row | {"metrics": intervals.get(row["id"]), "delta": deltas.get(row["id"])} for row in weak[:MAX_WEAK]
        ],
        "n_weak": diagnosis["n_weak"] if diagnosis else 0,
        "n_unmeasured": diagnosis["n_unmeasured"] if diagnosis else 0,
        "diagnosed": reader.has("diagnoses"),
        "n_measured": evaluation["n_measured"] if evaluation else None,
        "numbers": {row["metric"]: row for row in evaluation["numbers"]} if evaluation else {},
        "proven": proven,
        "worst_rules": [
            rule for rule in (findings["rules"] if findings else []) if schema.SEVERITIES[rule["severity"]] in PROVEN
        ],
    }
