"""Which images stay together: what looks alike, bursts, the same file, and what a person names."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from detray.arrays import Ints
from detray.audit.alike import grouped, looking_alike
from detray.audit.likeness import BURST_DISTANCE, MAX_STEPS, MIN_BITS, stem
from detray.errors import UsageError
from detray.split.settings import AUTO, FILE, FOLDER, NONE

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]
PREFIX = "prefix:"
MIN_FILES = 20
"""Of several images each, from which on a file of annotations is taken for a scene."""


def groups(n: int, links: Sequence[Ints]) -> Ints:
    """The group of each of ``n`` images, ``[n]`` from 0, numbered in their order."""
    found = grouped(n, np.concatenate([np.zeros((0, 2), np.int64), *links]))
    _, first, back = np.unique(found, return_index=True, return_inverse=True)
    ranks: Ints = np.argsort(np.argsort(first))[back]
    return ranks


def alike(rows: Ints, names: Sequence[str | None], hashes: Ints, contents: Sequence[str]) -> list[Ints]:
    """Links between images whose pictures are equal, nearly equal, or of one burst, as the audit knows them.

    Args:
        rows: the images whose pictures were read, ``[k]``.
        names: of these pictures.
        hashes: their perceptual hashes, 64 bits as signed integers, ``[k]``.
        contents: their content hashes.
    """
    bits: Hashes = hashes.view(np.uint64)
    return [rows[looking_alike(bits, contents)], rows[bursts(names, bits)]]


def bursts(names: Sequence[str | None], hashes: Hashes) -> Ints:
    """Links ``[l, 2]`` between pictures whose names differ in their last number and that look somewhat alike."""
    counts = np.bitwise_count(hashes)
    shaped = (counts >= MIN_BITS) & (counts <= 64 - MIN_BITS)
    clips: dict[str, list[int]] = defaultdict(list)
    for row in sorted(np.flatnonzero(shaped).tolist(), key=lambda row: names[row] or ""):
        if (clip := stem(names[row] or "")) is not None:
            clips[clip].append(row)
    found = [
        (one, other)
        for clip in clips.values()
        for at, one in enumerate(clip)
        for other in clip[at + 1 : at + 1 + MAX_STEPS]
        if int(hashes[one] ^ hashes[other]).bit_count() <= BURST_DISTANCE
    ]
    return np.array(found, np.int64).reshape(-1, 2)


def same(values: Sequence[object]) -> Ints:
    """Links ``[l, 2]`` between rows with the same value; None is no value."""
    first: dict[object, int] = {}
    found = [(first.setdefault(value, row), row) for row, value in enumerate(values) if value is not None]
    return np.array([pair for pair in found if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def named(group: str, columns: Mapping[str, Sequence[object]]) -> tuple[Sequence[object], str]:
    """What each image is held together by, as `split.group` asks, and how that is said; no value where nothing is.

    Args:
        group: the setting.
        columns: ``source_file``, ``file_name``, ``path``, ``attributes`` (JSON) and further columns of images.

    Raises:
        UsageError: no image has such an attribute or column.
    """
    names = [str(name) if name is not None else None for name in columns["file_name"]]
    nothing: list[object] = [None] * len(names)
    if group == NONE:
        return nothing, ""
    if group == AUTO:
        counts = Counter(columns["source_file"])
        is_scene = len(counts) >= MIN_FILES and sum(count > 1 for count in counts.values()) * 2 > len(counts)
        return (columns["source_file"], "annotation file") if is_scene else (nothing, "")
    if group == FILE:
        return columns["source_file"], "annotation file"
    if group == FOLDER:
        return [name and (name.rpartition("/")[0] or None) for name in names], "folder"
    if group.startswith(PREFIX) and group != PREFIX:
        text = group.removeprefix(PREFIX)
        last = [name and name.rpartition("/")[2] for name in names]
        return [
            name.partition(text)[0] if name and text in name else None for name in last
        ], f"the name before '{text}'"
    attributes = [json.loads(str(text)) if text else {} for text in columns["attributes"]]
    values = columns[group] if group in columns else [_plain(one.get(group)) for one in attributes]
    if not any(value is not None for value in values):
        known = sorted({name for one in attributes for name in one})[:20]
        raise UsageError(
            f"split.group: no image has the attribute or column '{group}'; attributes: {', '.join(known) or 'none'};"
            f" else {AUTO}, {NONE}, {FILE}, {FOLDER} or {PREFIX}TEXT"
        )
    return values, group


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)
