"""The time left of trainings that share places: simulated, and compared with when they ended."""

import heapq
from collections.abc import Iterator

import pytest

from detray.flow.schedule import Schedule


def simulated(runs: int, places: int, epochs: int, start: float, epoch: float) -> Iterator[tuple[float, str, int]]:
    """When each epoch ends, by the clock, from 1000 s."""
    free = [1000.0] * places
    told = []
    for number in range(runs):
        begin = heapq.heappop(free)
        told += [(begin + start + epoch * n, f"run-{number}", n) for n in range(1, epochs + 1)]
        heapq.heappush(free, begin + start + epoch * epochs)
    yield from sorted(told)


@pytest.mark.parametrize(("runs", "places"), [(1, 1), (3, 1), (3, 2), (8, 2), (5, 4)])
@pytest.mark.parametrize("start", [0.0, 50.0])
def test_the_end_is_foretold_once_epochs_are_known(runs: int, places: int, start: float) -> None:
    events = list(simulated(runs, places, epochs=11, start=start, epoch=10.0))
    names = [f"run-{n}" for n in range(runs)]
    schedule = Schedule(11, 1000.0)
    foretold = []
    for clock, name, number in events:
        schedule.mark(name, number, clock)
        left = schedule.left(names, clock)
        if left is not None:
            foretold.append(clock + left)
    assert len(foretold) >= len(events) - places
    # before all places have been seen at work fewer of them are reckoned with
    assert foretold[places - 1 :] == [pytest.approx(events[-1][0])] * len(foretold[places - 1 :])


def test_while_one_waits_it_counts_down_to_what_is_sure_to_come() -> None:
    schedule = Schedule(5, 0.0)
    for number, clock in ((1, 30.0), (2, 40.0), (3, 50.0)):
        schedule.mark("a", number, clock)
    assert [schedule.left(["a", "b"], now) for now in (50.0, 55.0, 60.0, 90.0)] == [90.0, 85.0, 80.0, 80.0]
    schedule.mark("a", 4, 60.0)
    schedule.mark("a", 5, 70.0)
    assert [schedule.left(["a", "b"], now) for now in (70.0, 80.0, 90.0, 120.0)] == [70.0, 60.0, 50.0, 40.0]


def test_what_was_done_before_or_ended_early_is_not_waited_for() -> None:
    schedule = Schedule(5, 0.0)
    schedule.known("a", 5)
    schedule.known("b", 2)
    assert schedule.left(["a", "b", "c", "d"], 0.0, {"a": 5, "b": 2}) is None
    schedule.mark("b", 3, 20.0)
    schedule.mark("b", 4, 30.0)
    assert schedule.left(["a", "b", "c", "d"], 30.0, {"a": 5, "b": 2}) == pytest.approx(10 + 50 + 50)
    schedule.end("b", 30.0)
    schedule.end("d", 30.0)
    assert schedule.left(["a", "b", "c", "d"], 30.0, {"a": 5, "b": 2}) == pytest.approx(50)
    assert schedule.left(["a", "b"], 30.0, {"a": 5, "b": 2}) == 0.0


def test_epochs_that_ended_at_an_unknown_time_are_no_measure_though_their_training_goes_on() -> None:
    schedule = Schedule(5, 100.0)
    for number in (1, 2):
        schedule.mark("a", number, 100.0, measured=False)
    assert schedule.left(["a"], 100.0) is None
    schedule.mark("a", 3, 101.0)  # who knows for how long it went on before
    assert schedule.left(["a"], 101.0) is None
    schedule.mark("a", 4, 111.0)
    assert schedule.left(["a"], 111.0) == pytest.approx(10.0)
