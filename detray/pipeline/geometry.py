"""What a model sees: how its resizer scales pictures, its finest stride, and its anchors.

Source: object_detection/builders/image_resizer_builder.py, core/preprocessor.py and anchor_generators/.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from detray.arrays import Floats
from detray.pipeline.model import (
    AnchorGenerator,
    CenterNet,
    FasterRcnn,
    GridAnchorGenerator,
    ImageResizer,
    MultiscaleAnchorGenerator,
    Ssd,
    SsdAnchorGenerator,
)

CENTER_NET_STRIDE = 4
SSD_STRIDE = 16
"""Of the first of SSD's layers that predicts boxes, without a pyramid."""
MAX_VALUES = 64
"""Scales, aspects and layers that are looked at: a hostile file states any number."""
MAX_SIDE = 1e6
LOWEST_LAYER = ((0.1, 1.0), (None, 2.0), (None, 0.5))
"""Scales (None: the layer's own) and aspects of SSD's reduced lowest layer."""


@dataclass(frozen=True)
class Resize:
    """How a resizer scales a picture.

    Attributes:
        kind: stretch to ``width`` x ``height``; fit: the shorter side becomes ``height``, unless the longer would
            exceed ``width``; at_most, at_least: the longer side is brought down, or the shorter up, to ``width``;
            none.
        width, height: px.
    """

    kind: Literal["stretch", "fit", "at_most", "at_least", "none"]
    width: int = 0
    height: int = 0

    def factors(self, widths: Floats, heights: Floats) -> tuple[Floats, Floats]:
        """What the width and the height of pictures of these sizes, px, are multiplied by, ``[n]`` each."""
        if self.kind == "stretch":
            return self.width / widths, self.height / heights
        shorter, longer = np.minimum(widths, heights), np.maximum(widths, heights)
        if self.kind == "fit":
            factor = np.minimum(self.height / shorter, self.width / longer)
        elif self.kind == "at_most":
            factor = np.minimum(self.width / longer, 1.0)
        elif self.kind == "at_least":
            factor = np.maximum(self.width / shorter, 1.0)
        else:
            factor = np.ones_like(widths)
        return factor, factor

    def scaled(self, factor: float) -> "Resize":
        """The same for inputs ``factor`` times as large."""
        return replace(self, width=round(self.width * factor), height=round(self.height * factor))

    @property
    def shorter_side(self) -> int:
        """Of the model's input, px; 0 where pictures keep their size."""
        return min(self.width, self.height) if self.kind in ("stretch", "fit") else self.width

    def __str__(self) -> str:
        words = {
            "stretch": f"{self.width} x {self.height}",
            "fit": f"{self.height} to {self.width} px",
            "at_most": f"at most {self.width} px",
            "at_least": f"at least {self.width} px",
        }
        return words.get(self.kind, "the pictures' own size")


def resize_of(resizer: ImageResizer) -> Resize | None:
    """How ``resizer`` scales; None where it states no way that scales by the picture's size alone."""
    if (fixed := resizer.fixed_shape_resizer) is not None:
        found = Resize("stretch", fixed.width, fixed.height)
    elif (kept := resizer.keep_aspect_ratio_resizer) is not None:
        found = Resize("fit", kept.max_dimension, kept.min_dimension)
    elif (limit := resizer.conditional_shape_resizer) is not None and limit.condition != "INVALID":
        found = Resize("at_most" if limit.condition == "GREATER" else "at_least", limit.size_threshold)
    elif resizer.identity_resizer is not None or resizer.pad_to_multiple_resizer is not None:
        return Resize("none")
    else:
        return None
    return found if found.shorter_side > 0 else None


def anchors_of(architecture: Ssd | FasterRcnn | CenterNet, resize: Resize) -> Floats:
    """Widths and heights of all anchors at the input, px ``[a, 2]``; none where the model has none."""
    if isinstance(architecture, CenterNet):
        return np.zeros((0, 2))
    if isinstance(architecture, Ssd):
        return _anchors(architecture.anchor_generator, resize)
    return _anchors(architecture.first_stage_anchor_generator, resize)


def _anchors(generator: AnchorGenerator, resize: Resize) -> Floats:
    if (multiscale := generator.multiscale_anchor_generator) is not None:
        return multiscale_anchors(multiscale)
    if (grid := generator.grid_anchor_generator) is not None:
        return _grid(grid)
    if (ssd := generator.ssd_anchor_generator) is not None:
        return _ssd(ssd, resize)
    flexible = generator.flexible_grid_anchor_generator
    layers = flexible.anchor_grid[:MAX_VALUES] if flexible is not None else ()
    pairs = [pair for one in layers for pair in zip(one.base_sizes, one.aspect_ratios, strict=False)]
    return _sides(pairs[: MAX_VALUES**2])


def multiscale_anchors(generator: MultiscaleAnchorGenerator) -> Floats:
    """The anchors of a pyramid, px ``[a, 2]``."""
    levels = range(max(generator.min_level, 0), min(generator.max_level, 12) + 1)
    octave = [2 ** (step / generator.scales_per_octave) for step in range(min(generator.scales_per_octave, 16))]
    return _sides(
        [
            (2**level * generator.anchor_scale * scale, aspect)
            for level in levels
            for scale in octave
            for aspect in generator.aspect_ratios[:MAX_VALUES]
        ]
    )


def _grid(generator: GridAnchorGenerator) -> Floats:
    few = generator.scales[:MAX_VALUES]
    unit = _sides([(scale, aspect) for scale in few for aspect in generator.aspect_ratios[:MAX_VALUES]])
    return unit * [generator.width, generator.height]


def _ssd(generator: SsdAnchorGenerator, resize: Resize) -> Floats:
    scales = list(generator.scales[:MAX_VALUES])
    if not scales:
        scales = np.linspace(
            generator.min_scale, generator.max_scale, min(max(generator.num_layers, 1), MAX_VALUES)
        ).tolist()
    specs: list[tuple[float, float]] = []
    for layer, (scale, after) in enumerate(pairwise([*scales, 1.0])):
        if layer == 0 and generator.reduce_boxes_in_lowest_layer:
            specs += [(scale if own is None else own, aspect) for own, aspect in LOWEST_LAYER]
            continue
        specs += [(scale, aspect) for aspect in generator.aspect_ratios[:MAX_VALUES]]
        if generator.interpolated_scale_aspect_ratio > 0:
            specs.append((float(np.sqrt(max(scale * after, 0.0))), generator.interpolated_scale_aspect_ratio))
    base = np.array([generator.base_anchor_width, generator.base_anchor_height])
    return _sides(specs) * base * resize.shorter_side


def _sides(specs: list[tuple[float, float]]) -> Floats:
    """Widths and heights of anchors of these sizes and aspects (width over height), ``[a, 2]``."""
    usable = [(size, aspect) for size, aspect in specs if 0 < size < MAX_SIDE and 0 < aspect < MAX_SIDE]
    sizes = np.array(usable, dtype=np.float64).reshape(-1, 2)
    root = np.sqrt(sizes[:, 1])
    return np.stack([sizes[:, 0] * root, sizes[:, 0] / root], axis=1)


def finest_stride(architecture: Ssd | FasterRcnn | CenterNet) -> int:
    """Pixels at the input from one place that predicts boxes to the next, in the finest layer."""
    if isinstance(architecture, CenterNet):
        return CENTER_NET_STRIDE
    if isinstance(architecture, FasterRcnn):
        pyramid = architecture.feature_extractor.fpn
        return _of_level(pyramid.min_level) if pyramid else architecture.feature_extractor.first_stage_features_stride
    extractor, generator = architecture.feature_extractor, architecture.anchor_generator
    if generator.multiscale_anchor_generator is not None:
        return _of_level(generator.multiscale_anchor_generator.min_level)
    if generator.ssd_anchor_generator is not None and generator.ssd_anchor_generator.height_stride:
        return min(generator.ssd_anchor_generator.height_stride)
    levels = extractor.fpn or extractor.bifpn
    return _of_level(levels.min_level) if levels is not None else SSD_STRIDE


def _of_level(level: int) -> int:
    return 1 << min(max(level, 0), 12)
