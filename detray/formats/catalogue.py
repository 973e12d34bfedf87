"""The formats that are read, in the order in which they are tried."""

from pathlib import Path

from detray.errors import UsageError
from detray.formats.coco.reader import Coco
from detray.formats.createml.reader import CreateMl
from detray.formats.cvat.reader import Cvat
from detray.formats.format import Format
from detray.formats.label_studio.reader import LabelStudio
from detray.formats.labelme.reader import LabelMe
from detray.formats.open_images.reader import OpenImages
from detray.formats.retinanet_csv.reader import RetinaNetCsv
from detray.formats.tf_csv.reader import TensorFlowCsv
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.unknown import described
from detray.formats.via.reader import Via
from detray.formats.voc.reader import Voc
from detray.formats.yolo.reader import Yolo

FORMATS: tuple[Format, ...] = (
    Coco(),
    TFRecord(),
    OpenImages(),
    TensorFlowCsv(),
    RetinaNetCsv(),
    Voc(),
    Yolo(),
    LabelMe(),
    Via(),
    Cvat(),
    LabelStudio(),
    CreateMl(),
)


def by_name(name: str) -> Format:
    """The format called ``name``.

    Raises:
        UsageError: there is none.
    """
    for found in FORMATS:
        if found.name == name:
            return found
    raise UsageError(f"format '{name}' is not known; known: {', '.join(item.name for item in FORMATS)}")


def recognise(path: Path) -> Format:
    """The format of the file or folder ``path``, by its content.

    Raises:
        UsageError: it is not there, empty, or of no known format.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; check the path")
    if not path.is_dir() and not path.is_file():
        raise UsageError(f"{path} is a pipe or a device, not a file")
    for found in FORMATS:
        if found.recognises(path):
            return found
    if path.is_file() and path.stat().st_size == 0:
        raise UsageError(f"{path}: the file is empty")
    if path.is_dir() and not any(path.iterdir()):
        raise UsageError(f"{path}: the folder is empty; check the path")
    if TFRecord().is_called_so(path):  # whose reader says what is wrong with it
        return by_name(TFRecord.name)
    names = ", ".join(item.name for item in FORMATS)
    raise UsageError(f"{path}: its content is of no known format ({names}); {described(path)}")
