"""The outlines of the drawn classes: what tells one class from another is its outline alone."""

import numpy as np

from detray.arrays import Floats

CLASSES = ("square", "triangle", "ring", "cross", "target")
"""Names in the order of their category_id, which starts at 1."""

RARE = "target"
"""The class of few training examples: a ring with a dot in it."""

_CROSS_ARM = 0.36
_RING_HOLE = 0.58
_TARGET_HOLE, _TARGET_DOT = 0.74, 0.42


def _regular(corners: int, radius: float = 1.0, turned: float = 0.0) -> Floats:
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) - np.pi / 2 + turned
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _cross() -> Floats:
    a = _CROSS_ARM
    quarter = np.array([[a, -1], [a, -a], [1, -a]])
    turns = [np.linalg.matrix_power(np.array([[0, -1], [1, 0]]), k) for k in range(4)]
    return np.concatenate([quarter @ turn.T for turn in turns])


_CONTOURS: dict[str, list[Floats]] = {
    "square": [_regular(4, turned=np.pi / 4)],
    "triangle": [_regular(3)],
    "ring": [_regular(48), _regular(48, _RING_HOLE)],
    "cross": [_cross()],
    "target": [_regular(48), _regular(48, _TARGET_HOLE), _regular(24, _TARGET_DOT)],
}


def contours(name: str, centre: tuple[float, float], radius: float, angle: float, stretch: float) -> list[Floats]:
    """The closed contours of a shape, each ``[n, 2]`` of x, y in pixels; the inside is even-odd.

    Args:
        name: one of `CLASSES`.
        centre: x, y in pixels.
        radius: of the circle that the shape is inscribed in, before stretching, in pixels.
        angle: turn in radians.
        stretch: factor on the shape's own x axis, the inverse on y.
    """
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = radius * np.array([stretch, 1 / stretch])
    return [(points * scale) @ turn.T + centre for points in _CONTOURS[name]]


def area(outline: list[Floats]) -> float:
    """The even-odd area of contours of which each lies within the one before, in px²."""
    return sum((-1) ** depth * _polygon_area(points) for depth, points in enumerate(outline))


def _polygon_area(points: Floats) -> float:
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
