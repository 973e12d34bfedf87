"""Canonical tables as COCO JSON text, whole columns at a time.

One object a row, as Arrow strings: a shard's text is the data buffer of such a column, so no
Python object is made for an annotation. The format is https://cocodataset.org/#format-data, with
``annotator``, ``difficult`` and whatever further fields the source had.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 64 * 1024
SEPARATOR = ",\n"


def annotation_objects(annotations: pa.Table) -> pa.ChunkedArray:
    """Each annotation as a COCO object, large_string ``[n]``.

    Numbers are written with the fewest digits that read back as the same float64. An absent area is
    width times height.
    """
    area = pc.coalesce(annotations["area"], pc.multiply(annotations["width"], annotations["height"]))
    return _join(
        "{",
        _members(annotations["attributes"]),
        '"id":',
        annotations["annotation_id"],
        ',"image_id":',
        annotations["image_id"],
        ',"category_id":',
        annotations["category_id"],
        ',"bbox":[',
        annotations["x"],
        ",",
        annotations["y"],
        ",",
        annotations["width"],
        ",",
        annotations["height"],
        '],"area":',
        area,
        ',"iscrowd":',
        annotations["is_crowd"].cast(pa.int8()),
        pc.if_else(annotations["is_difficult"], _text(',"difficult":1'), _text("")),
        _optional("segmentation", annotations["segmentation"]),
        _optional("annotator", _quoted(annotations["annotator"])),
        "}",
    )


def image_objects(images: pa.Table) -> pa.ChunkedArray:
    """Each image as a COCO object, large_string ``[n]``; what is not stated is left out."""
    return _join(
        "{",
        _members(images["attributes"]),
        '"id":',
        images["image_id"],
        _optional("file_name", _quoted(images["file_name"])),
        _optional("width", images["width"]),
        _optional("height", images["height"]),
        "}",
    )


def category_objects(categories: pa.Table) -> pa.ChunkedArray:
    """Each class as a COCO object, large_string ``[n]``; one without a name is called by its id."""
    names = pc.coalesce(categories["category_name"], categories["category_id"].cast(pa.string()))
    members = _members(categories["attributes"])
    return _join("{", members, '"id":', categories["category_id"], ',"name":', _quoted(names), "}")


def fragments(rows: pa.Table, objects: Callable[[pa.Table], pa.ChunkedArray]) -> Iterator[bytes]:
    """The rows as text, each after a `SEPARATOR`, some thousand rows at a time."""
    for start in range(0, rows.num_rows, ROWS_AT_ONCE):
        texts = objects(rows.slice(start, ROWS_AT_ONCE))
        lines = pc.binary_join_element_wise(_text(SEPARATOR), texts, _text("")).combine_chunks()
        _, offsets, text = lines.buffers()
        ends = np.frombuffer(offsets, np.int64)
        yield text.slice(ends[lines.offset], ends[lines.offset + len(lines)] - ends[lines.offset]).to_pybytes()


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _join(*parts: str | pa.ChunkedArray) -> pa.ChunkedArray:
    columns = [_text(part) if isinstance(part, str) else part.cast(pa.large_string()) for part in parts]
    joined = pc.binary_join_element_wise(*columns, _text(""), null_handling="replace", null_replacement="null")
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def _optional(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The member ``name`` with the comma before it, or nothing where NULL."""
    member = pc.binary_join_element_wise(_text(f',"{name}":'), values.cast(pa.large_string()), _text(""))
    return pc.coalesce(member, _text(""))


def _members(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The members of JSON objects, a comma after them; nothing where NULL or without members.

    They stand first: of two members of one name readers take the last.
    """
    inner = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(values), 1, -1))
    inner = pc.if_else(pc.equal(inner, ""), None, inner).cast(pa.large_string())
    return pc.coalesce(pc.binary_join_element_wise(inner, _text(","), _text("")), _text(""))


def _quoted(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as JSON strings; each different text is quoted once."""
    codes = values.combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if isinstance(codes, pa.ChunkedArray) else codes
    quoted = pa.array([msgspec.json.encode(text).decode() for text in codes.dictionary.to_pylist()], pa.large_string())
    return pa.chunked_array([quoted.take(codes.indices)])
