"""The views of a picture that a detector is given, tiles and mirrored ones, and what it found in each put together.

Source: Akyon et al., "Slicing Aided Hyper Inference", ICIP 2022; boxes that a tile cuts are told apart here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Floats, Ints, Pixels
from detray.detectors.settings import NmsSettings, PredictSettings
from detray.detectors.suppress import suppress

EDGE = 0.01
"""Share of a tile's side within which a box touches its edge."""
PIECE = 0.5
"""Share of a cut box that lies in a whole one which then is the same object."""
PIECE_SCORE = 0.25
"""Share of the cut box's score that the whole one needs at least, so that noise removes no object."""


@dataclass(frozen=True)
class View:
    """A part of a picture, px, which may be mirrored; ``is_tile``: its edges may cut objects."""

    left: int
    top: int
    width: int
    height: int
    is_mirrored: bool = False

    def of(self, picture: Pixels) -> Pixels:
        """The pixels ``[height, width, 3]``."""
        part = picture[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.ascontiguousarray(part[:, ::-1] if self.is_mirrored else part)

    def in_picture(self, boxes: Floats) -> Floats:
        """Boxes ``[n, 4]`` of the view as boxes of the picture, x, y, width, height."""
        moved = boxes.copy()
        if self.is_mirrored:
            moved[:, 0] = self.width - boxes[:, 0] - boxes[:, 2]
        moved[:, :2] += (self.left, self.top)
        return moved

    def cuts(self, boxes: Floats, width: int, height: int) -> Flags:
        """Which boxes ``[n, 4]`` of a picture of this size touch an edge of the view that is none of the picture's."""
        low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
        start, size = np.array([self.left, self.top]), np.array([self.width, self.height])
        inner = (start > 0, start + size < (width, height))
        near = (low <= start + EDGE * size, high >= start + size - EDGE * size)
        return np.asarray((near[0] & inner[0]).any(axis=1) | (near[1] & inner[1]).any(axis=1))


def views_of(width: int, height: int, predict: PredictSettings) -> Iterator[View]:
    """The views of a picture of ``width`` x ``height`` px: tiles, the whole where it is asked for or no tile is
    smaller, and each of them mirrored where that is asked for."""
    whole, tiles = View(0, 0, width, height), []
    if predict.tiles is not None:
        wide, high = min(predict.tiles.width, width), min(predict.tiles.height, height)
        tiles = [
            View(left, top, wide, high)
            for top in _starts(height, high, predict.tiles.overlap)
            for left in _starts(width, wide, predict.tiles.overlap)
        ]
    if predict.tiles is None or predict.tiles.whole or not tiles:
        tiles = [whole, *(tile for tile in tiles if tile != whole)]
    for tile in tiles:
        yield tile
        if predict.flip:
            yield View(tile.left, tile.top, tile.width, tile.height, is_mirrored=True)


def _starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side: as few as overlap enough, evenly, the last one at its end."""
    step = max(1, int(tile * (1 - overlap)))
    count = 1 + -(-(side - tile) // step)
    return [round(number * (side - tile) / (count - 1)) for number in range(count)] if count > 1 else [0]


def merge(corners: Floats, scores: Floats, classes: Ints, is_cut: Flags, nms: NmsSettings, top: int) -> Ints:
    """The positions of the detections in all views of a picture that stay, best first.

    Where ``nms`` suppresses nothing all do. Else whole boxes suppress each other, across classes where ``nms`` says so;
    a cut one goes where most of it lies in a whole one that stays, or in a better cut one.

    Args:
        corners: ``[n, 4]`` in pixels of the picture.
        scores, classes: ``[n]``.
        is_cut: ``[n]``: an edge of a tile cuts it.
        nms: how much whole boxes may overlap.
        top: how many may stay.
    """
    if nms.mode == "none":
        return np.argsort(-scores, kind="stable")[:top]
    across = nms.mode == "across"
    whole, cut = np.flatnonzero(~is_cut), np.flatnonzero(is_cut)
    rows = suppress(corners[whole], scores[whole], classes[whole], iou=nms.iou, across=across, top=len(whole))
    kept = whole[rows].tolist()
    for piece in cut[np.argsort(-scores[cut], kind="stable")].tolist():
        others = np.array(kept, np.int64)
        same = others[(classes[others] == classes[piece]) | across]
        same = same[scores[same] >= PIECE_SCORE * scores[piece]]
        if not (_share_inside(corners[piece], corners[same]) > PIECE).any():
            kept.append(piece)
    found = np.array(kept, np.int64)
    return found[np.argsort(-scores[found], kind="stable")][:top]


def _share_inside(box: Floats, others: Floats) -> Floats:
    """Which share of a box lies in each of the others, corners; ``[n]``."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    area = float(np.prod(box[2:] - box[:2]))
    return np.asarray(np.prod(np.maximum(sides, 0), axis=1) / area if area > 0 else np.ones(len(others)))
