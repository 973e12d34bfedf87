"""Where the page comes from: stages with their times, what was left out, versions."""

from detray import schema
from detray.report.reader import Reader
from detray.report.sections.common import Content

STAGES = tuple(dict.fromkeys(table.stage for table in schema.TABLES.values() if table.stage))
_MAX_REASONS = 50

_EXECUTORS = {"InProcess": "one process", "RayExecutor": "Ray"}
"""How the page calls what a stage ran on."""


def build(reader: Reader) -> Content:
    """The complete stages in the order of the tables, and what each of them left out, by reason."""
    manifests = {stage: manifest for stage in STAGES if (manifest := reader.manifest(stage)) is not None}
    quarantined = [
        row | {"stage": stage}
        for stage, manifest in manifests.items()
        if "quarantine" in manifest["tables"]
        for row in reader.counts("quarantine", ("source_file", "reason"), stage)
    ]
    quarantined.sort(key=lambda row: -row["n"])
    return {
        "stages": [
            {
                "name": stage,
                "created": (manifest.get("created") or "").replace("T", " ").replace("+00:00", " UTC"),
                "seconds": manifest.get("seconds", {}).get("total"),
                "rows": [(name, table["rows"]) for name, table in manifest["tables"].items()],
                "executor": _EXECUTORS.get(manifest.get("cluster", {}).get("executor"), ""),
                "workers": manifest.get("cluster", {}).get("workers"),
            }
            for stage, manifest in manifests.items()
        ],
        "quarantined": quarantined[:_MAX_REASONS],
        "n_quarantined": sum(row["n"] for row in quarantined),
        "versions": next(
            (manifest["versions"] for manifest in reversed(manifests.values()) if "versions" in manifest), {}
        ),
    }
