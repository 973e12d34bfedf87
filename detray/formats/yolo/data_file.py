"""YOLO data files (data.yaml): where pictures and labels of each split lie, and what the classes are called."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES
from detray.formats.listing import as_text, listed_names, unreadable_folder
from detray.formats.source import locate, require_inside
from detray.formats.values import clean, describe
from detray.settings import parse_yaml, read_text

SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml")
MAX_INDEX = 2**31 - 1


@dataclass(frozen=True)
class YoloData:
    """A data file.

    ``names`` by class index (None: no text), and what it states for each split, as written. A file that states
    no split leaves the folders images and labels beside it to be understood: their folders train, val and test, else
    all pictures are the one split, ``whole``. ``miscounted`` says where ``nc`` is not the number of names.
    """

    path: str
    folder: str
    names: dict[int, str | None]
    splits: dict[str, tuple[str, ...]]
    whole: tuple[str, ...] = ()
    miscounted: str | None = None


def is_data_file(path: Path) -> bool:
    """Whether ``path`` is YAML that states names of classes, or pictures of a split.

    Raises:
        UsageError: it is called YAML and cannot be read as that.
    """
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    value = _value(read_text(path), str(path))
    return isinstance(value, dict) and (
        "names" in value or any(isinstance(value.get(key), str | list) for keys in SPLITS.values() for key in keys)
    )


def data_file_in(folder: Path) -> Path | None:
    """The data file of a data set's folder; None if it has none.

    Raises:
        UsageError: what is called so cannot be read as YAML, or leads out of the folder.
    """
    for name in DATA_FILES:
        if (folder / name).is_file():
            require_inside(folder, name)
            if is_data_file(folder / name):
                return folder / name
    return None


def read_data_file(path: str, allowed: tuple[str, ...]) -> YoloData:
    """The data file ``path``; the places it states are looked for below ``allowed``.

    Raises:
        DetrayError: it names no classes or is not of this kind.
    """
    value = _value(read_text(Path(path)), path)
    if not isinstance(value, dict):
        raise DetrayError(f"{path}: not a YOLO data file; it needs names and train, val or test")
    home = str(Path(path).parent)
    stated = value.get("path")
    # people's `path` often is relative to somewhere else, or of another machine: then the file's own folder counts
    folder = locate(home, stated, allowed) if isinstance(stated, str) else None
    splits = {}
    for split, keys in SPLITS.items():
        found = next((value[key] for key in keys if value.get(key)), None)
        if found is not None:
            splits[split] = tuple(str(part) for part in (found if isinstance(found, list) else [found]))
    names = _names(value.get("names"), path)
    folder = folder if folder and Path(folder).is_dir() else home
    whole: tuple[str, ...] = ()
    if not splits and all(Path(folder, name).is_dir() for name in ("images", "labels")):
        beside = {
            split: [key for key in keys if Path(folder, "images", key).is_dir()] for split, keys in SPLITS.items()
        }
        splits = {split: (f"images/{found[0]}",) for split, found in beside.items() if found}
        whole = () if splits else ("images",)
    return YoloData(path, folder, names, splits, whole, _miscounted(value.get("nc"), names))


@lru_cache(maxsize=4)
def _value(text: str, path: str) -> Any:
    """Parsed once for all chunks that ask for the classes; not to be changed."""
    return parse_yaml(text, path)


def _miscounted(stated: object, names: dict[int, str | None]) -> str | None:
    if stated is None or str(stated) in (str(len(names)), str(max(names, default=-1) + 1)):
        return None
    return f"{describe(stated)}, and {len(names)} names"


def _names(value: Any, path: str) -> dict[int, str | None]:
    if isinstance(value, list):
        return {index: _name(name) for index, name in enumerate(value)}
    if isinstance(value, dict) and all(type(key) is int and 0 <= key <= MAX_INDEX for key in value):
        return {key: _name(name) for key, name in value.items()}
    raise DetrayError(
        f"{path}: names: a list of class names, or a mapping of indices, 0 or more, to names, is expected"
    )


def _name(value: Any) -> str | None:
    """YAML reads the names no, 7 and 1.5 as other things than text; nothing, lists and mappings name no class."""
    return None if value is None or isinstance(value, list | dict) else clean(str(value))


def place_of(data: YoloData, stated: str, allowed: tuple[str, ...]) -> str | None:
    """The folder or list that a split states; exports often write ``../train/images`` for ``train/images``."""
    for name in (stated, stated.removeprefix("../")):
        found = locate(data.folder, name, allowed)
        if found is not None and Path(found).exists():
            return found
    return None


def pictures_of(place: str, data: YoloData, allowed: tuple[str, ...]) -> dict[str, str | None]:
    """The pictures of a folder, with its folders below, or of a list file, each with where its labels lie.

    NULL where a list names a place that is not below ``allowed``.
    """
    if Path(place).is_dir():
        return {path: label_of(path) for path in walk(place) if path.lower().endswith(PICTURE_SUFFIXES)}
    found: dict[str, str | None] = {}
    for name in listed_names(place):
        folder = str(Path(place).parent) if name.startswith("./") else data.folder
        path = locate(folder, name, allowed)
        found[path or os.path.join(folder, name)] = path and label_of(path)  # noqa: PTH118 - a path as written
    return found


def label_of(picture: str) -> str:
    """Where a picture's labels lie: the last ``images`` folder of its path becomes ``labels``."""
    folder, separator, rest = picture.rpartition("/images/")
    stem = (f"{folder}/labels/{rest}" if separator else picture).rpartition(".")[0]
    return f"{stem}.txt"


def walk(folder: str) -> list[str]:
    """All files below a folder, links to folders not followed, in the order of their paths.

    Raises:
        DetrayError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if Path(folder).exists():
            raise unreadable_folder(error)

    return sorted(as_text(f"{top}/{name}") for top, _, names in os.walk(folder, onerror=refuse) for name in names)
