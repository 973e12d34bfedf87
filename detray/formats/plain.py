"""From plain files on the command line to the configuration section ``dataset``."""

from collections.abc import Sequence
from pathlib import Path

from detray.errors import UsageError
from detray.formats.catalogue import by_name, recognise
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import require_inside
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
) -> DatasetSettings:
    """The data set that plain files make: ``files`` are the split val, ``train`` is the split train.

    A Pascal VOC folder with lists in ``ImageSets/Main`` becomes the splits of its train, val and
    test lists (of trainval where all three are absent), with its JPEGImages as pictures; a YOLO
    data file, or a folder that holds one, the splits that it states.

    Args:
        files: annotation files or folders of one format; several are one split.
        train: annotations of the training split.
        images: folder of the pictures.
        format: a format's name, or auto.
        label_map: the label map that the model was trained with.
        pipeline: the pipeline.config that it was trained with.

    Raises:
        UsageError: a file is not there or of no known format.
    """
    if not files:
        raise UsageError("no annotation file is stated")
    splits: dict[str, SplitSettings] = {}
    if train is not None:
        splits["train"] = _split([train], images, format)
    own = _own_splits(Path(files[0]).absolute(), images, format) if len(files) == 1 else {}
    splits = own | splits if own else splits | {"val": _split(files, images, format)}
    label_map, pipeline = (None if one is None else str(Path(one).absolute()) for one in (label_map, pipeline))
    return DatasetSettings(root=str(_common_root(files)), label_map=label_map, pipeline=pipeline, splits=splits)


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
