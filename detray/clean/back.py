"""Writing a data set back in its own format: edits become changes of rows of source files, and each file is written
with its changes by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.changes import CHANGES, FILES, file_key
from detray.clean.apply import decoded
from detray.flow.exchange import Bucket
from detray.flow.step import Keep, Output, Step
from detray.tables import Shard

FOLDER = "data"
"""Below the stage's folder."""


class Formats(Protocol):
    """What is known of a data set's own files."""

    def files(self, split: str) -> pa.Table:
        """The files of a split, as `FILES`."""
        ...

    def file_of(self, split: str, source_file: str) -> str:
        """The file that a new box of an image goes to."""
        ...

    def rewrite(self, path: str, format: str | None, changes: pa.Table) -> Iterable[bytes]:
        """What a file is to hold, piece by piece."""
        ...


class Written(msgspec.Struct, frozen=True):
    """How many files a task wrote or found."""

    files: int


@dataclass(frozen=True)
class Back:
    """What all tasks that write back share."""

    formats: Formats


def changes_of(shard: Shard, edits: pa.Table, formats: Formats) -> pa.Table:
    """The edits of a shard as changes of rows of its files, `CHANGES`: one for each row."""
    found: dict[Any, dict[str, Any]] = {}
    images = {
        name: tables.lookup(edits["image_id"], shard.images, "image_id", column).to_pylist()
        for name, column in (
            ("image_row", "image_row"),
            ("file_name", "file_name"),
            ("image_width", "width"),
            ("image_height", "height"),
            ("image_file", "source_file"),
        )
    }
    names = tables.class_names(tables.own_classes(shard.categories))
    states = iter(decoded(edits.filter(pc.is_valid(edits["after"]))))
    for place, edit in enumerate(edits.to_pylist()):
        is_new = edit["action"] == "add"
        key = place if is_new else (edit["source_file"], edit["annotation_row"])
        of_image = {name: values[place] for name, values in images.items()}
        path = formats.file_of(shard.split, of_image["image_file"]) if is_new else edit["source_file"]
        change = found.setdefault(
            key, {"file_key": file_key(path), "source_file": path, "is_drop": False, "loses_mask": False} | of_image
        )
        change |= {"row": edit["annotation_row"], "image_id": edit["image_id"]}
        if edit["action"] == "drop":
            change["is_drop"] = True
            continue
        state = next(states)
        if edit["action"] in ("relabel", "add"):
            change |= {"category_id": state.category_id, "category_name": names.get(state.category_id)}
        if edit["action"] in ("move", "clip", "add"):
            change |= dict(zip(("x", "y", "width", "height"), state.bbox, strict=True)) | {"area": state.area}
            change["loses_mask"] |= not is_new and not bytes(state.segmentation)
        if edit["action"] in ("renumber", "add"):
            change["annotation_id"] = state.id
    return pa.Table.from_pylist(list(found.values()), CHANGES)


def list_files(work: Back, split: str) -> Output[Written]:
    """The files of a split."""
    found = work.formats.files(split)
    return Output(Written(found.num_rows), kept={"files": found})


def write_files(work: Back, bucket: Bucket) -> Output[Written]:
    """Write the files of a bucket; one that two splits share is one."""
    changes = pa.concat_tables([CHANGES.empty_table(), *(rows for _, rows in bucket.of("changes"))])
    files = pa.concat_tables([FILES.empty_table(), *(rows for _, rows in bucket.of("files"))])
    changed = set(pc.unique(changes["source_file"]).to_pylist())
    rows = {row["path"]: row for row in reversed(files.to_pylist()) if row["is_there"] or row["path"] in changed}
    content = {
        f"{FOLDER}/{row['to']}": _content(work, row, changes, is_changed=path in changed)
        for path, row in sorted(rows.items())
    }
    return Output(Written(len(content)), files=content)


def _content(work: Back, row: dict[str, Any], changes: pa.Table, *, is_changed: bool) -> Iterator[bytes]:
    own = changes.filter(pc.equal(changes["source_file"], row["path"])) if is_changed else changes.slice(0, 0)
    yield from work.formats.rewrite(row["path"], row["format"], own)


LIST: Step[Back, str, Written] = Step(
    "files", list_files, Written, (Keep("files", FILES, by="file_key"),), label="list files"
)
WRITE_BACK: Step[Back, Bucket, Written] = Step("back", write_files, Written, label="write files")
