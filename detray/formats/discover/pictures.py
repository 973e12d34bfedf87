"""Which folder of a tree holds the pictures that annotations name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detray.errors import DetrayError
from detray.files import PICTURE_SUFFIXES
from detray.formats.catalogue import by_name
from detray.formats.discover.candidates import split_of
from detray.formats.discover.tree import Tree
from detray.formats.source import Source, is_there, locate, picture_name
from detray.formats.yolo.data_file import label_of

MAX_NAMES = 20
"""Pictures that are looked for."""


@dataclass(frozen=True)
class Fit:
    """A folder, and how many of the pictures looked for lie there. ``files``: these."""

    folder: str
    files: frozenset[str]


def folders_for(source: Source, tree: Tree) -> list[str]:
    """The folders of ``tree`` that fit ``source``: none, one, or several between which nothing decides.

    The folder with most of the pictures looked for is the one; of several with as many the one that is named as the
    split is, else that which lies nearest to the annotations. Folders that lead to the same files are one, the inner.
    """
    names = _names(source)
    is_below = any("/" in name or "\\" in name for name in names)
    places = [folder.path for folder in tree.folders if folder.has_pictures or is_below]
    fits = [fit for place in places if (fit := _fit(place, names, source)).files]
    most = max((len(fit.files) for fit in fits), default=0)
    fits = [fit for fit in fits if len(fit.files) == most]
    inner = {fit.files: fit for fit in fits}  # later ones lie deeper
    fits = list(inner.values())
    for choose in (_by_split, _beside, _mirrored):
        if len(fits) > 1:
            fits = choose(fits, source) or fits
    return [fit.folder for fit in fits]


def _by_split(fits: Sequence[Fit], source: Source) -> list[Fit]:
    return [fit for fit in fits if split_of(fit.folder.removeprefix(source.root)) == source.split]


def _beside(fits: Sequence[Fit], source: Source) -> list[Fit]:
    return [fit for fit in fits if fit.folder == _home(source)]


def _mirrored(fits: Sequence[Fit], source: Source) -> list[Fit]:
    """The folder whose labels lie where YOLO looks for them: images becomes labels."""
    return [fit for fit in fits if label_of(f"{fit.folder}/a.jpg").rpartition("/")[0] == _home(source)]


def _home(source: Source) -> str:
    stated = Path(source.annotations[0])
    return str(stated if stated.is_dir() else stated.parent)


def _names(source: Source) -> list[str]:
    """Some names of pictures, from all over the first images that are read; none where nothing can be read."""
    reader = by_name(source.format)
    try:
        plan = reader.plan(source)
        if source.format == "yolo":  # whose files state no names
            files = [path for path in plan["file"].to_pylist() if path]
            found = [os.path.relpath(path, _home(source)).removesuffix(".txt") for path in files]
        else:
            is_images = [part == "images" for part in plan["part"].to_pylist()]
            first = is_images.index(True) if True in is_images else 0
            pieces = plan.slice(first, 1 if True in is_images else MAX_NAMES)
            same = [number == pieces["chunk"][0].as_py() for number in pieces["chunk"].to_pylist()]
            found = reader.read(source, pieces.slice(0, sum(same))).images["file_name"].to_pylist()
    except (DetrayError, OSError):
        return []
    names = [name for name in found if name]
    return names[:: max(1, len(names) // MAX_NAMES)][:MAX_NAMES]


def _fit(folder: str, names: Sequence[str], source: Source) -> Fit:
    here = replace(source, images=folder)
    files = (_file(name, here) for name in names)
    return Fit(folder, frozenset(path for path in files if path is not None))


def _file(name: str, source: Source) -> str | None:
    """The picture that ``name`` leads to in the image folder; COCO's names are whole, others may begin elsewhere."""
    has_suffix = name.lower().endswith(PICTURE_SUFFIXES)
    for called in [name] if has_suffix else [f"{name}{suffix}" for suffix in PICTURE_SUFFIXES]:
        end = called if source.format == "coco" else picture_name(called, source)
        if is_there(end, source) and source.images is not None:
            return locate(source.images, end, source.folders)
    return None
