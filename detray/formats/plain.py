"""From plain files on the command line to the configuration section ``dataset``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from detray.errors import UsageError
from detray.formats.catalogue import FORMATS, by_name, recognise
from detray.formats.discover.candidates import Answer, answers
from detray.formats.discover.pictures import folders_for
from detray.formats.discover.said import described, several_data_sets, several_picture_folders
from detray.formats.discover.tree import Tree, walk
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import Source, require_inside
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.voc.reader import Voc
from detray.formats.yolo.data_file import data_file_in, is_data_file, place_of, read_data_file
from detray.formats.yolo.reader import Yolo

VOC_LISTS = ("train", "val", "test")


def dataset_from_files(
    files: Sequence[str],
    train: str | None = None,
    images: str | None = None,
    format: str = "auto",
    label_map: str | None = None,
    pipeline: str | None = None,
    tell: Callable[[str], None] = lambda said: None,
) -> DatasetSettings:
    """The data set that plain files make: ``files`` are the split val, ``train`` is the split train.

    A Pascal VOC folder with lists in ``ImageSets/Main`` becomes the splits of its train, val and
    test lists (of trainval where all three are absent), with its JPEGImages as pictures; a YOLO
    data file, or a folder that holds one, the splits that it states. In any other folder annotations are looked for two
    levels down, and the pictures that they name; words in names (train, val, test) are the splits.

    Args:
        files: annotation files or folders of one format; several are one split.
        train: annotations of the training split.
        images: folder of the pictures.
        format: a format's name, or auto.
        label_map: the label map that the model was trained with.
        pipeline: the pipeline.config that it was trained with.
        tell: called with a line that says what was taken, where a folder is stated.

    Raises:
        SeveralFit: a folder holds more than one data set, or its pictures twice.
        UsageError: a file is not there or of no known format.
    """
    if not files:
        raise UsageError("no annotation file is stated")
    first = Path(files[0]).absolute()
    if len(files) > 1:
        own = {"val": _split(files, images, format)}
    elif first.is_dir():
        own = _folder_splits(first, images, format, tell)
    else:
        own = _own_splits(first, images, format) or {"val": _split(files, images, format)}
    splits = {"train": _train_split(train, images, format, tell)} if train is not None else {}
    splits = own | splits if len(own) > 1 else splits | own
    label_map, pipeline = (None if one is None else str(Path(one).absolute()) for one in (label_map, pipeline))
    return DatasetSettings(root=str(_common_root(files)), label_map=label_map, pipeline=pipeline, splits=splits)


def _train_split(path: str, images: str | None, format: str, tell: Callable[[str], None]) -> SplitSettings:
    folder = Path(path).absolute()
    if not folder.is_dir() or (is_of(folder, format) and not _data_sets(folder, walk(str(folder)), format)):
        return _split([path], images, format)
    found = _folder_splits(folder, images, format, tell)
    if "train" not in found and len(found) > 1:
        raise UsageError(f"{path}: holds the splits {', '.join(found)}, and no train; name its file")
    return found.get("train") or next(iter(found.values()))


def _folder_splits(
    folder: Path, images: str | None, format: str, tell: Callable[[str], None]
) -> dict[str, SplitSettings]:
    """The splits of the data set that a folder is or holds, with the folders of their pictures."""
    tree = walk(str(folder))
    direct = is_of(folder, format)
    found = _data_sets(folder, tree, format)
    if len(found) > 1:
        raise several_data_sets(tree, found)
    if not found and not direct and format == "auto":
        recognise(folder)  # says what lies there
    splits = {} if found else _own_splits(folder, images, format) or {"val": _split([str(folder)], images, format)}
    for one in found[0] if found else ():
        splits |= _own_splits(Path(one.paths[0]), images, one.format) or {
            one.split or "val": _split(one.paths, images, one.format)
        }
    splits = {name: _with_pictures(name, split, tree) for name, split in splits.items()}
    tell("; ".join([described(tree.root, splits), *tree.remarks]))
    return splits


def _data_sets(folder: Path, tree: Tree, format: str) -> list[Answer]:
    """The data sets that a folder holds; none where it is one itself, unless its records are of several splits."""
    if not is_of(folder, format):
        return answers(tree, format)
    found = answers(tree, format) if TFRecord().recognises(folder) else []
    own = [one for answer in found for one in answer if one.format == TFRecord.name]
    return found if len({one.split for one in own if Path(one.paths[0]).parent == folder}) > 1 else []


def _with_pictures(name: str, split: SplitSettings, tree: Tree) -> SplitSettings:
    """``split`` with the folder of its pictures, if the tree has it."""
    if split.images is not None or split.format == TFRecord.name:
        return split
    stated = (split.annotations,) if isinstance(split.annotations, str) else split.annotations
    fits = folders_for(Source(name, split.format, stated, tree.root, list=split.list), tree)
    if len(fits) > 1:
        raise several_picture_folders(tree, fits)
    return replace(split, images=fits[0]) if fits else split


def _common_root(files: Sequence[str]) -> Path:
    """The folder that names in the data may not lead out of: the first file's own."""
    first = Path(files[0]).absolute()
    return first if first.is_dir() else first.parent


def _split(files: Sequence[str], images: str | None, format: str) -> SplitSettings:
    paths = [Path(file).absolute() for file in files]
    reader = recognise(paths[0]) if format == "auto" else by_name(format)
    if reader.name == Voc.name and len(paths) == 1 and paths[0].is_dir():
        return _voc_split(paths[0], images, None)
    stated = str(paths[0]) if len(paths) == 1 else tuple(str(path) for path in paths)
    return SplitSettings(format=reader.name, annotations=stated, images=images and str(Path(images).absolute()))


def is_of(path: Path, format: str) -> bool:
    """Whether a folder itself is of a format: of the one that is stated, or of any (auto)."""
    readers = FORMATS if format == "auto" else [by_name(format)]
    return any(reader.recognises(path) for reader in readers)


def _voc_split(folder: Path, images: str | None, list_file: str | None) -> SplitSettings:
    folder = folder.absolute()
    annotations = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    if images is None and (folder / "JPEGImages").is_dir():
        images = str(folder / "JPEGImages")
    return SplitSettings(
        format=Voc.name,
        annotations=str(annotations),
        images=images and str(Path(images).absolute()),
        list=list_file,
    )


def _own_splits(path: Path, images: str | None, format: str) -> dict[str, SplitSettings]:
    """The splits that a data set states itself; none where it states none."""
    if format in ("auto", Voc.name) and (lists := _voc_lists(path)):
        return {name: _voc_split(path, images, str(found)) for name, found in lists.items()}
    if (recognise(path).name if format == "auto" else format) != Yolo.name:
        return {}
    file = path if is_data_file(path) else data_file_in(path) if path.is_dir() else None
    return {} if file is None else _yolo_splits(file, images)


def _voc_lists(folder: Path) -> dict[str, Path]:
    """The lists of a Pascal VOC folder, by split."""
    main = folder / "ImageSets" / "Main"
    if not (folder / "Annotations").is_dir():
        return {}
    found = {name: main / f"{name}.txt" for name in VOC_LISTS if (main / f"{name}.txt").is_file()}
    if not found and (main / "trainval.txt").is_file():
        found = {"trainval": main / "trainval.txt"}
    for path in found.values():
        require_inside(folder, str(path.relative_to(folder)))
    return found


def _yolo_splits(file: Path, images: str | None) -> dict[str, SplitSettings]:
    allowed = (str(file.parent.resolve()),)
    data = read_data_file(str(file), allowed)
    splits = {}
    for name, stated in (data.splits or ({"val": data.whole} if data.whole else {})).items():
        places = [place for part in stated if (place := place_of(data, part, allowed))]
        pictures = images and str(Path(images).absolute())
        if pictures is None and places:
            pictures = places[0] if len(places) == 1 and Path(places[0]).is_dir() else data.folder
        splits[name] = SplitSettings(format=Yolo.name, annotations=str(file), images=pictures)
    return splits
