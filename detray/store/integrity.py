"""Whether what lies in the output folder is as it was written: seals of small files, digests of large ones."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

TAIL = 128 * 1024
"""Bytes at the end of a file that its digest covers: the footer of a Parquet or Arrow file, and small files whole.
Pages before it have checksums of their own, which are verified as they are read."""

Count = Annotated[int, Meta(ge=0)]


class Stored(msgspec.Struct, frozen=True):
    """What tells that a file is whole: its size, and a digest of its last `TAIL` bytes, of objects mostly of all."""

    bytes: Count
    digest: str


def stored(size: int, tail: bytes | memoryview) -> Stored:
    """Of a file of ``size`` bytes that ends with ``tail``."""
    return Stored(size, digest(tail[-TAIL:]))


def digest(data: bytes | memoryview) -> str:
    """A digest of 128 bits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def sealed(content: bytes) -> bytes:
    """``content`` with a last line that `unsealed` checks; JSON stays lines of JSON."""
    return content + b"\n" + _seal(content)


def unsealed(data: bytes) -> bytes | None:
    """What was `sealed`; None if it has changed since."""
    content, line, seal = data.rpartition(b"\n")
    return content if line and seal == _seal(content) else None


def _seal(content: bytes) -> bytes:
    return f'"{digest(content)}"'.encode()


SEAL = "seal"


def sealed_json(content: dict[str, Any]) -> bytes:
    """A JSON object, and in it the digest of all else."""
    return json.dumps(content | {SEAL: digest(json.dumps(content).encode())}, indent=1).encode()


def unsealed_json(data: bytes) -> dict[str, Any]:
    """What was given to `sealed_json`.

    Raises:
        ValueError: it is no JSON, or has changed since.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("not readable as JSON") from None
    if not isinstance(content, dict) or content.pop(SEAL, None) != digest(json.dumps(content).encode()):
        raise ValueError("not as it was written")
    return content


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in its folder, and leads nowhere else."""
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def refuse_paths(names: Iterable[str]) -> None:
    """Refuse all but plain names.

    Raises:
        ValueError: with the first that is none.
    """
    for name in names:
        if not is_plain(name):
            raise ValueError(f"{name!r} is no plain file name")
