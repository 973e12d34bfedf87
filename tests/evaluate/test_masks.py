"""Masks: run lengths, and hostile input."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask

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
        '{"counts": "0"}',
        "{",
    ],
)
def test_what_is_no_mask_is_none(segmentation: str | None) -> None:
    assert read_mask(segmentation, 10, 10) is None


def test_a_polygon_needs_the_size_of_its_picture() -> None:
    assert read_mask("[[0, 0, 5, 0, 5, 5]]", np.nan, 10) is None
    assert read_mask("[[0, 0, 5, 0, 5, 5]]", 10, 10)["size"] == [10, 10]
