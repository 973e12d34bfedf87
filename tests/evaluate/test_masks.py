"""Masks: run lengths, and hostile input."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask

from detray import masks
from detray.evaluate.kernel import masks as mask_overlaps
from detray.evaluate.kernel.masks import areas, mask_pairs
from detray.masks import read_mask, run_lengths


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_run_lengths_are_those_of_pycocotools(height: int, width: int, seed: int) -> None:
    picture = np.asfortranarray(np.random.default_rng(seed).random((height, width)) < 0.3, np.uint8)
    code = mask.encode(picture)
    flat = picture.flatten(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    expected = np.diff(np.concatenate([[0], changes, [flat.size]]))
    if flat[0]:
        expected = np.concatenate([[0], expected])
    assert run_lengths(code["counts"].decode()).tolist() == expected.tolist()
    text = json.dumps({"size": [height, width], "counts": code["counts"].decode()})
    assert read_mask(text, np.nan, np.nan) == {"size": [height, width], "counts": code["counts"]}


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        "",
        "[]",
        "[[1, 2, 3, 4]]",
        "[[0, 0, 1e9, 0, 1e9, 1e9]]",
        "[[0, 0, NaN, 0, 1, 1]]",
        '{"size": [4, 4], "counts": [3, 4]}',
        '{"size": [4, 4], "counts": [-4, 20]}',
        '{"size": [4, 4], "counts": "``"}',
        '{"size": [4, 4], "counts": "34"}',
        '{"size": [4, 4], "counts": ""}',
        '{"size": [4000000, 4000000], "counts": "0"}',
        '{"size": [4, 4], "counts": "oooooooooooooo0"}',
        '{"size": [32768, 32768], "counts": [1073741824]}',
        '{"size": [4, 4], "counts": "PPPPPP0"}',
        '{"counts": "0"}',
        "[[0, 0, 1, 1, 0, 1], []]",
        "[[0, 0, 1, 1, 0]]",
        "{",
    ],
)
def test_what_is_no_mask_is_none(segmentation: str | None) -> None:
    assert read_mask(segmentation, 10, 10) is None


def test_a_polygon_needs_the_size_of_its_picture() -> None:
    assert read_mask("[[0, 0, 5, 0, 5, 5]]", np.nan, 10) is None
    assert read_mask("[[0, 0, 5, 0, 5, 5]]", 10, 10)["size"] == [10, 10]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([0, 0, 1, 15], [1, 15]), ([4, 0, 0, 0, 2, 10, 0], [6, 10]), ([0, 0, 0, 16], [0, 16]), ([16, 0], [16])],
)
def test_runs_of_no_length_are_no_end(counts: list[int], expected: list[int]) -> None:
    code = read_mask(json.dumps({"size": [4, 4], "counts": counts}), np.nan, np.nan)
    assert code == mask.frPyObjects({"size": [4, 4], "counts": expected}, 4, 4)
    # pycocotools writes the lengths that it is given, be they 0
    given = mask.frPyObjects({"size": [4, 4], "counts": counts}, 4, 4)["counts"].decode()
    assert read_mask(json.dumps({"size": [4, 4], "counts": given}), np.nan, np.nan) == code


def written(length: int) -> str:
    """A number as the compressed text has it."""
    text, more = "", True
    while more:
        digit, length = length & 0x1F, length >> 5
        more = length != (-1 if digit & 0x10 else 0)
        text += chr(48 + digit + 0x20 * more)
    return text


def test_a_sum_that_comes_round_in_64_bits_is_none_of_a_mask() -> None:
    # every second run is 1 long, the others climb by what six characters hold, stay there, and climb down
    step, steps, pixels = 2**29 - 2**20, 90_000, 256 * 256
    slope = [1 + step * place for place in range(steps + 1)]
    rest = 2**64 + pixels - 2 * sum(slope) - 2 * len(slope)
    n = rest // (slope[-1] + 1)
    height, longer = divmod(rest - n, n)
    climb = slope + [height + 1] * longer + [height] * (n - longer) + slope[::-1]
    lengths = [length for pair in zip([1] * len(climb), climb, strict=True) for length in pair]
    assert min(lengths) == 1
    assert sum(lengths) == 2**64 + pixels
    steps_of = lengths[:3] + [length - before for length, before in zip(lengths[3:], lengths[1:], strict=False)]
    words = {length: written(length) for length in set(steps_of)}
    text = json.dumps({"size": [256, 256], "counts": "".join(words[length] for length in steps_of)})
    assert len(text) < masks.MAX_TEXT
    assert max(map(len, words.values())) <= 6
    assert read_mask(text, np.nan, np.nan) is None


SIDE = 12
CORNERS = st.one_of(
    st.integers(-2 * SIDE, 2 * SIDE), st.floats(-3.0 * SIDE, 3.0 * SIDE), st.sampled_from([1e9, -1e300])
)


@st.composite
def run_length_texts(draw: st.DrawFn) -> str:
    """Run lengths, as numbers or as text, of which some are right and some were changed."""
    picture = draw(st.lists(st.booleans(), min_size=SIDE * SIDE, max_size=SIDE * SIDE))
    code = mask.encode(np.asfortranarray(np.reshape(picture, (SIDE, SIDE)), np.uint8))["counts"].decode()
    counts: str | list[int] = code if draw(st.booleans()) else run_lengths(code).tolist()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(counts)))
        if isinstance(counts, str):
            new = draw(st.text(st.characters(min_codepoint=47, max_codepoint=112), max_size=8))
            counts = counts[:place] + new + counts[place + draw(st.integers(0, 2)) :]
        else:
            added = draw(st.lists(st.sampled_from([-1, 0, 1, SIDE, 2**31, 2**32 - 1, 2**32]), max_size=3))
            counts = counts[:place] + added + counts[place + draw(st.integers(0, 2)) :]
    side = draw(st.sampled_from([SIDE, SIDE, SIDE, 0, 1, 2 * SIDE, masks.MAX_SIDE]))
    return json.dumps({"size": [SIDE, side], "counts": counts})


POLYGON_TEXTS = st.lists(st.lists(CORNERS, max_size=30), max_size=5).map(json.dumps)


@given(st.lists(run_length_texts() | POLYGON_TEXTS, min_size=1, max_size=8), st.booleans())
def test_whatever_is_read_can_be_compared(texts: list[str], crowd: bool) -> None:
    found = [code for text in texts if (code := read_mask(text, SIDE, SIDE))]
    pictures = [mask.decode(code).astype(bool) for code in found]
    assert areas(found).tolist() == [picture.sum() for picture in pictures]
    image, n = np.zeros(len(found), np.int64), len(found)
    pairs = mask_pairs(image, found, image, found, np.full(n, crowd))
    ious = np.zeros((n, n))
    ious[pairs.detection, pairs.box] = pairs.iou
    for a, one in enumerate(pictures):
        for b, other in enumerate(pictures):
            if one.shape == other.shape and (one & other).any():
                union = one.sum() if crowd else (one | other).sum()
                assert ious[a, b] == pytest.approx((one & other).sum() / union)
            else:
                assert ious[a, b] == 0


@given(st.lists(st.lists(st.integers(0, SIDE), min_size=6, max_size=8), min_size=1, max_size=20))
def test_polygons_are_merged_as_if_all_at_once(shape: list[list[int]]) -> None:
    at_once = mask.merge(mask.frPyObjects(shape, SIDE, SIDE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "MERGED", 2)
        assert read_mask(json.dumps(shape), SIDE, SIDE) == at_once


def test_masks_compared_some_at_a_time_are_compared_alike() -> None:
    rng = np.random.default_rng(0)
    shapes = [[rng.integers(0, SIDE, 8).tolist()] for _ in range(60)]
    found = [code for shape in shapes if (code := read_mask(json.dumps(shape), SIDE, SIDE))]
    image, crowd = np.arange(len(found)) % 3, rng.random(len(found)) < 0.2
    expected = mask_pairs(image, found, image, found, crowd)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_overlaps, "TABLE", 50)
        ours = mask_pairs(image, found, image, found, crowd)
    for name in ("detection", "box", "iou"):
        assert np.array_equal(getattr(ours, name), getattr(expected, name))


def wanders(n: int, side: int) -> str:
    return json.dumps([np.random.default_rng(0).integers(0, side, 2 * n).tolist()])


@pytest.mark.parametrize(
    ("text", "side"),
    [
        (wanders(100_000, 65_536), 65_536),
        (wanders(100_000, 20_000), 20_000),
        (wanders(1_000, 20_000), 20_000),
        (json.dumps([[0, 0, 65_536, 0, 65_536, 8_192]] * 1_000), 8_192),
        (json.dumps({"size": [1_448, 1_448], "counts": "1" * 1_448**2}), 1_448),
        (json.dumps({"size": [1_024, 600], "counts": [1] * 1_024 * 600}), 1_024),
    ],
)
def test_a_text_costs_neither_gigabytes_nor_seconds(text: str, side: int) -> None:
    tracemalloc.start()
    start = time.process_time()
    code = read_mask(text, side, side)
    assert time.process_time() - start < 5
    assert tracemalloc.get_traced_memory()[1] < 256 << 20
    tracemalloc.stop()
    assert code is None or len(code["counts"]) < 4 << 20
