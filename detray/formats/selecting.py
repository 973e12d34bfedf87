"""Parts of a data set written in its own format: lists where images have files of their own, else files of the part."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from detray.errors import UsageError
from detray.files import open_file
from detray.formats.catalogue import by_name
from detray.formats.coco import writer as coco
from detray.formats.coco.writer import Taking
from detray.formats.createml import writer as createml
from detray.formats.cvat import writer as cvat
from detray.formats.label_studio import writer as label_studio
from detray.formats.open_images import writer as open_images
from detray.formats.retinanet_csv import writer as retinanet_csv
from detray.formats.retinanet_csv.reader import classes_beside
from detray.formats.source import Source
from detray.formats.tf_csv import writer as tf_csv
from detray.formats.tfrecord import writer as tfrecord
from detray.formats.via import writer as via
from detray.formats.yolo.data_file import label_of
from detray.settings import to_yaml

DATA_FILE = "data.yaml"
Files = dict[str, bytes | Iterable[bytes]]

_BY_ROW: Mapping[str, Callable[[str, frozenset[int]], Iterator[bytes]]] = {
    "createml": createml.select,
    "cvat": cvat.select,
    "label_studio": label_studio.select,
    "tfrecord": tfrecord.select,
    "via": via.select,
}
_BY_NAME: Mapping[str, Callable[[str, Mapping[str, bool]], Iterator[bytes]]] = {
    "open_images": open_images.select,
    "retinanet_csv": retinanet_csv.select,
    "tf_csv": tf_csv.select,
}
_HOLDS_PICTURES = ("tfrecord",)

IMAGES = pa.schema(
    [
        ("part", pa.string()),
        ("split", pa.string()),
        ("source_file", pa.string()),
        ("image_row", pa.int64()),
        ("image_id", pa.int64()),
        ("file_name", pa.string()),
        ("path", pa.string()),
    ]
)
ANNOTATIONS = pa.schema(
    [
        ("part", pa.string()),
        ("split", pa.string()),
        ("source_file", pa.string()),
        ("annotation_row", pa.int64()),
        ("annotation_id", pa.int64()),
    ]
)
"""The rows of a data set, each with the part that it goes to."""


@dataclass(frozen=True)
class Written:
    """A part: files by path, and the split of a configuration that reads them, with paths below ``folder``."""

    files: Files
    split: dict[str, object]


@dataclass(frozen=True)
class Parts:
    """A data set that is divided anew.

    Attributes:
        sources: its splits.
        names: of classes by id.
        folder: where files are written, as the configuration of the result states it.
    """

    sources: tuple[Source, ...]
    names: Mapping[int, str]
    folder: str

    def check(self) -> None:
        """Refuse splits that one split of this format cannot hold together.

        Raises:
            UsageError: naming what differs.
        """
        formats = sorted({one.format for one in self.sources})
        if len(formats) > 1:
            raise UsageError(f"the splits are of different formats ({', '.join(formats)}); split each by itself")
        folders = {one.images for one in self.sources}
        if len(folders) > 1 and formats[0] not in ("coco", "yolo", *_HOLDS_PICTURES):
            raise UsageError(
                f"the pictures of the splits lie in {len(folders)} folders, which a split of {formats[0]} cannot state:"
                " copy them into one folder, or split a COCO copy (detray clean --set clean.format=coco)"
            )
        if formats == ["voc"] and len({one.annotations for one in self.sources}) > 1:
            raise UsageError("the annotations of the splits lie in different folders; copy them into one")

    def write(self, part: str, images: pa.Table, annotations: pa.Table) -> Written:
        """The files of a part; ``images``, `IMAGES`, and ``annotations``, `ANNOTATIONS`, are of all parts."""
        format = self.sources[0].format
        if format == "voc":
            return self._listed(part, images, f"ImageSets/Main/{part}.txt", "source_file", with_suffix=False)
        if format == "labelme":
            return self._listed(part, images, f"{part}.txt", "file_name", with_suffix=True)
        if format == "yolo":
            return self._yolo(part, images)
        if format == "coco":
            return self._coco(part, images, annotations)
        return self._files(part, images)

    def beside(self, parts: Sequence[str], images: pa.Table) -> Files:
        """What all parts share."""
        if self.sources[0].format != "yolo" or self._pictures(images) is None:
            return {}
        stated = {part: f"{part}.txt" for part in parts}
        names = {number - 1: name for number, name in sorted(self.names.items()) if number > 0}
        return {DATA_FILE: to_yaml(stated | {"names": names}).encode()}

    def _listed(self, part: str, images: pa.Table, place: str, column: str, *, with_suffix: bool) -> Written:
        """A list of names, beside annotations and pictures that stay where they are."""
        names = [
            name.rpartition("/")[2] if column == "source_file" else name
            for name in _own(images, part)[column].to_pylist()
            if name
        ]
        lines = sorted(name if with_suffix else name.rpartition(".")[0] for name in names)
        split = self._split(list(dict.fromkeys(path for one in self.sources for path in one.annotations)))
        return Written({place: _text(lines)}, split | {"list": f"{self.folder}/{place}"})

    def _yolo(self, part: str, images: pa.Table) -> Written:
        pictures = self._pictures(images)
        if pictures is None:
            if any(Path(path).is_file() for one in self.sources for path in one.annotations):
                raise UsageError("labels do not lie where the data file says; state the folder of labels and --images")
            return self._listed(part, images, f"{part}.txt", "source_file", with_suffix=False)
        lines = sorted(pictures[path] for path in _own(images, part)["source_file"].to_pylist())
        split = self._split([f"{self.folder}/{DATA_FILE}"])
        common = os.path.commonpath([os.path.dirname(path) for path in pictures.values()])  # noqa: PTH120
        return Written({f"{part}.txt": _text(lines)}, split | {"images": common})

    def _pictures(self, images: pa.Table) -> dict[str, str] | None:
        """Of each label file, or picture without one, the picture; None where labels lie elsewhere than YOLO looks."""
        found: dict[str, str] = {}
        for source in self.sources:
            plan = by_name(source.format).plan(source)
            for label, picture in zip(plan["file"].to_pylist(), plan["part"].to_pylist(), strict=True):
                if picture is None or label not in (None, label_of(picture)):
                    return None
                found[label or picture] = picture
        return found if set(images["source_file"].to_pylist()) <= found.keys() else None

    def _coco(self, part: str, images: pa.Table, annotations: pa.Table) -> Written:
        own, boxes = _own(images, part), _own(annotations, part)
        stated = [one.images for one in self.sources]
        folders = [folder for folder in stated if folder is not None]
        common = os.path.commonpath(folders) if folders and len(folders) == len(stated) else None
        files = list(dict.fromkeys(zip(images["split"].to_pylist(), images["source_file"].to_pylist(), strict=True)))
        shifts = _shift(images, "image_id"), _shift(annotations, "annotation_id")
        taken = []
        for number, (split, path) in enumerate(files):
            folder = next(one.images for one in self.sources if one.split == split)
            below = os.path.relpath(folder, common) if common and folder else "."
            rows = _rows(own, split, path, "image_row"), _rows(boxes, split, path, "annotation_row")
            taken.append(Taking(path, *rows, number * shifts[0], number * shifts[1], "" if below == "." else below))
        split_of = self._split([f"{self.folder}/{part}.json"]) | {"images": common}
        return Written({f"{part}.json": coco.select(taken)}, split_of)

    def _files(self, part: str, images: pa.Table) -> Written:
        """A file for each file that the part has images of."""
        format, own = self.sources[0].format, _own(images, part)
        paths = list(dict.fromkeys(own["source_file"].to_pylist()))
        files: Files = {}
        for number, path in enumerate(paths):
            place = f"{part}/{Path(path).name}"
            if format == "tfrecord":
                place = f"{part}.tfrecord-{number:05d}-of-{len(paths):05d}"
            elif place in files:
                place = next(name for k in count(2) if (name := f"{part}/{k}-{Path(path).name}") not in files)
            if format in _BY_NAME:
                files[place] = _BY_NAME[format](path, _taken(images, path, part))
            else:
                files[place] = _BY_ROW[format](path, _rows(own, None, path, "image_row"))
        stated = [f"{self.folder}/{place}" for place in files]
        if format == "retinanet_csv" and paths and (listing := classes_beside(paths[0])[0]):
            files[f"{part}/{Path(listing).name}"] = _copy(listing)
        return Written(files, self._split(stated))

    def _split(self, annotations: list[str]) -> dict[str, object]:
        source = self.sources[0]
        stated = annotations[0] if len(annotations) == 1 else annotations
        return {"format": source.format, "annotations": stated, "images": source.images}


def one_numbering(names: Mapping[str, Mapping[int, str]], format: str) -> dict[int, str]:
    """The classes by id of all splits; ``names`` has those of each.

    Raises:
        UsageError: an id means different classes, or, where parts take the list of classes from the first split
            (COCO), that lacks one.
    """
    found: dict[int, tuple[str, str]] = {}
    for split, classes in names.items():
        for number, name in classes.items():
            first, known = found.setdefault(number, (split, name))
            if known != name:
                raise UsageError(
                    f"the splits number their classes differently: {number} is '{known}' in {first} and '{name}' in"
                    f" {split}; give both one list of classes, or split each by itself"
                )
            if format == "coco" and first != next(iter(names)):
                raise UsageError(
                    f"{first} has the class '{name}', which the list of classes of {next(iter(names))} lacks; give both"
                    " one list of classes, or split each by itself"
                )
    return {number: name for number, (_, name) in found.items()}


def _own(table: pa.Table, part: str) -> pa.Table:
    return table.filter(pc.equal(table["part"], part))


def _rows(table: pa.Table, split: str | None, path: str, column: str) -> frozenset[int]:
    wanted = pc.equal(table["source_file"], path)
    if split is not None:
        wanted = pc.and_(wanted, pc.equal(table["split"], split))
    return frozenset(table.filter(wanted)[column].drop_null().to_pylist())


def _taken(images: pa.Table, path: str, part: str) -> dict[str, bool]:
    """Of each image of a file, by its name with and without suffix, whether it is of a part."""
    own = images.filter(pc.equal(images["source_file"], path))
    found: dict[str, bool] = {}
    for name, of in zip(own["file_name"].to_pylist(), own["part"].to_pylist(), strict=True):
        if name:
            found |= {name.rpartition(".")[0] or name: of == part} | {name: of == part}
    return found


def _shift(table: pa.Table, column: str) -> int:
    """What keeps the numbers of several files apart; 0 where they are so."""
    numbers = table[column].drop_null()
    if len(pc.unique(numbers)) == len(numbers):
        return 0
    return int(pc.max(numbers).as_py()) + 1


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _copy(path: str) -> Iterator[bytes]:
    with open_file(path) as file:
        yield file.read()
