"""Where the page comes from: stages with their times, what was left out, versions."""

from detray import schema
from detray.report.reader import Reader
from detray.report.sections.common import Content
from detray.store import Json

STAGES = tuple(dict.fromkeys(table.stage for table in schema.TABLES.values() if table.stage))
_MAX_REASONS = 50
_MAX_INPUTS = 12
_MAX_SETTINGS = 40_000
"""Characters."""

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
        "seeds": [
            (f"{stage} {name}", seed)
            for stage, manifest in manifests.items()
            for name, seed in manifest.get("seeds", {}).items()
        ],
        "fingerprints": [_fingerprint(stage, manifest) for stage, manifest in manifests.items()],
        "command": _command(reader, manifests),
        "settings": _settings(reader, manifests),
        "n_quarantined": sum(row["n"] for row in quarantined),
        "versions": next(
            (manifest["versions"] for manifest in reversed(manifests.values()) if "versions" in manifest), {}
        ),
    }


def _fingerprint(stage: str, manifest: Json) -> Content:
    """What tells the results of a stage from others, and the digests of the files that it read."""
    inputs = [(str(entry.get("path", "")), str(entry.get("fingerprint", ""))) for entry in manifest.get("inputs", [])]
    return {
        "stage": stage,
        "fingerprint": manifest.get("fingerprint", ""),
        "inputs": inputs[:_MAX_INPUTS],
        "left_out": max(len(inputs) - _MAX_INPUTS, 0),
    }


def _newest(manifests: dict[str, Json]) -> str | None:
    return max(manifests, key=lambda stage: str(manifests[stage].get("created", "")), default=None)


def _command(reader: Reader, manifests: dict[str, Json]) -> str | None:
    """The command that does all stages again with the settings of the newest one."""
    stage = _newest(manifests)
    if stage is None:
        return None
    stated = manifests[stage].get("command")
    return stated or f"detray {stage} --config {reader.store.path(stage, 'config.yaml')} --force"


def _settings(reader: Reader, manifests: dict[str, Json]) -> str | None:
    """The resolved configuration of the newest stage, as YAML."""
    stage = _newest(manifests)
    text = None if stage is None else reader.store.read_bytes(stage, "config.yaml")
    return text.decode("utf-8", "replace")[:_MAX_SETTINGS] if text else None
