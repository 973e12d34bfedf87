"""Which files and folders of a tree hold annotations, and which of them make one data set."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from detray.errors import DetrayError
from detray.formats.catalogue import FORMATS, by_name
from detray.formats.discover.tree import Folder, Tree
from detray.formats.format import Format
from detray.formats.source import locate
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.voc.reader import Voc
from detray.formats.yolo.data_file import data_file_in

T = TypeVar("T")
MAX_FILES = 64
"""Files of a folder whose content is looked at."""
_FILE_AN_IMAGE = {"voc": ".xml", "labelme": ".json", "yolo": ".txt"}
"""Formats whose unit is a folder, and what its files are called."""
_OF_WHOLES = tuple(one for one in FORMATS if one.name not in (*_FILE_AN_IMAGE, TFRecord.name))
SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst"),
    "trainval": ("trainval", "train_val", "train-val"),
}
_SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
_WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(?![a-z])", re.IGNORECASE)
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=[^/]*$)")
_NUMBERED = re.compile(r"\d+(?=[^/\d]*$)")
_COCO_BOXES, _COCO_OTHERS = "instances_", ("person_keypoints_", "captions_", "stuff_", "panoptic_", "image_info_")
"""COCO's own files: those of boxes, and those beside them."""


@dataclass(frozen=True)
class Candidate:
    """Annotations of one split, or of a data set that states its splits itself.

    Attributes:
        format: its name.
        paths: files or one folder, full paths.
        place: the path below the root, of several files their pattern.
        split: what its name says, or None.
    """

    format: str
    paths: tuple[str, ...]
    place: str
    split: str | None

    @property
    def skeleton(self) -> str:
        """The place without the word for the split: equal for the splits of one data set."""
        return _WORD.sub("*", self.place)


Answer = tuple[Candidate, ...]
"""The splits of one data set."""


def answers(tree: Tree, format: str) -> list[Answer]:
    """The data sets of a tree, in the order of their places; of one ``format``, or of any (auto)."""
    found = [one for folder in tree.folders for one in _of_folder(tree.root, folder)]
    found = _without_inner([one for one in found if format in ("auto", one.format)])
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for one in found:
        groups.setdefault((one.format, one.skeleton), []).append(one)
    made: list[Answer] = []
    for group in groups.values():
        counts = Counter(one.split for one in group)
        in_order = sorted(group, key=lambda one: list(SPLITS).index(one.split) if one.split else -1)
        made += [(one,) for one in group] if max(counts.values()) > 1 else [tuple(in_order)]
    return made


def split_of(place: str) -> str | None:
    """The split that a path names: its last such word."""
    words: list[str] = _WORD.findall(place)
    return _SPLIT_OF[words[-1].lower()] if words else None


def _of_folder(root: str, folder: Folder) -> Iterator[Candidate]:
    names = [name for name in folder.names if locate(folder.path, name, (os.path.realpath(root),)) is not None]
    suffixes = {Path(name).suffix.lower() for name in names}
    is_voc = _FILE_AN_IMAGE["voc"] in suffixes or Path(folder.path, "Annotations").is_dir()
    if is_voc and not _is_within_voc(folder.path) and _takes(Voc(), folder.path):
        yield _candidate("voc", folder.place, (folder.path,))
    for name in ("yolo", "labelme"):
        if _FILE_AN_IMAGE[name] in suffixes and _takes(by_name(name), folder.path):
            yield _candidate(name, folder.place, (folder.path,))
    if {".yaml", ".yml"} & suffixes and (file := _quietly(lambda: data_file_in(Path(folder.path)))):
        yield _candidate("yolo", f"{folder.place}/{file.name}".lstrip("/"), (str(file),))
    yield from _records(folder, names)
    for name in _wholes(names):
        path = f"{folder.path}/{name}"
        reader = next((one for one in _OF_WHOLES if _takes(one, path)), None)
        if reader is not None:
            yield _candidate(reader.name, f"{folder.place}/{name}".lstrip("/"), (path,))


def _without_inner(found: Sequence[Candidate]) -> list[Candidate]:
    """``found`` without the label folders that a YOLO data file speaks for."""
    homes = [os.path.dirname(one.paths[0]) for one in found if one.format == "yolo" and os.path.isfile(one.paths[0])]  # noqa: PTH113, PTH120
    return [
        one
        for one in found
        if one.format != "yolo"
        or os.path.isfile(one.paths[0])  # noqa: PTH113
        or not any(f"{one.paths[0]}/".startswith(f"{home}/") for home in homes)
    ]


def _is_within_voc(path: str) -> bool:
    """Whether this is the folder of annotations of a data set laid out as Pascal VOC's."""
    return Path(path).name == "Annotations"


def _wholes(names: Sequence[str]) -> list[str]:
    """Names of files that may hold many images each, without those that stand beside COCO's boxes."""
    found = [name for name in names if name.lower().endswith((".json", ".xml", ".csv"))][:MAX_FILES]
    has_boxes = any(name.startswith(_COCO_BOXES) for name in found)
    return [name for name in found if not (has_boxes and name.startswith(_COCO_OTHERS))]


def _records(folder: Folder, names: Sequence[str]) -> Iterator[Candidate]:
    """TFRecord files; shards, and files that only a number tells apart, are one."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if not name.lower().endswith((".json", ".xml", ".csv", ".txt", ".yaml", ".yml")):
            pattern = _SHARD.sub("-*", name)
            groups.setdefault(pattern if pattern != name else _NUMBERED.sub("*", name), []).append(name)
    for pattern, files in groups.items():
        paths = tuple(f"{folder.path}/{name}" for name in files)
        if _takes(TFRecord(), paths[0]) or TFRecord().is_called_so(Path(paths[0])):
            called = pattern if len(files) > 1 else files[0]
            yield _candidate(TFRecord.name, f"{folder.place}/{called}".lstrip("/"), paths)


def _candidate(format: str, place: str, paths: tuple[str, ...]) -> Candidate:
    return Candidate(format, paths, place, split_of(place))


def _takes(reader: Format, path: str) -> bool:
    return bool(_quietly(lambda: reader.recognises(Path(path))))


def _quietly(ask: Callable[[], T]) -> T | None:
    """An answer; None where the file cannot be read: nobody has named it."""
    try:
        return ask()
    except (DetrayError, OSError):
        return None
