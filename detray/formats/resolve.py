"""From the configuration section ``dataset`` to what readers work on."""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from urllib.request import url2pathname

from detray.errors import UsageError
from detray.formats.catalogue import by_name, recognise
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import Source
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.values import clean, is_text
from detray.mirror import here, here_beside, stated, uri_of
from detray.remote import is_uri, join


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
    named = (split.annotations,) if isinstance(split.annotations, str) else split.annotations
    if not any(named):
        raise UsageError(f"{place}.annotations: no file or folder is stated")
    annotations = tuple(found for path in named for found in _matches(path, root, f"{place}.annotations"))
    _refuse_twice(annotations, f"{place}.annotations")
    reader = recognise(Path(annotations[0])) if split.format == "auto" else by_name(split.format)
    # what lies beside a file stands in a folder of its own
    also += tuple(dict.fromkeys(posixpath.dirname(path) for path in annotations if uri_of(path)))
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
    uri, pattern = _uri(path, root), path.rpartition("/")[2]
    if uri is not None and any(mark in pattern for mark in "*?["):  # the folder, and the files in it that fit
        root, path = here(uri.rpartition("/")[0]), pattern
    full = Path(root, path).expanduser()
    if any(mark in full.name for mark in "*?[") and not full.exists() and full.parent.is_dir():
        found = sorted(str(match) for match in full.parent.glob(full.name))
        if not found:
            raise UsageError(f"{key}: {full}: no file is so named; check the pattern")
        return found
    return [stated_path(path, root, key)]


def stated_path(path: str, root: str, key: str, *, folder: bool = False) -> str:
    """The full path of what a person states under ``key``: a path or a URI, for which one on this machine stands.

    Raises:
        UsageError: it is not there, or is a file where a folder is wanted.
    """
    if path.startswith("file://"):
        path = url2pathname(path.removeprefix("file://").removeprefix("localhost"))
    try:
        uri = _uri(path, root)
        path = path if uri is None else here(uri, listed=False) if folder else here_beside(uri)
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from None
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


def _uri(path: str, root: str) -> str | None:
    """The URI that ``path`` below ``root`` is; None where it is a path on this machine.

    Raises:
        UsageError: nothing opens it.
    """
    if is_uri(path):
        return path
    base = root if is_uri(root) else uri_of(root)
    if base is None or path.startswith("/"):
        return None
    place = posixpath.normpath(path)
    if place.startswith(".."):
        raise UsageError(f"{path}: leads out of {base}")
    return base if place == "." else join(base, place)


def input_paths(dataset: DatasetSettings) -> Sequence[str]:
    """The files and folders that the data set is made of, but for its pictures."""
    sources = resolve(dataset)
    paths = [path for source in sources for path in (*source.annotations, source.list) if path]
    if dataset.label_map is not None:
        paths.append(stated_path(dataset.label_map, dataset.root, "dataset.label_map"))
    return list(dict.fromkeys(map(stated, paths)))


def picture_places(dataset: DatasetSettings) -> Sequence[str]:
    """The image folders that are stated, and the TFRecord files of splits without: their records hold pictures."""
    found = [place for source in resolve(dataset) for place in ([source.images] if source.images else _held(source))]
    return list(dict.fromkeys(map(stated, found)))


def _held(source: Source) -> Sequence[str]:
    return source.annotations if source.format == TFRecord.name else ()
