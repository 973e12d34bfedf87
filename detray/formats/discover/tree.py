"""The folders of a data set down to two levels, listed once and within bounds."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from detray.errors import UsageError
from detray.files import PICTURE_SUFFIXES
from detray.formats.source import locate
from detray.formats.tfrecord.records import is_called_record_file

DEPTH = 2
MAX_FOLDERS = 1_000
MAX_ENTRIES = 1_000_000
MAX_NAMES = 10_000
"""Folders, entries of all of them, and names of annotation files of one that are looked at."""
_SUFFIXES = (".json", ".xml", ".csv", ".txt", ".yaml", ".yml")
_LEFT_OUT = ("__MACOSX", "__pycache__", "node_modules")
_OUTPUT = ("ingest", "audit")
"""Folders that an output folder of detray's own has."""


@dataclass(frozen=True)
class Folder:
    """A folder of the tree.

    Attributes:
        path: its full path.
        place: its path below the root, "" for the root.
        names: of files that may hold annotations, sorted.
        has_pictures: whether it holds pictures.
    """

    path: str
    place: str
    names: tuple[str, ...]
    has_pictures: bool


@dataclass
class Tree:
    """The folders below ``root``, each before those in it, and what was not looked at."""

    root: str
    folders: list[Folder] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def walk(root: str) -> Tree:
    """List the folder ``root`` and two levels below it.

    Hidden folders, links that lead out of it and what detray wrote are left out. Of more than `MAX_ENTRIES` entries, or
    `MAX_FOLDERS` folders, the rest is not looked at.

    Raises:
        UsageError: ``root`` itself cannot be listed.
    """
    tree = Tree(root)
    allowed = (os.path.realpath(root),)
    seen = set()
    waiting = [(root, "", 0)]
    left = MAX_ENTRIES
    while waiting:
        path, place, depth = waiting.pop(0)
        if len(tree.folders) == MAX_FOLDERS or left <= 0:
            tree.remarks.append(f"of its folders only the first {len(tree.folders):,} were looked at")
            break
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        listed = _Listed()
        try:
            with os.scandir(path) as entries:
                left -= listed.take(entries, left)
        except OSError as error:
            if not place:
                raise UsageError(f"{path}: cannot be read ({error.strerror}); check the folder") from None
            tree.remarks.append(f"{place} cannot be read ({error.strerror})")
            continue
        if set(_OUTPUT) <= set(listed.below):
            continue
        tree.folders.append(Folder(path, place, tuple(sorted(listed.names)), listed.has_pictures))
        if depth < DEPTH:
            inner = sorted(name for name in listed.below if locate(path, name, allowed) is not None)
            waiting += [(f"{path}/{name}", f"{place}/{name}".lstrip("/"), depth + 1) for name in inner]
    return tree


@dataclass
class _Listed:
    """What one folder holds."""

    names: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    has_pictures: bool = False

    def take(self, entries: "Iterator[os.DirEntry[str]]", most: int) -> int:
        """List at most ``most`` entries; how many were."""
        count = 0
        for entry in entries:
            count += 1
            if count > most:
                break
            name = entry.name
            if name.lower().endswith(PICTURE_SUFFIXES):
                self.has_pictures = True
            elif name.startswith(".") or name in _LEFT_OUT:
                continue
            elif _is_folder(entry):
                self.below.append(name)
            elif len(self.names) < MAX_NAMES and _may_hold(name):
                self.names.append(name)
        return count


def _may_hold(name: str) -> bool:
    """Whether a file of that name may hold annotations."""
    return name.lower().endswith(_SUFFIXES) or is_called_record_file(Path(name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
