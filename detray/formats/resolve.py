"""From the configuration section ``dataset`` to what readers work on."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.request import url2pathname

from detray.errors import UsageError
from detray.formats.catalogue import by_name, recognise
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import Source
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.values import clean, is_text


def resolve(dataset: DatasetSettings) -> list[Source]:
    """One `Source` a split, in the order of the configuration; every stated path is there.

    Raises:
        UsageError: no split is stated, a path is not there, or a format is not known.
    """
    if not dataset.splits:
        raise UsageError("dataset.splits: no split is stated; name one with its annotations")
    root = stated_path(dataset.root, ".", "dataset.root", folder=True)
    also = tuple(stated_path(path, root, "dataset.also", folder=True) for path in dataset.also)
    return [_source(name, split, root, also) for name, split in dataset.splits.items()]


def _source(name: str, split: SplitSettings, root: str, also: tuple[str, ...]) -> Source:
    place = f"dataset.splits.{name}"
    stated = (split.annotations,) if isinstance(split.annotations, str) else split.annotations
    if not any(stated):
        raise UsageError(f"{place}.annotations: no file or folder is stated")
    annotations = tuple(found for path in stated for found in _matches(path, root, f"{place}.annotations"))
    _refuse_twice(annotations, f"{place}.annotations")
    reader = recognise(Path(annotations[0])) if split.format == "auto" else by_name(split.format)
    return Source(
        split=name,
        format=reader.name,
        annotations=annotations,
        root=root,
        images=split.images and stated_path(split.images, root, f"{place}.images", folder=True),
        list=split.list and stated_path(split.list, root, f"{place}.list"),
        also=also,
    )


def _refuse_twice(paths: Sequence[str], key: str) -> None:
    seen = set()
    for path in paths:
        found = Path(path).stat()
        if (found.st_dev, found.st_ino) in seen:
            raise UsageError(f"{key}: {path} is named twice")
        seen.add((found.st_dev, found.st_ino))


def _matches(path: str, root: str, key: str) -> list[str]:
    """The files of a stated pattern (``train.record-*``), or the one path that is stated."""
    full = Path(root, path).expanduser()
    if any(mark in full.name for mark in "*?[") and not full.exists() and full.parent.is_dir():
        found = sorted(str(match) for match in full.parent.glob(full.name))
        if not found:
            raise UsageError(f"{key}: {full}: no file is so named; check the pattern")
        return found
    return [stated_path(path, root, key)]


def stated_path(path: str, root: str, key: str, *, folder: bool = False) -> str:
    """The full path of what a person states under ``key``: a path, or a URI of this machine (file://).

    Raises:
        UsageError: it is not there, or is a file where a folder is wanted.
    """
    if path.startswith("file://"):
        path = url2pathname(path.removeprefix("file://").removeprefix("localhost"))
    if "://" in path:
        raise UsageError(f"{key}: {path} is a URL; data sets are read from disk, so copy or mount it first")
    full = os.path.abspath(Path(root, path).expanduser())  # noqa: PTH100 - resolve() would follow links in a stated path
    if not is_text(full):
        raise UsageError(f"{key}: {clean(full)}: its name is no UTF-8 text; rename it")
    place = Path(full)
    if not place.exists():
        raise UsageError(f"{key}: {full}: no such file or folder; check the path")
    if not place.is_dir() and not place.is_file():
        raise UsageError(f"{key}: {full} is a pipe or a device, not a file")
    if folder and not place.is_dir():
        raise UsageError(f"{key}: {full} is not a folder")
    return full


def input_paths(dataset: DatasetSettings) -> Sequence[str]:
    """The files and folders that the data set is made of, but for its pictures."""
    sources = resolve(dataset)
    paths = [path for source in sources for path in (*source.annotations, source.list) if path]
    if dataset.label_map is not None:
        paths.append(stated_path(dataset.label_map, dataset.root, "dataset.label_map"))
    return list(dict.fromkeys(paths))


def picture_places(dataset: DatasetSettings) -> Sequence[str]:
    """The image folders that are stated, and the TFRecord files of splits without: their records hold pictures."""
    found = [place for source in resolve(dataset) for place in ([source.images] if source.images else _held(source))]
    return list(dict.fromkeys(found))


def _held(source: Source) -> Sequence[str]:
    return source.annotations if source.format == TFRecord.name else ()
