"""Elements of the lists images, annotations and categories: as they should be, and repaired where they are not."""

from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, Meta

from detray.formats import values
from detray.formats.json.rows import Int64, Raw, Row
from detray.formats.values import Defects

Side = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class ImageRow(Row, forbid_unknown_fields=True, gc=False):
    """An element of ``images``."""

    id: Int64
    file_name: Annotated[str, Meta(min_length=1)]
    width: Side
    height: Side


class AnnotationRow(Row, forbid_unknown_fields=True, gc=False):
    """An element of ``annotations``; ``bbox`` is x, y, width, height in pixels."""

    id: Int64
    image_id: Int64
    category_id: Int64
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: Annotated[int, Meta(ge=0, le=1)] = 0
    segmentation: Raw = UNSET
    annotator: str | None = None
    difficult: Annotated[int, Meta(ge=0, le=1)] | bool = 0


class CategoryRow(Row, forbid_unknown_fields=True, gc=False):
    """An element of ``categories``."""

    id: Int64
    name: Annotated[str, Meta(pattern=r"^[^\x00]+$")]


def repair_image(row: dict[str, Any], defects: Defects) -> ImageRow:
    """An image that is not as it should be."""
    fields: dict[str, Any] = {"id": values.integer_of(row, "id", defects)}
    for name in ("width", "height"):
        fields[name] = values.side(values.integer_of(row, name, defects), name, defects)
    url = row.get("coco_url")
    if row.get("file_name") is None and isinstance(url, str):
        fields["file_name"] = values.clean(_name_of_url(url))
    else:
        fields["file_name"] = values.text_of(row, "file_name", defects)
    return ImageRow(**fields)


def _name_of_url(url: str) -> str:
    """LVIS names files so: http://images.cocodataset.org/val2017/000000397133.jpg is val2017/000000397133.jpg.

    The URL is never fetched.
    """
    return "/".join(unquote(url.partition("?")[0]).rstrip("/").split("/")[-2:])


def repair_annotation(row: dict[str, Any], defects: Defects) -> AnnotationRow:
    """An annotation that is not as it should be."""
    fields: dict[str, Any] = {name: values.integer_of(row, name, defects) for name in ("id", "image_id", "category_id")}
    fields["bbox"] = values.box_of(row, "bbox", defects)
    fields["area"] = None if row.get("area") is None else values.number(row["area"], "area", defects)
    for name in ("iscrowd", "difficult"):
        fields[name] = int(values.flag(row.get(name), name, defects))
    if row.get("segmentation") is not None:
        if isinstance(row["segmentation"], list | dict):
            fields["segmentation"] = msgspec.Raw(values.as_json(row["segmentation"], "segmentation", defects).encode())
        else:
            defects.note("wrong-type", "segmentation", row["segmentation"])
    if row.get("annotator") is not None:
        found = row["annotator"]
        fields["annotator"] = (
            values.text(found, "annotator", defects) if isinstance(found, str) else values.describe(found)
        )
    return AnnotationRow(**fields)


def repair_category(row: dict[str, Any], defects: Defects) -> CategoryRow:
    """A category that is not as it should be."""
    fields: dict[str, Any] = {"id": values.integer_of(row, "id", defects), "name": values.text_of(row, "name", defects)}
    return CategoryRow(**fields)
