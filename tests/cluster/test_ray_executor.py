"""The executor on Ray does what the plain one does, and says what went wrong."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from detray.cluster.executor import Executor, SerialExecutor
from detray.errors import DetrayError, UsageError

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True, scope="module")
def _workers_know_this_module() -> None:
    """Workers cannot import a test module: its functions travel by value."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def square(number: int) -> dict:
    return {"number": number, "square": number**2}


def refuse(number: int) -> dict:
    if number == 3:
        raise UsageError("picture 3 is upside down; turn it")
    return square(number)


def divide(number: int) -> dict:
    return {"value": 1 // (number - 3)}


def die_once(folder: Path, number: int) -> dict:
    """Kill the worker in the middle of task 2, the first time."""
    marker = folder / "died"
    if number == 2 and not marker.exists():
        marker.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


class Counter:
    """State of an actor: which process it is, and how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, number: int) -> dict:
        self.calls += 1
        return {"number": number, "pid": os.getpid(), "calls": self.calls}


def by_number(results: object) -> list:
    return sorted(results, key=lambda result: result["number"])  # type: ignore[call-overload]


def test_the_same_results_as_in_one_process(ray_executor: Executor) -> None:
    tasks = list(range(20))
    expected = by_number(SerialExecutor().map(square, tasks))
    assert by_number(ray_executor.map(square, tasks)) == expected
    assert by_number(ray_executor.map(square, [])) == []
    assert ray_executor.workers >= 1


def test_an_actor_is_built_once_and_keeps_its_state(ray_executor: Executor) -> None:
    results = by_number(ray_executor.map_actors(Counter, list(range(8))))
    assert [result["number"] for result in results] == list(range(8))
    pids = {result["pid"] for result in results}
    assert os.getpid() not in pids
    assert len(pids) <= ray_executor.workers
    assert sum(max(r["calls"] for r in results if r["pid"] == pid) for pid in pids) == 8


def test_an_error_for_the_user_arrives_as_it_was(ray_executor: Executor) -> None:
    with pytest.raises(UsageError, match=r"^picture 3 is upside down; turn it$"):
        list(ray_executor.map(refuse, list(range(6))))


def test_any_other_error_is_named_and_keeps_its_traceback(ray_executor: Executor) -> None:
    with pytest.raises(DetrayError, match="ZeroDivisionError") as caught:
        list(ray_executor.map(divide, list(range(6))))
    assert any("in divide" in note for note in caught.value.__notes__)


def test_a_killed_worker_costs_no_result(ray_executor: Executor, tmp_path: Path) -> None:
    results = by_number(ray_executor.map(partial(die_once, tmp_path), list(range(6))))
    assert (tmp_path / "died").exists()
    assert results == [square(number) for number in range(6)]


def test_gpus_that_are_not_there_are_said_before_work_starts(ray_executor: Executor) -> None:
    with pytest.raises(UsageError, match="gpus_per_actor"):
        list(ray_executor.map_actors(Counter, [1], gpus=64))
