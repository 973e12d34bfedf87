"""Label maps: which number means which class.

``.pbtxt`` is the TF Object Detection API's StringIntLabelMap (object_detection/protos/
string_int_label_map.proto) in protobuf's text format; ``.yaml``, ``.json`` and ``.txt`` hold names, ``.csv`` Open
Images' class descriptions.
Positions count from 1, as everywhere in detray; a mapping's own numbers are kept, also under ``names``.
A YOLO data file, which has train, val, test, nc or path beside ``names`` or is called data.yaml, counts from 0:
its class k has the id k + 1, as in the reader of YOLO labels.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from detray.errors import DetrayError, UsageError
from detray.files import open_file
from detray.formats.label_map.entries import MAX_BYTES, LabelMap, check
from detray.formats.label_map.names import from_descriptions, from_json_text, from_lines, from_value
from detray.formats.label_map.pbtxt import from_pbtxt
from detray.formats.values import clean
from detray.meaning.settle import Stated
from detray.mirror import here
from detray.settings import parse_yaml


def read_label_map(path: str | Path) -> LabelMap:
    """The label map ``path``, read by its suffix (.pbtxt, .pbtxt-like .txt, .yaml, .yml, .json, .txt, .names).

    Raises:
        UsageError: the file is not there, is no text, or is not what its suffix says.
        DetrayError: it holds no class at all.
    """
    path = here(str(path))
    text = _text(Path(path))
    suffix = Path(path).suffix.lower()
    if suffix in (".pbtxt", ".pbt", ".prototxt") or re.match(r"\s*(#[^\n]*\n\s*)*item\s*:?\s*[{<\[]", text):
        entries, problems = from_pbtxt(text)
    elif suffix in (".yaml", ".yml"):
        entries, problems = from_value(parse_yaml(text, str(path)), str(path))
    elif suffix == ".csv":
        entries, problems = from_descriptions(text)
    elif suffix == ".json":
        value, repeated = from_json_text(text, str(path))
        entries, problems = from_value(value, str(path))
        problems = [*repeated, *problems]
    else:
        entries, problems = from_lines(text)
    if not entries and not problems:
        raise DetrayError(f"{path}: names no class; check that it is a label map")
    return LabelMap(str(path), tuple(entries), (*problems, *check(entries)))


def stated_classes(category_map: Mapping[int, int] | str | None, label_map: str | None) -> Stated:
    """What is stated of class ids.

    Args:
        category_map: ids of the data by other ids, or a file: such a mapping (.yaml, .json) or a label map.
        label_map: the data set's.

    Raises:
        UsageError, DetrayError: as `read_label_map`.
    """
    own = None if label_map is None else read_label_map(label_map).listed
    if isinstance(category_map, str):
        return Stated(category_map=read_label_map(category_map).listed, label_map=own)
    return Stated(category_map or {}, label_map=own)


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not a label map")
        return clean("\n".join(data.decode("utf-8-sig").splitlines()))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text, so not a label map") from None
