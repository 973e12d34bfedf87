"""The known differences between evaluators: the same detections scored by other rules.

A variant either matches again, by other settings or with other rows, or takes the matches as they are without the
detections below a score or beyond a place in their image: lower scores do not move the matches of higher ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from detray.evaluate.protocol import protocol_of
from detray.evaluate.settings import AreaRanges, EvaluateSettings
from detray.evaluate.shard.box_counts import BoxCounts, is_ignored
from detray.tables import Shard

Rows = Literal["same", "crowd_plain", "no_crowd", "no_difficult", "no_ignored", "box_area", "one_class"]
LARGER_CAPS, SMALLER_CAPS = (1000, 10_000), (1, 10, 100, 300)
"""Detections an image and class that tools keep."""
SCORES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.3, 0.5)
"""Minimum scores that tools evaluate with."""
AS_PYCOCOTOOLS = "as pycocotools keys boxes by id"
PROTOCOLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("coco", "by COCO's rules", {"protocol": "coco"}),
    ("pascal", "by Pascal VOC's rules", {"protocol": "pascal"}),
    ("open-images-0", "by Open Images V2's rules", {"protocol": "open_images", "group_of_weight": 0}),
    ("open-images-1", "by the Open Images challenge's rules", {"protocol": "open_images", "group_of_weight": 1}),
)


@dataclass(frozen=True)
class Variant:
    """Other rules, in words. ``settings`` None: the matches are those of the evaluation itself.

    Attributes:
        name: of its tasks.
        words: what a figure by these rules is.
        settings: by which the rows are matched again.
        rows: what is done to them before.
        least_score, most: the detections that count, by score and by place in their image and class.
    """

    name: str
    words: str
    settings: EvaluateSettings | None = None
    rows: Rows = "same"
    least_score: float = 0.0
    most: int | None = None


def variants(settings: EvaluateSettings, boxes: BoxCounts, metrics: Sequence[str], *, repeated: bool) -> list[Variant]:
    """The rules that may explain figures of these ``metrics``; those that cannot change a thing are left out.

    ``repeated``: annotations share ids, or have the id 0.
    """
    found = [strict(settings)] if repeated else []
    found += _by_rows(settings, boxes, metrics)
    if settings.iou_type == "bbox":
        found += _by_protocol(settings)
    found += _by_cap(settings)
    words = "without detections under a score of"
    found += [Variant(f"score-{k}", f"{words} {least:g}", least_score=least) for k, least in enumerate(SCORES)]
    return found


def strict(settings: EvaluateSettings) -> Variant:
    """pycocotools' own way with ids."""
    return Variant("strict", AS_PYCOCOTOOLS, replace(_plain(settings), strict_pycocotools=True))


def _plain(settings: EvaluateSettings) -> EvaluateSettings:
    return replace(settings, bootstrap=0, slices=(), expect={}, expect_file=None)


def _by_rows(settings: EvaluateSettings, boxes: BoxCounts, metrics: Sequence[str]) -> list[Variant]:
    plain, by_size = _plain(settings), any(metric[-1] in "sml" for metric in metrics)
    known: tuple[tuple[bool, Rows, str], ...] = (
        (boxes.crowd > 0, "crowd_plain", "with crowd regions as boxes"),
        (boxes.crowd > 0, "no_crowd", "without crowd regions"),
        (boxes.difficult > 0, "no_difficult", "without difficult boxes"),
        (boxes.ignored > 0, "no_ignored", "without boxes marked ignore"),
        (by_size and boxes.off_area > 0, "box_area", "with width times height as area"),
        (True, "one_class", "with all classes as one"),
    )
    return [Variant(rows, words, plain, rows) for holds, rows, words in known if holds]


def _by_protocol(settings: EvaluateSettings) -> list[Variant]:
    free = replace(
        _plain(settings),
        iou_thresholds=None,
        area_ranges=AreaRanges(),
        max_detections=None,
        strict_pycocotools=False,
        hierarchy=None,
        image_labels=None,
    )
    others = [entry for entry in PROTOCOLS if entry[2]["protocol"] != settings.protocol]
    return [Variant(name, words, replace(free, **changes)) for name, words, changes in others]


def _by_cap(settings: EvaluateSettings) -> list[Variant]:
    protocol = protocol_of(settings)
    if protocol.caps_images:
        return []
    larger = [cap for cap in LARGER_CAPS if cap > protocol.cap]
    smaller = [cap for cap in SMALLER_CAPS if cap < protocol.cap]
    again = [Variant(f"cap-{cap}", _kept(cap), replace(_plain(settings), max_detections=cap)) for cap in larger]
    return [*again, *(Variant(f"first-{cap}", _kept(cap), most=cap) for cap in smaller)]


def _kept(cap: int) -> str:
    return f"with {cap:,} {'detection' if cap == 1 else 'detections'} an image and class"


def changed(shard: Shard, rows: Rows) -> Shard:
    """A shard's rows as a variant takes them."""
    boxes, found = shard.annotations, shard.predictions
    if rows == "crowd_plain":
        boxes = _set(boxes, "is_crowd", False)
    elif rows == "no_crowd":
        boxes = boxes.filter(pc.invert(boxes["is_crowd"]))
    elif rows == "no_difficult":
        boxes = boxes.filter(pc.invert(boxes["is_difficult"]))
    elif rows == "no_ignored":
        boxes = boxes.filter(pa.array([not is_ignored(text) for text in boxes["attributes"].to_pylist()], pa.bool_()))
    elif rows == "box_area":
        boxes = _set(boxes, "area", None)
    elif rows == "one_class":
        ids = shard.categories.filter(pc.not_equal(shard.categories["source"], "predictions"))["category_id"].unique()
        boxes, found = (
            _set(table.filter(pc.is_in(table["category_id"], value_set=ids)), "category_id", pc.min(ids).as_py())
            for table in (boxes, found)
        )
    return Shard(shard.split, shard.images, boxes, shard.categories, found)


def _set(table: pa.Table, name: str, value: float | None) -> pa.Table:
    """A column with one value."""
    field = table.schema.field(name)
    values = pa.repeat(pa.scalar(value, field.type), table.num_rows)
    return table.set_column(table.schema.get_field_index(name), field, values)


def with_filter(detections: pa.Table, variant: Variant) -> pa.Table:
    """The kept detections of an evaluation that a variant counts."""
    if variant.least_score:
        detections = detections.filter(pc.greater_equal(detections["score"], variant.least_score))
    if variant.most is not None:
        detections = detections.filter(pc.less_equal(detections["class_rank"], variant.most))
    return detections
