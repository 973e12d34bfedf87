"""The time left is from the work that is left, and honest while one waits."""

import pytest

from detray.flow.pace import WINDOW, Pace


def test_without_two_marks_nothing_is_known() -> None:
    pace = Pace()
    assert pace.left(10, 5.0) is None
    pace.mark(3, 1.0)
    assert pace.left(10, 5.0) is None
    pace.mark(3, 2.0)
    assert pace.left(10, 5.0) is None


def test_it_counts_down_while_a_unit_is_done_and_goes_up_where_it_takes_longer() -> None:
    pace = Pace()
    for done in range(11):
        pace.mark(done, 10.0 * done)
    assert [pace.left(9, now) for now in (100.0, 104.0, 110.0)] == [90.0, 86.0, 80.0]
    late = [pace.left(9, now) for now in (130.0, 160.0, 220.0)]
    assert late == sorted(late)
    assert late[0] > 80.0


def test_it_is_of_what_was_done_last() -> None:
    pace = Pace()
    clock = 0.0
    for done in range(100):
        clock += 60.0 if done < 50 else 1.0
        pace.mark(done, clock)
    assert pace.left(10, clock) == pytest.approx(10.0)
    assert WINDOW < 50


def test_it_is_never_negative() -> None:
    pace = Pace()
    pace.mark(0, 0.0)
    pace.mark(1, 10.0)
    assert pace.left(0, 15.0) == 0.0
