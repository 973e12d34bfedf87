"""Threads that prepare the next items while the current one is used."""

import os
import sys
from threading import get_native_id

import pytest

from detray.ahead import YIELDS, ahead


def test_results_come_in_order_and_errors_where_they_were_due() -> None:
    def half(number: int) -> float:
        if number == 5:
            raise ValueError("five")
        return number / 2

    found = ahead(half, range(8), threads=3, depth=4)
    assert [next(found) for _ in range(5)] == [0.0, 0.5, 1.0, 1.5, 2.0]
    with pytest.raises(ValueError, match="five"):
        next(found)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_threads_that_yield_are_nicer_than_who_waits_for_them() -> None:
    def nice(item: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, get_native_id())

    own = os.getpriority(os.PRIO_PROCESS, get_native_id())
    assert set(ahead(nice, range(9), threads=2, depth=2, yields=True)) == {min(own + YIELDS, 19)}
    assert set(ahead(nice, range(9), threads=2, depth=2)) == {own}
