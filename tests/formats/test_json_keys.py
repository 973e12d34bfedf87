"""Keys that stand twice: found wherever colons do not add up, and nowhere else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.formats.json.keys import may_repeat, repeated
from detray.formats.json.scan import elements

PLAIN = '{"id": 1, "bbox": [1, 2, 3, 4], "note": "x"}'
TWICE = '{"id": 1, "bbox": [1, 2, 3, 4], "id": 7, "note": "x"}'


def found(rows: list[str]) -> dict[int, dict[str, list[str]]]:
    """By number of the row what `repeated` says; `may_repeat` has to agree."""
    inside = ", ".join(rows).encode()
    spans = elements(inside)
    assert spans is not None
    said = dict(repeated(inside, spans))
    assert may_repeat(b"[%b]" % inside, len(rows)) == bool(said)
    return said


@pytest.mark.parametrize("place", [0, 3, 9])
def test_a_repeated_key_is_found_with_its_values(place: int) -> None:
    rows = [PLAIN] * 10
    rows[place] = TWICE
    assert found(rows) == {place: {"id": ["1", "7"]}}


@pytest.mark.parametrize(
    "row",
    [
        r'{"id": 1, "bbox": [1, 2, 3, 4], "\u0069d": 2, "note": "x"}',  # the same key, written otherwise
        '{"id": 1,\n  "id": [{"a": 1}, {"a": 2}]}',
        '{"id": 1, "id": NaN, "a:b": {"c": ":"}}',
    ],
)
def test_however_it_is_written(row: str) -> None:
    inside = ",".join([PLAIN, row, PLAIN]).encode()
    spans = elements(inside)
    assert spans is not None
    assert [index for index, _ in repeated(inside, spans)] == [1]
    if "NaN" not in row:
        assert may_repeat(b"[%b]" % inside, 3)


def test_every_row_repeats_the_key() -> None:
    assert set(found([TWICE] * 5)) == set(range(5))


VALUES = st.recursive(
    st.integers(-9, 9) | st.text(':,{}["\\ é', max_size=4) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:{", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text("ab:,{ é", max_size=2), VALUES, max_size=4), max_size=8),
    st.sampled_from([None, 2]),
)
def test_no_other_row_is_accused(rows: list[dict[str, Any]], indent: int | None) -> None:
    assert found([json.dumps(row, indent=indent) for row in rows]) == {}


@given(
    st.lists(st.dictionaries(st.text("abcd", min_size=1, max_size=2), VALUES, max_size=4), min_size=1, max_size=8),
    st.data(),
)
def test_a_key_that_is_written_twice_is_found_by_row(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    rows[place] = {"key": 1} | rows[place]
    texts = [json.dumps(row) for row in rows]
    texts[place] = texts[place][:-1] + ', "key": 2}'
    inside = ",".join(texts).encode()
    spans = elements(inside)
    assert spans is not None
    assert dict(repeated(inside, spans)) == {place: {"key": ["1", "2"]}}
