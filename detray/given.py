"""Boxes in memory: given as columns, a data frame, or a list in the form of COCO results."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.errors import UsageError

Given: TypeAlias = "Sequence[Mapping[str, Any]] | Mapping[str, Any] | pa.Table"
"""A list in the form of COCO results, or columns image_id, category_id, bbox (``[n, 4]`` x, y, width, height in px) and
score as arrays, lists, an Arrow table or a data frame."""

ANNOTATED = ("image_id", "category_id", "bbox")
DETECTED = (*ANNOTATED, "score")
SIDES = ("x", "y", "width", "height")
LISTS = ("images", "annotations", "categories")
"""Of a COCO file."""
OWN = {
    "images": {"image_id": "id", "file_name": "file_name", "width": "width", "height": "height"},
    "annotations": {
        "annotation_id": "id",
        "image_id": "image_id",
        "category_id": "category_id",
        "bbox": "bbox",
        "area": "area",
        "is_crowd": "iscrowd",
    },
    "categories": {"category_id": "id", "category_name": "name"},
}
"""What a COCO file calls the columns of detray's own tables."""
WANTED = "columns are image_id, category_id, bbox [n, 4] (x, y, width, height in px), and score for detections"


def is_columns(given: Any) -> bool:
    """Whether it has columns of boxes: a data frame, a table, or a dictionary that is not of a COCO file."""
    if isinstance(given, Mapping):
        return "image_id" in given or "bbox" in given
    return hasattr(given, "columns")


def columns(given: Any, names: Sequence[str] = DETECTED) -> dict[str, Any]:
    """The columns of what has columns, whatever they are; of a list of COCO results those of ``names``. Of boxes whose
    sides are four columns, x, y, width and height, there is one, bbox.

    Raises:
        UsageError: it is neither, or one of ``names`` is missing.
    """
    if isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(row, Mapping) for row in given):
        lack = next(((row, name) for row, one in enumerate(given) for name in names if name not in one), None)
        if lack is not None:
            raise UsageError(f"row {lack[0]} has no {lack[1]}; {WANTED}")
        return {name: [row[name] for row in given] for name in names}
    if not isinstance(given, Mapping) and not hasattr(given, "columns"):
        raise UsageError(f"{type(given).__name__} is neither rows nor columns; {WANTED}")
    found = _with_boxes(_by_name(given))
    for name in names:
        if name not in found:
            raise UsageError(f"no column {name}; {WANTED}")
    return found


def _with_boxes(columns: dict[str, Any]) -> dict[str, Any]:
    """Sides that are four columns, as in detray's tables, as one."""
    if "bbox" in columns or not all(side in columns for side in SIDES):
        return columns
    box = np.stack([_numbers(columns[side], side) for side in SIDES], axis=-1)
    return {name: values for name, values in columns.items() if name not in SIDES} | {"bbox": box}


def arrays(columns: Mapping[str, Any], names: Sequence[str] = DETECTED) -> dict[str, NDArray]:
    """The columns ``names`` as arrays: ids int64 ``[n]``, bbox float64 ``[n, 4]``, score float64 ``[n]``; NULL becomes
    NaN.

    Raises:
        UsageError: they are not equally long, a box has not four numbers, an id is no whole number, or what is meant
            as a number is none.
    """
    found = {name: _numbers(columns[name], name) for name in names}
    _require_equal({name: len(values) for name, values in found.items()})
    for name, values in found.items():
        wanted = (len(values), 4) if name == "bbox" else (len(values),)
        if not len(values):
            found[name] = values.reshape(wanted)
        elif values.shape != wanted:
            raise UsageError(f"{name} has the shape {list(values.shape)}, and not {list(wanted)}; {WANTED}")
    return found | {name: _ids(found[name], name) for name in names if name.endswith("_id")}


def coco(given: Any) -> dict[str, Any]:
    """The dictionary of a COCO file: that of which lists are columns, or of annotations alone as columns.

    The latter have an image for each image_id, and a class for each category_id, called as category_name says.

    Raises:
        UsageError: as `columns` and `arrays`.
    """
    if not is_columns(given):
        return {
            name: _listed(name, value) if name in LISTS and is_table(value) else value for name, value in given.items()
        }
    found = columns(given, ANNOTATED)
    checked = arrays(found, ANNOTATED)
    ids = checked["category_id"].tolist()
    names = dict(zip(ids, found.get("category_name", map(str, ids)), strict=True))
    own = {name: values for name, values in _fields("annotations", found).items() if name in ("id", "area", "iscrowd")}
    numbers = {"id": np.arange(1, len(ids) + 1)}
    return {
        "images": [{"id": one, "file_name": str(one)} for one in np.unique(checked["image_id"]).tolist()],
        "annotations": _rows(numbers | own | checked),
        "categories": [{"id": one, "name": str(name)} for one, name in sorted(names.items())],
    }


def _listed(name: str, given: Any) -> list[dict[str, Any]]:
    """A list of a COCO file that is given as columns."""
    found = _with_boxes(_by_name(given)) if name == "annotations" else _by_name(given)
    return _rows(_fields(name, found))


def _fields(name: str, columns: dict[str, Any]) -> dict[str, Any]:
    """The columns as COCO calls them; of detray's own tables those alone."""
    if "run_id" not in columns:
        return columns
    found = {field: columns[own] for own, field in OWN[name].items() if own in columns}
    if "iscrowd" in found:
        found["iscrowd"] = np.asarray(found["iscrowd"]).astype(np.int64)
    return found


def results(given: Any) -> list[dict[str, Any]]:
    """Columns of detections as COCO results, further columns among them.

    Raises:
        UsageError: as `columns` and `arrays`.
    """
    found = columns(given)
    return _rows(found | arrays(found))


def is_table(given: Any) -> bool:
    """Whether it has columns, whatever they are."""
    return isinstance(given, Mapping) or hasattr(given, "columns")


def builtin(value: Any) -> Any:
    """An array, a column or a number of NumPy as lists and numbers of Python.

    Raises:
        TypeError: it is none of these.
    """
    for name in ("tolist", "to_list", "to_pylist"):
        if hasattr(value, name):
            return getattr(value, name)()
    if isinstance(value, list | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _by_name(given: Any) -> dict[str, Any]:
    if isinstance(given, pa.Table):
        return {name: given[name].to_pylist() for name in given.column_names}
    if isinstance(given, Mapping):
        return dict(given)
    return {str(name): given[name] for name in given.columns}  # a data frame


def _rows(given: Any) -> list[dict[str, Any]]:
    try:
        lists = {name: builtin(values) for name, values in _by_name(given).items()}
        lengths = {name: len(values) for name, values in lists.items()}
    except TypeError:
        raise UsageError("a column is not a list or an array; columns of one table are equally long") from None
    _require_equal(lengths)
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _require_equal(lengths: Mapping[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(f"the columns are not equally long ({told})")


def _numbers(values: Any, name: str) -> NDArray:
    try:
        array = np.asarray(values)
        if array.dtype == object:  # boxes as arrays in a column, or None among numbers
            array = np.asarray([np.nan if one is None else one for one in array.tolist()])
        if array.dtype.kind not in "iufb":
            raise ValueError(f"{array.dtype} is no number")
        if not array.ndim:
            raise ValueError("it is a single number")
        return array if name.endswith("_id") else array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} is not an array of numbers ({str(error).splitlines()[0]}); {WANTED}") from None


def _ids(values: NDArray, name: str) -> NDArray:
    """Whole numbers, which arrays of floats may hold too."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    bad = np.flatnonzero(~(values == np.floor(values)) | (np.abs(values) > 2**53))
    if len(bad):
        raise UsageError(f"{name} of row {bad[0]} is {values[bad[0]]}, and not a whole number")
    return values.astype(np.int64)
