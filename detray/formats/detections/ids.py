"""What the ids in a file of detections mean: images that are named by their files, classes by a map."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.formats.detections.rows import RAW
from detray.meaning.settle import Meaning
from detray.tables import lookup


def with_classes(raw: pa.Table, meaning: Meaning) -> pa.Table:
    """Raw detections whose class ids are the data set's; rows of classes that it lacks keep a name and no id."""
    ids, names = raw["category_id"].combine_chunks(), raw["category_name"].combine_chunks()
    stands = pa.repeat(True, len(raw))
    if meaning.foreign or meaning.is_whole:
        called = _looked_up(ids, meaning.foreign, pa.string())
        if meaning.is_whole:
            called = pc.coalesce(called, ids.cast(pa.string()))
        stands, names = called.is_null(), pc.coalesce(names, called)
    found = pc.coalesce(_looked_up(ids, meaning.ids, pa.int64()), pc.if_else(stands, ids, None))
    if meaning.names:
        named = raw["category_name"].combine_chunks()
        found = pc.if_else(named.is_valid(), _looked_up(named, meaning.names, pa.int64()), found)
    for name, column in (("category_id", found), ("category_name", names)):
        index = RAW.get_field_index(name)
        raw = raw.set_column(index, RAW.field(index), column)
    return raw


def _looked_up(keys: pa.Array, table: Mapping[Any, Any], type: pa.DataType) -> pa.Array:
    place = pc.index_in(keys, value_set=pa.array(list(table), keys.type))
    return pa.array(list(table.values()), type).take(place)


def image_texts(raw: pa.Table) -> pa.Array:
    """Of each row whose image_id is text and no number, that text; else NULL."""
    defects = raw["defects"].combine_chunks()
    if defects.null_count == len(defects):
        return pa.nulls(raw.num_rows, pa.string())
    found = np.full(raw.num_rows, None, object)
    notes, rows = defects.flatten(), pc.list_parent_indices(defects).to_numpy()
    is_text = pc.and_(pc.equal(notes.field("field"), "image_id"), pc.equal(notes.field("rule"), "wrong-type"))
    chosen = np.flatnonzero(is_text.to_numpy(zero_copy_only=False))
    found[rows[chosen]] = notes.field("observed").take(pa.array(chosen)).to_numpy(zero_copy_only=False)
    return pc.if_else(raw["image_id"].is_null().combine_chunks(), pa.array(found, pa.string()), None)


def image_names(images: pa.Table) -> pa.Table:
    """The columns name and image_id: file names, as they stand, without folders, and without ending.

    A name that several images share names none of them.
    """
    forms = _forms(images["file_name"].combine_chunks())
    listed = pa.table(
        {"name": pa.concat_arrays(forms), "image_id": pa.chunked_array([images["image_id"]] * len(forms))}
    )
    owners = listed.group_by("name").aggregate([("image_id", "min"), ("image_id", "max")])
    alone = owners.filter(pc.equal(owners["image_id_min"], owners["image_id_max"]))
    return alone.select(["name", "image_id_min"]).rename_columns(["name", "image_id"])


def with_image_names(raw: pa.Table, names: pa.Table) -> pa.Table:
    """Raw detections in which those that name their image by its file name (`image_names`) have its id."""
    found = [lookup(form, names, "name", "image_id") for form in _forms(image_texts(raw))]
    return _with_images(raw, pc.coalesce(*found))


def with_unknown_images(raw: pa.Table) -> pa.Table:
    """Raw detections in which those that name their image by any text have a negative id, the same for each text."""
    texts = image_texts(raw).dictionary_encode()
    ids = [-1 - int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) for text in texts.dictionary.to_pylist()]
    return _with_images(raw, pa.array(ids, pa.int64()).take(texts.indices))


def _forms(name: pa.Array) -> list[pa.Array]:
    """Names as they stand, without folders, and both without ending."""
    base = pc.replace_substring_regex(name, r"^.*[/\\]", "")
    return [name, base, *(pc.replace_substring_regex(form, r"\.[A-Za-z0-9]{1,5}$", "") for form in (name, base))]


def _with_images(raw: pa.Table, ids: pa.Array) -> pa.Table:
    """Raw detections with these images where they name none by a number."""
    index = RAW.get_field_index("image_id")
    return raw.set_column(index, RAW.field(index), pc.coalesce(raw["image_id"], pa.chunked_array([ids])))
