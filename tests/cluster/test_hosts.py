"""A machine that fails one task after another gets no more; where none is left, the run ends in a sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import flow_steps as steps
import pytest

from detray.cluster import ray_executor as ray_executor_module
from detray.cluster.answers import Answer, Failure
from detray.cluster.hosts import IN_A_ROW, Hosts, Watch
from detray.errors import DetrayError, HostError
from detray.flow.data import MemoryData
from detray.flow.events import SAID, Event
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.receipt import Receipt
from detray.flow.step import Step
from detray.store import Stage, Store

FULL = Failure("HostError", "/out: the disk is full")
WHOLE = cast(Receipt, object())  # no more is asked of it than which one it is


def hosts(*nodes: str) -> tuple[Hosts, list[str]]:
    said: list[str] = []

    def tell(event: Event) -> None:
        said.extend([event.detail] if event.event in SAID else [])

    return Hosts(tell, lambda: {node: {"CPU": 2.0} for node in nodes}), said


def failed(key: str, node: str) -> Answer:
    return Answer(key, node, f"host-{node}", failure=FULL)


def judge_all(found: Hosts, answers: list[Answer]) -> None:
    for answer in answers:
        found.judge(answer)


def test_a_host_that_fails_in_a_row_is_left_out_and_named() -> None:
    found, said = hosts("a", "b")
    for number in range(IN_A_ROW):
        assert found.judge(failed(str(number), "a")) is None
    assert said == ["host-a is left out, 3 tasks in a row failed there: /out: the disk is full"]
    assert found.selector == {"ray.io/node-id": "!in(a)"}
    assert found.total("CPU") == 2.0
    for _ in range(IN_A_ROW):
        assert found.judge(failed("0", "a")) is None, "what fails there says nothing of the task"


def test_each_failure_is_told_with_its_task_and_host() -> None:
    told: list[Event] = []
    found = Hosts(told.append, lambda: {"a": {"CPU": 2.0}})
    found.judge(failed("0", "a"))
    with pytest.raises(DetrayError, match="no such column"):
        found.judge(Answer("1", "a", "host-a", failure=Failure("DetrayError", "no such column")))
    assert [(event.event, event.shard, event.host, event.detail) for event in told] == [
        ("task_retried", "0", "host-a", "/out: the disk is full"),
        ("task_failed", "1", "host-a", "no such column"),
    ]


def test_a_success_between_two_failures_is_no_row() -> None:
    found, said = hosts("a", "b")
    for number in range(2 * IN_A_ROW):
        assert found.judge(failed(str(number), "a")) is None
        assert found.judge(Answer("x", "a", "host-a", receipt=WHOLE)) is WHOLE
    assert not said


def test_where_no_host_is_left_it_ends() -> None:
    found, _ = hosts("a", "b")
    with pytest.raises(
        HostError, match=r"the disk is full \(on host-b; 3 tasks in a row failed on each.*host-a, host-b"
    ):
        judge_all(found, [failed(str(number), "ab"[number // IN_A_ROW]) for number in range(2 * IN_A_ROW)])
    assert HostError.exit_code == 3


def test_a_task_that_fails_on_every_host_ends_it() -> None:
    found, _ = hosts("a", "b", "c", "d")
    with pytest.raises(HostError, match="tried 3 times, the last time on host-c"):
        judge_all(found, [failed("0", node) for node in "abc"])


def flow_on(executor: Any, folder: Path) -> Flow:
    stage = Stage(Store(str(folder)), "test")
    return Flow(MemoryData(()), FileKeeper(stage, stage.begin("same")), executor)


@pytest.mark.ray
@pytest.mark.parametrize("step", [steps.FULL, replace(steps.FULL, streams=True)])
def test_a_full_disk_is_tried_again_and_then_said(
    ray_executor: Any, tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor_module, "STREAM_TASKS", 0)
    work = steps.Work(1, tmp_path / "tries")
    flow_on(ray_executor, tmp_path / "passing").map(step, work, {"0": 2})  # it fails twice
    assert (tmp_path / "tries").read_text() == "xxx"
    work = steps.Work(1, tmp_path / "more")
    with pytest.raises(DetrayError, match=r"OSError: \[Errno 28\] No space left on device \(on ") as caught:
        flow_on(ray_executor, tmp_path / "lasting").map(step, work, {str(n): 1000 for n in range(3)})
    assert any("in full" in note for note in caught.value.__notes__)
    assert len((tmp_path / "more").read_text()) <= 9


def test_a_machine_that_dies_is_one_sentence() -> None:
    said: list[str] = []
    lost: dict[str, tuple[str, float]] = {"old": ("host-z", 4.0)}
    having = {"a": {"CPU": 4.0}, "b": {"CPU": 2.0}}
    known: set[str] = set(lost)
    watch = Watch(lambda event: said.append(event.detail), 1, known, lambda: lost, lambda: having)
    watch.look(9, now=True)
    lost["b"] = ("host-b", 0.0)
    watch.look(9)  # too early
    watch.look(9, now=True)
    watch.look(9, now=True)
    lost["a"] = ("host-a", 4.0)
    watch.look(1, now=True)
    assert said == ["host-b died, at most 2 tasks run again", "host-a died, at most one task runs again"]
    Watch(lambda event: said.append(event.detail), 1, known, lambda: lost, lambda: having).look(9, now=True)
    assert len(said) == 2  # the next step need not say it
    lost["c"] = ("host-c", 4.0)  # between two steps
    Watch(lambda event: said.append(event.detail), 1, known, lambda: lost, lambda: having).look(9, now=True)
    assert said[2] == "host-c died, at most 4 tasks run again"


@pytest.mark.ray
def test_a_machine_that_dies_while_it_is_asked_is_no_reason_to_refuse(
    ray_executor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ray_executor_module.machines()
    gone = there[0] | {"NodeID": "a" * len(there[0]["NodeID"]), "NodeManagerHostname": "gone"}
    monkeypatch.setattr(ray_executor_module, "machines", lambda: [gone, *there])
    ((host, lack),) = ray_executor.everywhere(str)
    assert host.startswith(there[0]["NodeManagerHostname"])
    assert lack == "False"  # what `str` makes of whether it has a GPU
