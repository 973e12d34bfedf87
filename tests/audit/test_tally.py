"""Tallies: what is counted, and that it adds up however it is cut."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.audit import tally
from detray.audit.tally import TALLY, Tally
from detray.audit.view import NO_ID
from detray.flow.exchange import divide

INT64 = st.integers(-(2**63), 2**63 - 1)
KEYS = st.one_of(st.integers(-3, 3), st.integers(-100_000, 100_000), INT64)
THINGS = st.lists(st.tuples(st.integers(0, 4), KEYS, st.integers(1, 5)), max_size=60)
IDS = np.array([NO_ID, -7, 0, 3, 2**62])


def _counted(things: list[tuple[int, int, int]], measure: str = "size") -> pa.Table:
    codes, keys, n = (np.array([one[place] for one in things], np.int64) for place in range(3))
    return tally.count(measure, IDS, codes, keys, n)


def _pairs(table: pa.Table, measure: str = "size") -> dict[tuple[int, int], int]:
    ids, keys, n = Tally(table).all_of(measure)
    found = dict(zip(zip(ids.tolist(), keys.tolist(), strict=True), n.tolist(), strict=True))
    assert len(found) == len(ids)  # each pair once
    return found


@settings(deadline=None)
@given(THINGS)
def test_each_pair_of_class_and_key_is_counted(things: list[tuple[int, int, int]]) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for code, key, n in things:
        expected[int(IDS[code]), key] += n
    table = _counted(things)
    assert table.schema.equals(TALLY)
    assert _pairs(table) == dict(expected)
    assert _pairs(tally.count("size", IDS, *_columns(things))) == dict(Counter((int(IDS[c]), k) for c, k, _ in things))


def _columns(things: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    codes, keys = (np.array([one[place] for one in things], np.int64) for place in range(2))
    return codes, keys


@settings(deadline=None)
@given(THINGS, st.integers(0, 60), st.integers(0, 60), st.integers(1, 4))
def test_parts_add_up_to_the_whole_however_they_are_cut(
    things: list[tuple[int, int, int]], first: int, second: int, buckets: int
) -> None:
    low, high = sorted((first, second))
    parts = [pa.concat_tables([_counted(part), _counted(part, "aspect")]) for part in _cut(things, low, high)]
    whole = tally.add([pa.concat_tables([_counted(things, "aspect"), _counted(things)])])
    assert tally.add(parts[::-1]).equals(whole)
    divided = [divide(part, "category_id", buckets) for part in parts]
    merged = pa.concat_tables([tally.add(bucket) for bucket in zip(*divided, strict=True)])
    assert _pairs(merged) == _pairs(whole)
    assert _pairs(merged, "aspect") == _pairs(whole, "aspect")


def _cut(things: list[tuple[int, int, int]], low: int, high: int) -> list[list[tuple[int, int, int]]]:
    return [things[:low], things[low:high], things[high:]]


@settings(deadline=None)
@given(THINGS)
def test_the_sum_over_classes(things: list[tuple[int, int, int]]) -> None:
    expected: Counter[int] = Counter()
    for _, key, n in things:
        expected[key] += n
    found = _pairs(tally.without_class(_counted(things), "@a"), "size@a")
    assert found == {(NO_ID, key): n for key, n in expected.items()}


def test_reading_access() -> None:
    read = Tally(pa.concat_tables([_counted([(3, 9, 1), (3, -2, 4), (1, 9, 2)]), _counted([(0, 1, 1)], "images")]))
    keys, n = read.histogram("size", 3)
    assert (keys.tolist(), n.tolist()) == ([-2, 9], [4, 1])
    assert read.histogram("size", 5)[0].tolist() == read.histogram("nothing")[0].tolist() == []
    assert read.per_class("size") == {-7: 2, 3: 5}
    assert (read.total("size"), read.total("images"), read.total("nothing")) == (7, 1, 0)
    assert read.measures == ["images", "size"]


@pytest.mark.parametrize("n", [None, [2, 3, 4]])
def test_things_without_a_key_are_counted_under_nought(n: list[int] | None) -> None:
    found = tally.count("boxes", np.array([5, 6]), np.array([1, 0, 1]), n=None if n is None else np.array(n))
    assert _pairs(found, "boxes") == ({(5, 0): 1, (6, 0): 2} if n is None else {(5, 0): 3, (6, 0): 6})
