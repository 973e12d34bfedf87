"""One drawn picture: textured, shaded shapes that overlap, on a cluttered background.

Boxes are exact: they bound the visible part of a shape (what later shapes and the picture's edge
leave of it), measured on a mask of `FINE` by `FINE` samples a pixel.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from detray.arrays import Flags, Floats, Floats32, Pixels
from detray.demo import shapes

FINE = 4
"""Samples a pixel and axis of the masks: boxes are exact to a quarter of a pixel."""

MIN_VISIBLE = 0.8
"""Share of a shape's area that stays visible at least; a placing that hides more is tried again."""

_SHIFT = 4  # cv2 takes fixed-point coordinates with this many fractional bits
_TRIES = 40


@dataclass(frozen=True)
class Drawing:
    """A picture ``[height, width, 3]`` uint8 RGB and what stands in it.

    ``names`` are the shapes' classes and ``boxes`` ``[n, 4]`` their x, y, width, height in pixels.
    ``front`` ``[height * FINE, width * FINE]`` tells which shape each sample shows: 0 the
    background, k the k-th shape.
    """

    picture: Pixels
    names: list[str]
    boxes: Floats
    front: Pixels


def draw(names: list[str], width: int, height: int, rng: np.random.Generator) -> Drawing:
    """A scene with one shape of each of ``names``, the last in front of the others.

    A shape that finds no place where enough of everything stays visible is left out.
    """
    picture = _background(width, height, rng)
    front = np.zeros((height * FINE, width * FINE), np.uint8)
    full_areas: list[float] = []  # in samples, the part beyond the picture's edge included
    placed: list[str] = []
    for name in names:
        mask = _place(name, front, full_areas, rng)
        if mask is None:
            continue
        placed.append(name)
        front[mask > 0] = len(placed)
        picture = _paint(picture, mask, rng)
    boxes = [_bounds(front == index) for index in range(1, len(placed) + 1)]
    return Drawing(_camera(picture, rng), placed, np.array(boxes, np.float64).reshape(-1, 4), front)


def _place(name: str, front: Pixels, full_areas: list[float], rng: np.random.Generator) -> Pixels | None:
    """The samples that a shape at a random place covers; its whole area is added to ``full_areas``."""
    high, wide = front.shape
    for _ in range(_TRIES):
        radius = FINE * np.exp(rng.uniform(np.log(12), np.log(28)))
        centre = (rng.uniform(0.8 * radius, wide - 0.8 * radius), rng.uniform(0.8 * radius, high - 0.8 * radius))
        outline = shapes.contours(name, centre, radius, rng.uniform(-0.3, 0.3), np.exp(rng.uniform(-0.15, 0.15)))
        mask = np.zeros_like(front)
        cv2.fillPoly(mask, [np.round(c * (1 << _SHIFT)).astype(np.int32) for c in outline], 255, shift=_SHIFT)
        full = shapes.area(outline)
        left = np.bincount(front[mask == 0], minlength=len(full_areas) + 1)[1:]
        if np.count_nonzero(mask) >= MIN_VISIBLE * full and (left >= MIN_VISIBLE * np.array(full_areas)).all():
            full_areas.append(full)
            return mask
    return None


def _bounds(visible: Flags) -> tuple[float, float, float, float]:
    """x, y, width, height in pixels of a mask of samples."""
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    left, top = columns[0] / FINE, rows[0] / FINE
    return left, top, (columns[-1] + 1) / FINE - left, (rows[-1] + 1) / FINE - top


def _paint(picture: Floats32, mask: Pixels, rng: np.random.Generator) -> Floats32:
    """``picture`` with the shape of ``mask`` on it: its shadow, then its colour, texture and shading."""
    height, width = picture.shape[:2]
    cover = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)[..., None].astype(np.float32) / 255
    drop = np.roll(cover[..., 0], rng.integers(1, 4, 2), axis=(0, 1))
    shadow = cv2.GaussianBlur(drop, (0, 0), 2.0)[..., None]
    picture = picture * (1 - rng.uniform(0.1, 0.4) * shadow)
    behind = (picture * cover).sum(axis=(0, 1)) / cover.sum()
    surface = _colour_unlike(behind, rng) * (1 + _texture(width, height, rng) + _shading(width, height, rng))
    return picture * (1 - cover) + surface.clip(0, 255) * cover


def _colour_unlike(behind: Floats32, rng: np.random.Generator) -> Floats32:
    """A random RGB colour that stands out from ``behind``; colour says nothing about the class."""
    candidates = rng.uniform(20, 235, (8, 3)).astype(np.float32)
    distances = np.linalg.norm(candidates - behind, axis=1)
    return candidates[np.argmax(distances > 80)] if (distances > 80).any() else candidates[distances.argmax()]


def _texture(width: int, height: int, rng: np.random.Generator) -> Floats32:
    """A relative brightness pattern ``[height, width, 1]``: plain, stripes, checks or speckle."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    kind = rng.integers(4)
    strength = rng.uniform(0.05, 0.18)
    if kind == 0:
        return np.zeros((height, width, 1), np.float32)
    if kind == 3:
        noise = rng.standard_normal((height // 2 + 1, width // 2 + 1)).astype(np.float32)
        return (0.6 * strength * cv2.resize(noise, (width, height)))[..., None]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 9)
    waves = np.sign(np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period))
    if kind == 2:
        waves = waves * np.sign(np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period))
    return (strength * cv2.GaussianBlur(waves.astype(np.float32), (0, 0), 0.7))[..., None]


def _shading(width: int, height: int, rng: np.random.Generator) -> Floats32:
    """Light from one side: a relative brightness ramp ``[height, width, 1]``."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    return (rng.uniform(0, 0.6) * ramp)[..., None].astype(np.float32)


def _background(width: int, height: int, rng: np.random.Generator) -> Floats32:
    """Uneven colour, soft blotches and strokes that belong to no class."""
    coarse = rng.uniform(-22, 22, (5, 5, 3)).astype(np.float32)
    base = rng.uniform(70, 190) + rng.uniform(-30, 30, 3).astype(np.float32)
    canvas = base + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = canvas * (1 + _shading(width, height, rng))
    for _ in range(rng.integers(2, 6)):
        blot = np.zeros((height, width), np.float32)
        axes = (int(rng.integers(4, 30)), int(rng.integers(3, 10)))
        cv2.ellipse(blot, _point(width, height, rng), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        blot = cv2.GaussianBlur(blot, (0, 0), float(rng.uniform(1, 4)))[..., None]
        canvas += blot * rng.uniform(-45, 45, 3).astype(np.float32)
    for _ in range(rng.integers(2, 6)):
        stroke = np.zeros((height, width), np.uint8)
        ends = _point(width, height, rng), _point(width, height, rng)
        cv2.line(stroke, *ends, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
        canvas += (stroke[..., None] / np.float32(255)) * rng.uniform(-70, 70, 3).astype(np.float32)
    return canvas.clip(0, 255).astype(np.float32)


def _point(width: int, height: int, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(width)), int(rng.integers(height))


def _camera(picture: Floats32, rng: np.random.Generator) -> Pixels:
    """What a camera adds: a little blur, and noise."""
    blurred = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 0.8)))
    noise = rng.standard_normal(picture.shape).astype(np.float32) * rng.uniform(2, 6)
    return (blurred + noise).clip(0, 255).astype(np.uint8)
