"""One split as a reader sees it: full paths, and which places its data may point to."""

import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from detray import mirror
from detray.errors import UsageError

OUTSIDE = "leads out of the data set's folder"
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 4095  # Linux, and not more elsewhere
_MAX_ENDS = 8
_NO_PART = re.compile(r"\.{0,2}|[A-Za-z]:")
"""What stands between the separators of a path and names no folder below another."""


@dataclass(frozen=True)
class Source:
    """The stated files of one split; all paths are absolute.

    Paths that a person states are trusted. Names found inside data must lie, links followed, under
    ``root``, one of ``also``, or under a folder that was stated.
    """

    split: str
    format: str
    annotations: tuple[str, ...]
    root: str
    images: str | None = None
    list: str | None = None
    also: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The places, links resolved, that names found in the data may lead to."""
        stated = (self.root, *self.also, self.images, *self.annotations)
        return tuple(dict.fromkeys(_real(path) for path in stated if path and Path(path).is_dir()))


def locate(folder: str, name: str, allowed: tuple[str, ...]) -> str | None:
    """The full path of ``name``, found in data, below ``folder``; None if it leads out of ``allowed``.

    The file need not be there; None too if no file can have that name. Links are followed; the folder of
    each is resolved once.
    """
    if "\0" in name or not name or len(name) > _MAX_PATH_BYTES:
        return None
    path = os.path.normpath(os.path.join(folder, name.replace("\\", "/")))  # noqa: PTH118 - half of pathlib's cost a name
    if not _can_be(path):
        return None
    parent, _, last = path.rpartition("/")
    place = f"{_real(parent or '/')}/{last}"
    try:
        if stat.S_ISLNK(os.lstat(place).st_mode):
            place = os.path.realpath(place)
    except OSError:
        pass  # not there, or not readable: a rule of the audit says so
    return path if any(place.startswith(f"{base.rstrip('/')}/") for base in allowed) else None


def require_inside(folder: Path, name: str) -> None:
    """Refuse a file that was found in a data set's ``folder``, not stated, and is elsewhere by its links.

    Raises:
        UsageError: naming it.
    """
    if locate(str(folder), name, (os.path.realpath(folder),)) is None:
        raise UsageError(
            f"{folder / name}: {OUTSIDE}, so it is not read; copy it there, or state it in a configuration"
        )


def picture_name(stated: str, source: Source) -> str:
    """What a picture is called below the image folder, of a path that its annotation file states.

    Tools write paths of the machine where they ran. The longest end of the path that is there counts; the
    path without what leads out of a folder where none is, or no image folder is stated.
    """
    parts = [part for part in re.split(r"[/\\]", stated) if not _NO_PART.fullmatch(part)]
    ends = ("/".join(parts[start:]) for start in range(max(0, len(parts) - _MAX_ENDS), len(parts)))
    return next((end for end in ends if is_there(end, source)), "/".join(parts) or stated)


def is_there(name: str, source: Source) -> bool:
    """Whether the image folder, if one is stated, has a picture of that name."""
    place = None if source.images is None else locate(source.images, name, source.folders)
    return place is not None and mirror.exists(place)


def _can_be(path: str) -> bool:
    """The system takes such a path; of any other every question about it raises an error."""
    if len(path) <= _MAX_NAME_BYTES and path.isascii():
        return True
    try:
        data = path.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return len(data) <= _MAX_PATH_BYTES and all(len(name) <= _MAX_NAME_BYTES for name in data.split(b"/"))


@lru_cache(maxsize=4096)
def _real(path: str) -> str:
    return os.path.realpath(path)
