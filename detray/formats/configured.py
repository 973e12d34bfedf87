"""The files that a pipeline.config names, and the data set that they make.

Its paths are data: they are followed only below the data set's folder, links resolved, and URLs are never fetched.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from detray.errors import UsageError
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import locate
from detray.formats.tfrecord.reader import TFRecord
from detray.pipeline.paths import CHECKPOINT, LABEL_MAP, TRAIN, StatedPath, readers, stated_paths
from detray.pipeline.read import PipelineFile, read_pipeline

TO_BE_CONFIGURED = "PATH_TO_BE_CONFIGURED"
INDEX = ".index"


def found_paths(file: PipelineFile, root: str, also: Sequence[str] = ()) -> tuple[StatedPath, ...]:
    """What becomes of each path of ``file``, below ``root``, one of ``also`` or its own folder.

    Relative ones start in the current directory, where the API's trainer looks, else in ``root``, else beside the file.
    """
    own = str(Path(file.path).absolute().parent)
    allowed = tuple(os.path.realpath(folder) for folder in (root, *also, own))
    bases = (str(Path.cwd()), root, own)
    return tuple(_find(place, stated, bases, root, allowed) for place, stated in stated_paths(file))


def _find(place: str, stated: str, bases: Sequence[str], root: str, allowed: tuple[str, ...]) -> StatedPath:
    if TO_BE_CONFIGURED in stated:
        return StatedPath(place, stated, problem="is still to be configured")
    if "://" in stated:
        return StatedPath(place, stated, problem="is a URL, which is not fetched", looked=False)
    places = [locate(base, stated, allowed) for base in bases]
    for full in places:
        files = () if full is None else _files(full, allowed, is_checkpoint=place == CHECKPOINT)
        if files:
            return StatedPath(place, stated, files)
    instead = _elsewhere(place, stated, root, allowed)
    if None in places:
        problem = "lies outside of the data set's folder, so it is not looked at"
        return StatedPath(place, stated, problem=problem, looked=False, instead=instead)
    return StatedPath(place, stated, problem="is not there", instead=instead)


def _files(full: str, allowed: tuple[str, ...], *, is_checkpoint: bool = False) -> tuple[str, ...]:
    """The files that a path, or the pattern of a name, stands for."""
    path = Path(full)
    if is_checkpoint:  # a path stands for several files, whose names go on
        return (full,) if path.exists() or path.with_name(path.name + INDEX).is_file() else ()
    if path.is_file():
        return (full,)
    folder = str(path.parent)
    if not any(mark in path.name for mark in "*?[") or not path.parent.is_dir():
        return ()
    names = sorted(name for name in os.listdir(folder) if fnmatchcase(name, path.name))  # noqa: PTH208 - names only
    places = [place for name in names if (place := locate(folder, name, allowed)) is not None]
    return tuple(place for place in places if Path(place).is_file())


def _elsewhere(place: str, stated: str, root: str, allowed: tuple[str, ...]) -> str | None:
    """The longest end of a path that is there below ``root``."""
    parts = [part for part in stated.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for start in range(min(len(parts), 8)):
        end = "/".join(parts[start:])
        full = locate(root, end, allowed)
        if full is not None and _files(full, allowed, is_checkpoint=place == CHECKPOINT):
            return end
    return None


def dataset_of_pipeline(path: str, root: str | None = None) -> DatasetSettings:
    """The data set that a pipeline.config reads: its training records, and those of its first evaluation.

    Its folder is ``root``, or else the current directory or that of the file, whichever holds the records. Where a path
    of another machine ends as one does that is there, that one is read, and the audit says so.

    Raises:
        UsageError: the file cannot be read, or its records are below neither.
    """
    file = read_pipeline(path)
    roots = [str(Path.cwd()), str(Path(path).absolute().parent)] if root is None else [root]
    for folder in roots:
        paths = [_as_read(one, folder) for one in found_paths(file, folder)]
        splits = _splits(file, paths)
        if splits:
            maps = [one.files[0] for one in paths if one.place.endswith(LABEL_MAP) and one.files]
            return DatasetSettings(
                root=folder, label_map=maps[0] if maps else None, splits=splits, pipeline=str(Path(path).absolute())
            )
    named = next((one for one in paths if one.is_records), None)
    if named is None:
        raise UsageError(f"{path}: names no records; name annotation files, too")
    mend = "correct it, start in the folder that holds it, or name annotation files, too"
    raise UsageError(f"{path}: {file.at(named.place)}: {named.stated} {named.problem}; {mend}")


def _as_read(path: StatedPath, root: str) -> StatedPath:
    """A path, or in its place the one that is there."""
    if path.instead is None:
        return path
    return replace(path, files=_files(os.path.join(root, path.instead), (os.path.realpath(root),)))  # noqa: PTH118


def _splits(file: PipelineFile, paths: Sequence[StatedPath]) -> dict[str, SplitSettings]:
    """The splits whose records are there."""
    found: dict[str, SplitSettings] = {}
    for place, _ in readers(file):
        files = [one for path in paths if path.is_records and path.is_of(place) for one in path.files]
        split = "train" if place == TRAIN else "val"
        if files and split not in found:
            found[split] = SplitSettings(format=TFRecord.name, annotations=tuple(dict.fromkeys(files)))
    return found
