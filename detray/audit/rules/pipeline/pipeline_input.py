"""The objects of a class are, at the model's input, too small or too large for what the pipeline.config sets up.

Failure: the resizer leaves a few pixels of an object. Below the stride of the finest layer several objects share one
place, and an anchor that overlaps a box by less than half learns it only because the best one is forced to; above the
largest anchor nothing fits. The class is learned from its few fitting boxes.
Number: each box's width and height after the resizer (bins of an eighth of an octave). The share of a class's boxes
whose side (root of the area) is below the finest stride, at least `max_below`; that no anchor overlaps by half if
centred on it, at least `max_unreached`, and of these those larger than the largest anchor; from `min_boxes` boxes on.
Source: TF Object Detection API, image_resizer_builder.py and anchor_generators/; Lin et al., Focal Loss for Dense
Object Detection, 2017 (anchors learn from IoU 0.5 on).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats, Ints
from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import SUSPECT, Fact, Limits, SummaryRule, Threshold
from detray.audit.rules.reach import is_reached, sides_at_input
from detray.audit.statistics import weighted_median
from detray.audit.summary import Summary
from detray.pipeline.geometry import Resize, anchors_of, finest_stride

FACTORS = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""By which inputs are tried larger."""
ANCHOR_SCALES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)


@dataclass(frozen=True)
class _Boxes:
    """A class's boxes at the input: sides, px ``[k, 2]``, how many of each, ``[k]``, and what they meet there."""

    sides: Floats
    n: Ints
    stride: int
    anchors: Floats

    @property
    def below(self) -> float:
        """The share below the stride."""
        return self._share(np.sqrt(self.sides.prod(axis=1)) < self.stride)

    @property
    def unreached(self) -> float:
        """The share that no anchor reaches; 0 for a model without."""
        return self._share(~is_reached(self.sides, self.anchors)) if len(self.anchors) else 0.0

    @property
    def above(self) -> float:
        """The share that no anchor reaches because all are smaller."""
        if not len(self.anchors):
            return 0.0
        largest = self.anchors.prod(axis=1).max()
        return self._share(~is_reached(self.sides, self.anchors) & (self.sides.prod(axis=1) > largest))

    @property
    def median(self) -> float:
        """The median side, px."""
        side = np.sqrt(self.sides.prod(axis=1))
        order = np.argsort(side, kind="stable")
        return float(side[order][weighted_median(self.n[order])])

    def _share(self, mask: Flags) -> float:
        return float(self.n[mask].sum() / self.n.sum())


def _check(data: Summary, limits: Limits) -> Sequence[Fact]:
    pipeline = data.pipeline
    if pipeline is None or pipeline.resize is None or pipeline.file.architecture is None:
        return []
    stride = finest_stride(pipeline.file.architecture)
    anchors = anchors_of(pipeline.file.architecture, pipeline.resize)
    facts = []
    for split, category_id, name in data.each_class():
        keys, n = data.tallies[split].histogram("at_input", category_id)
        if int(n.sum()) < max(limits["min_boxes"], 1):
            continue
        boxes = _Boxes(sides_at_input(keys), n, stride, anchors)
        is_below, is_unreached = boxes.below >= limits["max_below"], boxes.unreached >= limits["max_unreached"]
        if is_below or is_unreached:
            observed, fix = _observed(boxes, pipeline.resize), _fix(pipeline, pipeline.resize, boxes, limits)
            share = boxes.below if is_below else boxes.unreached
            facts.append(
                Fact(
                    split,
                    observed,
                    category_id=category_id,
                    category_name=name,
                    count=round(share * int(n.sum())),
                    threshold="max_below" if is_below else "max_unreached",
                    fix=fix,
                )
            )
    return facts


def _observed(boxes: _Boxes, resize: Resize) -> str:
    n = int(boxes.n.sum())
    parts = [f"median side {boxes.median:.0f} px at {resize}"]
    if boxes.below:
        parts.append(f"{round(boxes.below * n)} of {n} boxes are smaller than the finest stride, {boxes.stride} px")
    if boxes.unreached:
        beyond = f", {round(boxes.above * n)} of them larger than the largest" if boxes.above else ""
        parts.append(f"no anchor reaches {round(boxes.unreached * n)} of {n}{beyond}")
    return "; ".join(parts)


def _fix(pipeline: StatedPipeline, resize: Resize, boxes: _Boxes, limits: Limits) -> str:
    """The line that brings most of the boxes within reach."""
    if boxes.above < boxes.unreached / 2 or boxes.below >= limits["max_below"]:
        scaled = [_Boxes(boxes.sides * factor, boxes.n, boxes.stride, boxes.anchors) for factor in FACTORS]
        enough = [
            factor
            for factor, one in zip(FACTORS, scaled, strict=True)
            if one.below < limits["max_below"] and one.unreached < limits["max_unreached"]
        ]
        if boxes.below < limits["max_below"] and (line := _better_anchors(pipeline, boxes, limits)) is not None:
            return line
        return _larger(pipeline, resize.scaled(enough[0] if enough else FACTORS[-1]), is_enough=bool(enough))
    line = _better_anchors(pipeline, boxes, limits)
    return line or "state larger anchors, or make the input smaller in the image_resizer"


def _better_anchors(pipeline: StatedPipeline, boxes: _Boxes, limits: Limits) -> str | None:
    """The anchor_scale nearest to the present one that reaches enough boxes, if one does."""
    ssd = pipeline.file.config.model.ssd
    generator = ssd.anchor_generator.multiscale_anchor_generator if ssd is not None else None
    if generator is None or generator.anchor_scale <= 0:
        return None
    place = "model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale"
    for scale in sorted(ANCHOR_SCALES, key=lambda one: abs(np.log(one / generator.anchor_scale))):
        tried = _Boxes(boxes.sides, boxes.n, boxes.stride, boxes.anchors * (scale / generator.anchor_scale))
        if tried.unreached < limits["max_unreached"]:
            return pipeline.file.write(place, f"{scale:g}")
    return None


def _larger(pipeline: StatedPipeline, resize: Resize, *, is_enough: bool) -> str:
    names = {"stretch": ("fixed_shape_resizer", "height", "width")}.get(
        resize.kind, ("keep_aspect_ratio_resizer", "min_dimension", "max_dimension")
    )
    place = f"{pipeline.file.architecture_place}.image_resizer.{names[0]}"
    if resize.kind not in ("stretch", "fit"):
        return "make pictures larger with a keep_aspect_ratio_resizer, or cut them into tiles"
    text = f"{pipeline.file.write(f'{place}.{names[1]}', str(resize.height))} and `{names[2]}: {resize.width}`"
    return text if is_enough else f"{text}, which is not enough: cut the pictures into tiles, too"


RULE = SummaryRule(
    code="pipeline-input",
    family="pipeline",
    severity=SUSPECT,
    scope="class",
    problem="its boxes do not fit the model's input, strides and anchors",
    fix="make the input larger in the image_resizer, or cut the pictures into tiles",
    doc=__doc__,
    thresholds=(
        Threshold("max_below", 0.25, "of the boxes", 0.001, 1.0, "from this share on too many are below the stride"),
        Threshold("max_unreached", 0.25, "of the boxes", 0.001, 1.0, "from this share on the anchors do not fit"),
        Threshold("min_boxes", 10, "boxes", 1, 1e9, "fewer are not judged"),
    ),
    check=_check,
)
