"""The manifest of a complete stage, as readers rely on it."""

from typing import Any

import msgspec

from detray.refusals import find_refusal
from detray.store.integrity import Count, Stored, refuse_paths, sealed_json, unsealed_json
from detray.store.parts import Part

MANIFEST = "manifest.json"

Json = dict[str, Any]


class TableFiles(msgspec.Struct):
    """A table: its rows, and its parts in their order."""

    rows: Count
    files: list[Part]


class ShownTable(msgspec.Struct):
    """A table of the summary."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


class Manifest(msgspec.Struct, kw_only=True):
    """What readers use of a manifest; more may stand there."""

    stage: str
    id: str = ""
    fingerprint: str = ""
    created: str = ""
    run_id: str = ""
    command: str = ""
    host: str = ""
    versions: dict[str, str] = {}
    cluster: dict[str, Any] = {}
    counts: dict[str, int] = {}
    seconds: dict[str, float] = {}
    facts: dict[str, Any] = {}
    summary: list[ShownTable] = []
    notes: list[str] = []
    advice: list[str] = []
    next_step: str | None = None
    files: dict[str, Stored] = {}
    tables: dict[str, TableFiles]

    def __post_init__(self) -> None:
        refuse_paths((self.stage, *self.tables, *(name for path in self.files for name in path.split("/"))))
        for table, own in self.tables.items():
            for part in own.files:
                folder, _, name = part.file.rpartition("/")
                refuse_paths([name])
                if folder != f"{self.stage}/{table}":
                    raise ValueError(f"{part.file!r} is no part of {table}")


def encode(manifest: Json) -> bytes:
    """A manifest as a file."""
    return sealed_json(manifest)


def decode(data: bytes, stage: str) -> Json:
    """The manifest of ``stage`` that `encode` made; what does not stand there is empty.

    Raises:
        ValueError: it has changed since, or another shape.
    """
    content = unsealed_json(data)
    try:
        manifest = msgspec.convert(content, Manifest)
    except msgspec.ValidationError:
        refusal = find_refusal(content, Manifest)
        raise ValueError(f"{'.'.join(refusal.path)}: {refusal.reason}" if refusal else "of another shape") from None
    if manifest.stage != stage:
        raise ValueError(f"the manifest of {manifest.stage!r}")
    return msgspec.to_builtins(manifest) | content


def parts(manifest: Json) -> dict[str, Stored]:
    """The parts of the tables, by path below the root."""
    tables = msgspec.convert(manifest["tables"], dict[str, TableFiles])
    return {part.file: part.stored for own in tables.values() for part in own.files}


def files(manifest: Json) -> dict[str, Stored]:
    """The stage's other files, by path below the root."""
    found = msgspec.convert(manifest["files"], dict[str, Stored])
    return {f"{manifest['stage']}/{path}": file for path, file in found.items()}
