"""A data set written back in its own format: which files it is made of, and each of them with its changes."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from detray.changes import CHANGES, FILES, Changes, file_key
from detray.errors import UsageError
from detray.files import open_file
from detray.formats.catalogue import by_name
from detray.formats.coco import writer as coco
from detray.formats.createml import writer as createml
from detray.formats.cvat import writer as cvat
from detray.formats.label_studio import writer as label_studio
from detray.formats.labelme import writer as labelme
from detray.formats.open_images import writer as open_images
from detray.formats.retinanet_csv import writer as retinanet_csv
from detray.formats.retinanet_csv.reader import classes_beside
from detray.formats.source import Source, locate
from detray.formats.tf_csv import writer as tf_csv
from detray.formats.tfrecord import writer as tfrecord
from detray.formats.via import writer as via
from detray.formats.voc import writer as voc
from detray.formats.yolo import writer as yolo
from detray.formats.yolo.reader import folders_of, name_file_of, states_pictures
from detray.mirror import here, stated

_COPY_BYTES = 1 << 20


def _of_whole(write: Callable[[bytes, Changes], bytes]) -> Callable[[str, Changes], Iterable[bytes]]:
    """A writer of files that are held whole, as those of one image are."""

    def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
        data = b"".join(_copy(path)) if Path(path).exists() else b""
        yield write(data, changes) if changes else data

    return rewrite


WRITERS: Mapping[str, Callable[[str, Changes], Iterable[bytes]]] = {
    "coco": coco.rewrite,
    "createml": createml.rewrite,
    "cvat": cvat.rewrite,
    "label_studio": label_studio.rewrite,
    "labelme": labelme.rewrite,
    "open_images": open_images.rewrite,
    "retinanet_csv": retinanet_csv.rewrite,
    "tf_csv": tf_csv.rewrite,
    "tfrecord": tfrecord.rewrite,
    "via": via.rewrite,
    "voc": _of_whole(voc.rewrite),
    "yolo": _of_whole(yolo.rewrite),
}
"""By format: a file with some of its rows changed, piece by piece."""


@dataclass(frozen=True)
class Rewriting:
    """The files of a data set.

    Attributes:
        sources: the splits.
        names: of classes in the files, by what they are called in tables, where these differ.
    """

    sources: tuple[Source, ...]
    names: Mapping[str, str]

    def files(self, split: str) -> pa.Table:
        """The files of a split that is written back, as `FILES`."""
        source = self._source(split)
        rows = [_row(path, source, source.format) for path in _annotation_files(source)]
        rows += [_row(path, source, None) for path in _beside(source)]
        return pa.Table.from_pylist([row for row in rows if row is not None], FILES)

    def rewrite(self, path: str, format: str | None, changes: pa.Table) -> Iterable[bytes]:
        """What a file is to hold: all of it but for its changes, of `CHANGES`, as it is."""
        with suppress(UsageError):  # one that is new is not there
            path = here(path)
        if format is None:
            return _copy(path)
        if self.names:
            place = CHANGES.get_field_index("category_name")
            called = [self.names.get(name, name) for name in changes["category_name"].to_pylist()]
            changes = changes.set_column(place, CHANGES.field(place), pa.array(called, pa.string()))
        return WRITERS[format](path, Changes(changes))

    def file_of(self, split: str, source_file: str) -> str:
        """The file that a new box of an image goes to, whose row says that it was read from ``source_file``."""
        source = self._source(split)
        if source.format == "yolo" and not source_file.endswith(".txt"):
            return _label_beside(source_file, source)
        return source_file

    def described(self, split: str, folder: str) -> dict[str, object] | None:
        """The split of a configuration for what is written below ``folder``; None where none can say it."""
        source = self._source(split)
        annotations: list[str] = [f"{folder}/{place_of(path, source.root)}" for path in source.annotations]
        images, listed = source.images, source.list
        if source.format == "yolo" and states_pictures(source):
            folders = folders_of(source)
            if folders is None:
                return None
            annotations, images = [f"{folder}/{place_of(folders[0], source.root)}"], folders[1]
        return {
            "format": source.format,
            "annotations": annotations[0] if len(annotations) == 1 else annotations,
            "images": images,
            "list": listed and f"{folder}/{place_of(listed, source.root)}",
        }

    def _source(self, split: str) -> Source:
        return next(one for one in self.sources if one.split == split)


def place_of(path: str, root: str) -> str:
    """Where a file is written to, below a folder: as below the data set's root, or else as its whole path says."""
    path, base = stated(path), f"{stated(root).rstrip('/')}/"
    return path.removeprefix(base) if path.startswith(base) else path.replace("://", "/", 1).lstrip("/")


def _row(path: str, source: Source, format: str | None) -> dict[str, object] | None:
    """A file, if the data may name it."""
    folder, _, name = path.rpartition("/")
    is_stated = path in (*source.annotations, source.list) or format is None
    if not is_stated and locate(folder, name, source.folders) is None:
        return None
    to = place_of(path, source.root)
    named, is_there = stated(path), Path(path).is_file()
    return {"file_key": file_key(named), "path": named, "to": to, "format": format, "is_there": is_there}


def _annotation_files(source: Source) -> Iterator[str]:
    plan = by_name(source.format).plan(source)
    seen = set()
    for path, part in zip(plan["file"].to_pylist(), plan["part"].to_pylist(), strict=True):
        if path is None and source.format == "yolo":
            path = _label_beside(part, source)
        if path is not None and path not in seen:
            seen.add(path)
            yield path


def _label_beside(picture: str, source: Source) -> str:
    """Where the label file of a picture without one would lie."""
    folder = source.images or ""
    return f"{source.annotations[0]}/{os.path.splitext(place_of(picture, folder))[0]}.txt"  # noqa: PTH122 - text


def _beside(source: Source) -> Iterator[str]:
    """The lists and names of classes that belong to a split."""
    if source.list is not None:
        yield source.list
    if source.format == "yolo":
        yield from dict.fromkeys(path for stated in source.annotations if (path := name_file_of(stated, source)))
    if source.format == "retinanet_csv":
        yield from dict.fromkeys(path for stated in source.annotations if (path := classes_beside(stated)[0]))


def _copy(path: str) -> Iterator[bytes]:
    with open_file(path) as file:
        while piece := file.read(_COPY_BYTES):
            yield piece
