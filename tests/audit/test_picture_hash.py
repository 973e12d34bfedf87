"""The perceptual hash: what changes it and what does not."""

import io

import numpy as np
import pytest
from PIL import Image

from detray.audit.pictures import difference_hash, properties
from detray.pictures import decode_luma


def _scene(seed: int, height: int = 240, width: int = 320) -> Image.Image:
    """A photograph-like picture: blobs of light over a gradient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    pixels = 60 + 60 * x * rng.uniform(-1, 1)
    for _ in range(12):
        at = rng.uniform(0, [1, width / height])
        pixels = pixels + rng.uniform(-70, 70) * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 0.03)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)).convert("RGB")


def _hash(image: Image.Image, kind: str = "PNG", **options: object) -> int:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return difference_hash(decode_luma(stream.getvalue())[0])


def _distance(a: int, b: int) -> int:
    return ((a ^ b) & (2**64 - 1)).bit_count()


def test_the_bits_are_brighter_to_the_right() -> None:
    luma = np.zeros((16, 18), np.uint8)
    luma[:2, 2:] = 200  # block row 0: dark, then bright
    assert difference_hash(luma) == -(2**63)
    assert difference_hash(np.tile(np.arange(18, dtype=np.uint8), (16, 1))) == -1
    assert difference_hash(np.zeros((16, 18), np.uint8)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 9), (7, 1000), (1000, 7)])
def test_any_shape_has_a_hash(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert -(2**63) <= difference_hash(luma) < 2**63


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_near_and_others_far(seed: int) -> None:
    image, other = _scene(seed), _scene(seed + 100)
    own = _hash(image)
    assert _distance(own, _hash(image, "JPEG", quality=60)) <= 3
    assert _distance(own, _hash(image.resize((160, 120)))) <= 3
    assert _distance(own, _hash(image.point(lambda value: int(value * 0.9)))) <= 3
    assert _distance(own, _hash(other)) > 12


def test_properties_are_those_of_the_luma() -> None:
    luma = np.array([[0, 100], [100, 200]], np.uint8)
    brightness, contrast, _ = properties(luma)
    assert brightness == pytest.approx(100)
    assert contrast == pytest.approx(np.std(luma))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert properties(noise)[2] > 100 * properties(np.tile(np.arange(64, dtype=np.uint8), (64, 1)))[2]
