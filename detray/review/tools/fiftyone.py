"""FiftyOne: a data set that ``fiftyone.Dataset.from_dir`` loads as ``fiftyone.types.FiftyOneDataset``.

Fields of a sample: ``ground_truth`` with what is asked about a box as its tags, ``suggestions`` with the boxes that are
suggested, and ``predictions``. A person tags labels of the first two ``accept`` or ``reject``, or edits them. The id of
a label is made of the export and the number of the box, and the mark is its attribute ``detray``.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain

import msgspec

from detray.errors import DetrayError
from detray.formats.json import whole
from detray.report.sections.common import Box
from detray.review.answer import Answer, Found, word
from detray.review.canvas import Canvas, Shape, words
from detray.review.key import Mark, read_mark
from detray.review.tool import Export, Put, file_of
from detray.review.values import Row, numbers, row_of, rows_of, text

TRUTH, SUGGESTED, DETECTED = "ground_truth", "suggestions", "predictions"
_OURS = re.compile("([0-9a-f]{8})0{8}([0-9a-f]{8})")
VERSION = "1.0.0"
"""Of FiftyOne, whose form the data set has: later ones bring it up to theirs."""
_WRITTEN = {"$date": "2024-01-01T00:00:00Z"}
"""When fields and samples were made: FiftyOne wants a time, and sets its own on import."""


class FiftyOne:
    """The tool ``fiftyone``."""

    name = "fiftyone"
    opening = (
        "fiftyone.Dataset.from_dir(FOLDER, fiftyone.types.FiftyOneDataset): tag labels accept or reject, or edit them;"
        " then dataset.export(FOLDER2, dataset_type=fiftyone.types.FiftyOneDataset, export_media=False) and name its"
        " samples.json"
    )
    by_share = True
    with_detections = True

    def picture(self, export: Export, canvas: Canvas) -> str:
        return file_of(self.name, export, canvas)

    def write(self, export: Export, canvases: Iterable[Canvas], put: Put) -> None:
        put("metadata.json", [msgspec.json.encode(_metadata(export))])
        put("samples.json", self._samples(export, canvases))

    def _samples(self, export: Export, canvases: Iterable[Canvas]) -> Iterator[bytes]:
        before = b'{"samples": [\n'
        for canvas in canvases:
            yield before + msgspec.json.encode(_sample(export, canvas, self.picture(export, canvas)))
            before = b",\n"
        yield b"\n]}\n" if before == b",\n" else before + b"]}\n"

    def recognises(self, path: str) -> bool:
        return "samples" in whole.keys(path)

    def read(self, path: str) -> Iterator[Answer]:
        samples = whole.fields(whole.read_text(path)).get("samples")
        if not isinstance(samples, bytes | msgspec.Raw):
            raise DetrayError("its samples are no list")
        for record in whole.elements(bytes(samples)):
            sample = row_of(whole.value_of(record))
            fields = [rows_of(row_of(sample.get(name)).get("detections")) for name in (TRUTH, SUGGESTED)]
            mark = read_mark(sample.get("detray")) or _mark_of_id(sample)
            yield Answer(mark, text(sample.get("filepath")), [*map(_found, chain(*fields))], is_share=True)


def _sample(export: Export, canvas: Canvas, picture: str) -> Row:
    truth = [_label(export, canvas, shape) for shape in canvas.shapes if not shape.is_suggested]
    suggested = [_label(export, canvas, shape) for shape in canvas.shapes if shape.is_suggested]
    detected = [
        {
            "_id": _id(export, f"{canvas.number} {place}"),
            "_cls": "Detection",
            "attributes": {},
            "tags": [],
            "label": one.label,
            "bounding_box": _shares(canvas, one.box),
            "confidence": one.score,
        }
        for place, one in enumerate(canvas.detections) if one.box
    ]  # fmt: skip
    return {
        "_id": _id(export, canvas.number),
        "filepath": picture,
        "tags": [canvas.split, *dict.fromkeys(item.about.kind for item in canvas.asked)],
        "metadata": {"_cls": "ImageMetadata", "width": canvas.width, "height": canvas.height},
        "_media_type": "image",
        "_rand": int(blake2b(f"{export.name}{canvas.number}".encode(), digest_size=6).hexdigest(), 16) / 2**48,
        TRUTH: {"_cls": "Detections", "detections": truth},
        SUGGESTED: {"_cls": "Detections", "detections": suggested},
        **({DETECTED: {"_cls": "Detections", "detections": detected}} if export.has_detections else {}),
        "image_id": canvas.image_id,
        "suspicion": canvas.score,
        "findings": "; ".join(map(words, canvas.asked)),
        "detray": export.mark(canvas.number),
    }


def _label(export: Export, canvas: Canvas, shape: Shape) -> Row:
    score = {} if shape.score is None else {"confidence": shape.score}
    return {
        "_id": _id(export, shape.number),
        "_cls": "Detection",
        "attributes": {},
        "tags": [*dict.fromkeys(item.about.kind for item in shape.asked)],
        "label": shape.label,
        "bounding_box": _shares(canvas, shape.box),
        "detray": export.mark(shape.number),
        "suspect": shape.suspicion,
        "iscrowd": int(shape.is_crowd),
    } | (score if shape.is_suggested else {})


def _shares(canvas: Canvas, box: Box) -> list[float]:
    size = (canvas.width or 1, canvas.height or 1)
    return [side / size[place % 2] for place, side in enumerate(box)]


def _id(export: Export, number: int | str) -> Row:
    """Of a sample or label; a detection's is made of a text, and leads nowhere."""
    if isinstance(number, str):
        return {"$oid": blake2b(f"{export.name} {number}".encode(), digest_size=12).hexdigest()}
    return {"$oid": f"{export.name}{number:016x}"}


def _mark_of_id(row: Row) -> Mark | None:
    """The mark that an id was made of. Others have no eight zeros there, but for one in four thousand million."""
    found = _OURS.fullmatch(text(row_of(row.get("_id")).get("$oid")) or "")
    return Mark(found[1], int(found[2], 16)) if found else None


def _found(label: Row) -> Found:
    tags = label.get("tags")
    said = [found for tag in tags if (found := word(tag))] if isinstance(tags, list) else []
    mark = read_mark(label.get("detray")) or _mark_of_id(label)
    return Found(mark, text(label.get("label")), numbers(label.get("bounding_box")), said[0] if said else None)


# the document that FiftyOne keeps of a data set: its fields


def _metadata(export: Export) -> Row:
    names = {TRUTH: export.labels, SUGGESTED: export.labels}
    fields = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("filepath", "StringField"),
        _field("tags", "ListField", subfield="StringField"),
        _field("metadata", "EmbeddedDocumentField", document="metadata.ImageMetadata", fields=_SIZE_FIELDS),
        _field("_media_type", "StringField"),
        _field("_rand", "FloatField"),
        _field("_dataset_id", "ObjectIdField"),
        _field("created_at", "DateTimeField", is_fixed=True),
        _field("last_modified_at", "DateTimeField", is_fixed=True),
        *(_field(name, "EmbeddedDocumentField", document="labels.Detections", fields=_LABEL_FIELDS)
          for name in (TRUTH, SUGGESTED, *([DETECTED] if export.has_detections else []))),
        _field("image_id", "IntField"),
        _field("suspicion", "FloatField"),
        _field("findings", "StringField"),
        _field("detray", "StringField"),
    ]  # fmt: skip
    return {
        "_id": _id(export, "data set"),
        "name": f"detray {export.name}",
        "slug": f"detray-{export.name}",
        "version": VERSION,
        "created_at": _WRITTEN,
        "last_modified_at": _WRITTEN,
        "last_loaded_at": _WRITTEN,
        "sample_collection_name": f"samples.{export.name}",
        "persistent": False,
        "media_type": "image",
        "group_media_types": {},
        "tags": [],
        "info": {"detray": export.name, "run": export.run},
        "app_config": {"grid_media_field": "filepath", "media_fields": ["filepath"],
                       "modal_media_field": "filepath", "plugins": {}},
        "classes": names,
        "default_classes": export.labels,
        "mask_targets": {},
        "default_mask_targets": {},
        "skeletons": {},
        "sample_fields": fields,
        "frame_fields": [],
        "saved_views": [],
        "workspaces": [],
        "annotation_runs": {},
        "brain_methods": {},
        "evaluations": {},
        "runs": {},
    }  # fmt: skip


def _field(
    name: str,
    kind: str,
    *,
    subfield: str | None = None,
    document: str | None = None,
    fields: Iterable[Row] = (),
    db_field: str | None = None,
    is_fixed: bool = False,
) -> Row:
    return {
        "name": name,
        "ftype": f"fiftyone.core.fields.{kind}",
        "embedded_doc_type": f"fiftyone.core.{document}" if document else None,
        "subfield": f"fiftyone.core.fields.{subfield}" if subfield else None,
        "fields": list(fields),
        "db_field": db_field or name,
        "description": None,
        "info": None,
        "read_only": is_fixed,
        "created_at": _WRITTEN,
    }


_SIZE_FIELDS = [
    _field("size_bytes", "IntField"),
    _field("mime_type", "StringField"),
    *(_field(name, "IntField") for name in ("width", "height", "num_channels")),
]
_LABEL_FIELDS = [
    _field(
        "detections",
        "ListField",
        subfield="EmbeddedDocumentField",
        document="labels.Detection",
        fields=[
            _field("id", "ObjectIdField", db_field="_id"),
            _field("tags", "ListField", subfield="StringField"),
            _field("attributes", "DictField", subfield="EmbeddedDocumentField", document="labels.Attribute"),
            _field("label", "StringField"),
            _field("bounding_box", "ListField", subfield="FloatField"),
            _field("mask", "ArrayField"),
            _field("mask_path", "StringField"),
            _field("confidence", "FloatField"),
            _field("index", "IntField"),
            _field("detray", "StringField"),
            _field("suspect", "StringField"),
            _field("iscrowd", "IntField"),
        ],
    )
]

TOOL = FiftyOne()
