"""Plants named faults into a copy of a split, and says exactly where each one is.

What is planted is what people meet: faults of single annotations and pictures, boxes labelled as
another class, boxes of a class left out, and a label map off by one between model and data.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.demo import shapes
from detray.errors import DetrayError

PLANTED = "planted.json"

RELABELLED_AS = "square"
"""The class that boxes of other classes are wrongly labelled as."""

UNLABELLED = "ring"
"""The class whose boxes are left out."""

_RELABELLED_SHARE = 0.06  # of all boxes
_UNLABELLED_SHARE = 0.4  # of the class's boxes
_STATED_TOO_WIDE = 37  # px
_ABSENT_IMAGE, _ABSENT_CATEGORY = 999_999, 99

Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """A row that shows a fault: in ``table`` (findings, label_errors or diagnoses), under ``code``
    (a rule, a kind of label error, or a cause)."""

    table: str
    code: str


@dataclass(frozen=True)
class Fault:
    """One planted fault and where it is.

    ``evidence`` lists the rows of which one must be found, the most exact first. ``file`` is below
    the copy's folder. ``annotation_row`` is the position in the file's list, ``box`` x, y, width,
    height in pixels of a box that was left out, ``category_name`` the class that suffers.
    """

    name: str
    evidence: tuple[Evidence, ...]
    file: str
    annotation_row: int | None = None
    image_id: int | None = None
    category_name: str | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass
class _Copy:
    """The copy while faults are planted: rows are touched once, and pictures by one fault at most."""

    folder: Path
    annotation_file: str
    image_folder: str
    document: Json
    rng: np.random.Generator
    touched_rows: set[int] = field(default_factory=set)
    touched_images: set[int] = field(default_factory=set)

    @property
    def annotations(self) -> list[Json]:
        rows: list[Json] = self.document["annotations"]
        return rows

    def row(self) -> int:
        """The position of a random untouched annotation in a picture that has no other fault."""
        images, rows = self.touched_images, self.touched_rows
        free = [
            row
            for row, annotation in enumerate(self.annotations)
            if row not in rows and annotation["image_id"] not in images
        ]
        if not free:
            raise DetrayError(f"{self.folder}: too few pictures to plant every fault in; draw at least 30")
        row = int(self.rng.choice(free))
        self.touched_rows.add(row)
        self.touched_images.add(self.annotations[row]["image_id"])
        return row

    def image(self) -> Json:
        """The entry of a random picture that has boxes and no fault yet."""
        return self.image_of(self.row())

    def image_of(self, row: int) -> Json:
        image_id = self.annotations[row]["image_id"]
        return next(image for image in self.document["images"] if image["id"] == image_id)

    def fault(self, name: str, row: int, *evidence: Evidence) -> Fault:
        annotation = self.annotations[row]
        category = shapes.CLASSES[annotation["category_id"] - 1] if annotation["category_id"] in _IDS.values() else None
        return Fault(name, evidence, self.annotation_file, row, annotation["image_id"], category)


_IDS = {name: number for number, name in enumerate(shapes.CLASSES, 1)}


def plant_faults(source: Path | str, target: Path | str, split: str = "val", seed: int = 0) -> list[Fault]:
    """Copy a split that `draw.draw_dataset` drew from ``source`` to ``target`` and plant faults in it.

    The copy has the same layout, and ``planted.json`` beside it lists the faults.

    Raises:
        DetrayError: the split has too few pictures, or a file cannot be read or written.
    """
    source, target = Path(source), Path(target)
    annotation_file, image_folder = f"annotations/{split}.json", f"images/{split}"
    try:
        document = json.loads((source / annotation_file).read_text())
        shutil.copytree(source / image_folder, target / image_folder, dirs_exist_ok=True)
        copy = _Copy(target, annotation_file, image_folder, document, np.random.default_rng(seed))
        faults = [fault for plant in _PLANTS for fault in plant(copy)]
        place = target / annotation_file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(document))
        (target / PLANTED).write_text(json.dumps([asdict(fault) for fault in faults], indent=1))
    except OSError as error:
        raise DetrayError(f"{error.filename or target}: {error.strerror}; choose another --output") from None
    return faults


def read_planted(folder: Path | str) -> list[Fault]:
    """The faults that ``planted.json`` in ``folder`` lists."""
    entries = json.loads((Path(folder) / PLANTED).read_text())
    return [
        Fault(**entry | {"evidence": tuple(Evidence(**one) for one in entry["evidence"]), "box": _tuple(entry["box"])})
        for entry in entries
    ]


def write_detections(predictions: pa.Table, path: Path | str, split: str = "val", id_offset: int = 0) -> None:
    """Write a split's rows of the table predictions as COCO results, category ids moved by ``id_offset``.

    Raises:
        DetrayError: the file cannot be written.
    """
    path = Path(path)
    rows = predictions.filter(pc.equal(predictions["split"], split)).to_pylist()
    results = [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"] + id_offset,
            "bbox": [row["x"], row["y"], row["width"], row["height"]],
            "score": row["score"],
        }
        for row in rows
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results))
    except OSError as error:
        raise DetrayError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None


def write_shifted_detections(predictions: pa.Table, path: Path | str, split: str = "val") -> Fault:
    """Write detections whose class ids start at 0 where the annotations' start at 1."""
    write_detections(predictions, path, split, id_offset=-1)
    return Fault("label map off by one", (Evidence("diagnoses", "label_id_mismatch"),), Path(path).name)


def _tuple(box: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if box is None else tuple(box)


# The plants, in the order in which they run: what removes rows comes first, what appends rows last,
# so that positions once recorded stay true.


def _missing_boxes(copy: _Copy) -> list[Fault]:
    rows = [row for row, a in enumerate(copy.annotations) if a["category_id"] == _IDS[UNLABELLED]]
    chosen = copy.rng.choice(rows, round(_UNLABELLED_SHARE * len(rows)), replace=False).tolist() if rows else []
    evidence = (Evidence("label_errors", "missing"), Evidence("diagnoses", "missing_labels"))
    faults = [
        Fault(
            "missing box",
            evidence,
            copy.annotation_file,
            image_id=copy.annotations[row]["image_id"],
            category_name=UNLABELLED,
            box=tuple(copy.annotations[row]["bbox"]),
        )
        for row in sorted(chosen)
    ]
    copy.document["annotations"] = [a for row, a in enumerate(copy.annotations) if row not in chosen]
    return faults


def _wrong_class(copy: _Copy) -> list[Fault]:
    others = [row for row, a in enumerate(copy.annotations) if shapes.CLASSES[a["category_id"] - 1] not in _SPARED]
    chosen = copy.rng.choice(others, round(_RELABELLED_SHARE * len(copy.annotations)), replace=False).tolist()
    copy.touched_rows.update(chosen)
    for row in chosen:
        copy.annotations[row]["category_id"] = _IDS[RELABELLED_AS]
    evidence = (
        Evidence("label_errors", "wrong_class"),
        Evidence("diagnoses", "wrong_labels"),
        Evidence("diagnoses", "class_confusion"),
    )
    return [copy.fault("wrong class", row, *evidence) for row in sorted(chosen)]


_SPARED = (RELABELLED_AS, UNLABELLED, shapes.RARE)
"""Classes that lose no box to a wrong label, so that each class suffers from one fault."""


def _finding(rule: str) -> Evidence:
    return Evidence("findings", rule)


def _degenerate(copy: _Copy) -> list[Fault]:
    row = copy.row()
    copy.annotations[row]["bbox"][2] = 0.0
    copy.annotations[row]["area"] = 0.0
    return [copy.fault("degenerate box", row, _finding("degenerate-box"))]


def _out_of_bounds(copy: _Copy) -> list[Fault]:
    row = copy.row()
    bbox = copy.annotations[row]["bbox"]
    bbox[0] = copy.image_of(row)["width"] - bbox[2] / 2
    return [copy.fault("box out of bounds", row, _finding("out-of-bounds"))]


def _not_finite(copy: _Copy) -> list[Fault]:
    row = copy.row()
    copy.annotations[row]["bbox"][1] = float("nan")  # Python's json writes and people keep the literal NaN
    return [copy.fault("coordinate not finite", row, _finding("not-finite"))]


def _unknown_category(copy: _Copy) -> list[Fault]:
    row = copy.row()
    copy.annotations[row]["category_id"] = _ABSENT_CATEGORY
    return [copy.fault("unknown category", row, _finding("unknown-category"))]


def _orphan(copy: _Copy) -> list[Fault]:
    row = copy.row()
    copy.annotations[row]["image_id"] = _ABSENT_IMAGE
    return [copy.fault("annotation without image", row, _finding("orphan-annotation"))]


def _duplicate_id(copy: _Copy) -> list[Fault]:
    rows = copy.row(), copy.row()
    copy.annotations[rows[1]]["id"] = copy.annotations[rows[0]]["id"]
    return [copy.fault("annotation id used twice", row, _finding("duplicate-annotation-id")) for row in sorted(rows)]


def _corrupt_picture(copy: _Copy) -> list[Fault]:
    image = copy.image()
    picture = f"{copy.image_folder}/{image['file_name']}"
    whole = (copy.folder / picture).read_bytes()
    (copy.folder / picture).write_bytes(whole[: len(whole) * 2 // 3])
    return [Fault("picture cut off", (_finding("corrupt-image"),), picture, image_id=image["id"])]


def _missing_picture(copy: _Copy) -> list[Fault]:
    image = copy.image()
    picture = f"{copy.image_folder}/{image['file_name']}"
    (copy.folder / picture).unlink()
    return [Fault("picture missing", (_finding("missing-image"),), picture, image_id=image["id"])]


def _wrong_size(copy: _Copy) -> list[Fault]:
    image = copy.image()
    image["width"] += _STATED_TOO_WIDE
    return [Fault("wrong image size", (_finding("size-mismatch"),), copy.annotation_file, image_id=image["id"])]


def _duplicate_box(copy: _Copy) -> list[Fault]:
    original = copy.annotations[copy.row()]
    copy.annotations.append(original | {"id": max(a["id"] for a in copy.annotations) + 1})
    row = len(copy.annotations) - 1
    copy.touched_rows.add(row)
    return [copy.fault("box twice", row, _finding("duplicate-box"))]


_PLANTS: tuple[Callable[[_Copy], list[Fault]], ...] = (
    _missing_boxes,
    _wrong_class,
    _degenerate,
    _out_of_bounds,
    _not_finite,
    _unknown_category,
    _orphan,
    _duplicate_id,
    _corrupt_picture,
    _missing_picture,
    _wrong_size,
    _duplicate_box,
)
