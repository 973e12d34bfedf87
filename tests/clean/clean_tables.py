"""Canonical tables from a few words, and scenes for hypothesis."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from detray import schema
from detray.tables import Shard

CLASSES = {1: "cat", 2: "dog", 7: "cow"}
SOURCE = "val.json"


def annotation(row: int, box: tuple[float, float, float, float], **fields: Any) -> dict[str, Any]:
    x, y, width, height = box
    return {
        "split": "val",
        "annotation_id": 100 + row,
        "annotation_row": row,
        "image_id": 1,
        "category_id": 1,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "area": width * height,
        "is_crowd": False,
        "is_difficult": False,
        "source_file": SOURCE,
    } | fields


def shard(annotations: list[dict[str, Any]], images: int = 3, size: tuple[int, int] = (100, 80)) -> Shard:
    pictures = [
        {
            "split": "val",
            "image_id": 1 + k,
            "file_name": f"{k}.jpg",
            "width": size[0],
            "height": size[1],
            "image_row": k,
        }
        for k in range(images)
    ]
    classes = [
        {"split": "val", "category_id": k, "category_name": name, "source": "annotations"}
        for k, name in CLASSES.items()
    ]
    return Shard(
        "val",
        schema.from_rows("images", pictures, run="r"),
        schema.from_rows("annotations", sorted(annotations, key=lambda row: row["image_id"]), run="r"),
        schema.from_rows("categories", classes, run="r"),
    )


def findings(*found: tuple[str, dict[str, Any]], with_file: bool = True, severity: int = 3) -> pa.Table:
    """Findings of rules about annotations."""
    return schema.from_rows(
        "findings",
        [
            {
                "finding_id": f"{rule}-{about['annotation_row']}",
                "rule": rule,
                "family": "geometry",
                "severity": severity,
                "severity_name": "error",
                "scope": "annotation",
                "split": about["split"],
                "image_id": about["image_id"],
                "annotation_row": about["annotation_row"],
                "source_file": about["source_file"] if with_file else None,
                "message": "m",
                "fix": "f",
            }
            for rule, about in found
        ],
        run="r",
    )


def suspect(kind: str, about: dict[str, Any], score: float = 1.0, **suggested: Any) -> dict[str, Any]:
    """A row of label_errors; ``box`` and ``category_id`` are the suggestion."""
    box = suggested.get("box", (None,) * 4)
    found = {
        "model": "m",
        "split": "val",
        "image_id": about["image_id"],
        "annotation_id": about.get("annotation_id"),
        "annotation_row": about.get("annotation_row"),
        "source_file": about.get("source_file"),
        "category_id": about["category_id"],
        "kind": kind,
        "score": score,
        "suggested_category_id": suggested.get("category_id"),
    }
    return found | {f"suggested_{name}": side for name, side in zip(("x", "y", "width", "height"), box, strict=True)}


def label_errors(*rows: dict[str, Any]) -> pa.Table:
    return schema.from_rows("label_errors", list(rows), run="r")


side = st.one_of(st.integers(-30, 140).map(float), st.floats(-30, 140))
box = st.tuples(side, side, side, side)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Shard, pa.Table, pa.Table]:
    """A shard with findings and label errors about random rows, right or wrong."""
    boxes = draw(st.lists(box, min_size=1, max_size=12))
    rows = [
        annotation(row, sides, image_id=draw(st.integers(1, 3)), category_id=draw(st.sampled_from([1, 2, 7])))
        for row, sides in enumerate(boxes)
    ]
    if draw(st.booleans()):
        rows.append(rows[0] | {"annotation_row": len(rows), "annotation_id": 100 + len(rows)})
    rules = ["degenerate-box", "fully-outside", "duplicate-box", "out-of-bounds", "duplicate-annotation-id", "tiny-box"]
    found = draw(st.lists(st.tuples(st.sampled_from(rules), st.sampled_from(rows)), max_size=8))
    suspects = [
        suspect(
            draw(st.sampled_from(["wrong_class", "bad_box", "missing", "spurious"])),
            draw(st.sampled_from(rows)),
            draw(st.sampled_from([0.2, 0.95, 1.0])),
            box=draw(box),
            category_id=draw(st.sampled_from([1, 2, 7, 99])),
        )
        for _ in range(draw(st.integers(0, 6)))
    ]
    unique = {(rule, about["annotation_row"]): (rule, about) for rule, about in found}
    return shard(rows), findings(*unique.values()), label_errors(*suspects)


def cut(whole: Shard, at: int) -> list[Shard]:
    """The shard's images up to ``at``, and the others."""
    parts = []
    for keep in (lambda ids: ids <= at, lambda ids: ids > at):
        images, annotations = (
            table.filter(keep(np.asarray(table["image_id"]))) for table in (whole.images, whole.annotations)
        )
        parts.append(Shard(whole.split, images, annotations, whole.categories))
    return parts
