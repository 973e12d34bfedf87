"""A flow on Ray does what it does in memory, also when workers die."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import flow_steps as steps
import pytest

from detray.cluster import ray_executor as ray_executor_module
from detray.errors import DetrayError, UsageError
from detray.flow.data import MemoryData
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.memory import run_in_memory
from detray.flow.outcome import Outcome
from detray.flow.step import Resources
from detray.store import Stage, Store

pytestmark = pytest.mark.ray

NOTHING = MemoryData(())


@pytest.fixture(autouse=True)
def few_tasks_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor_module, "STREAM_TASKS", 0)


def flow_on(executor: object, tmp_path: Path) -> Flow:
    stage = Stage(Store(str(tmp_path)), "test")
    return Flow(NOTHING, FileKeeper(stage, stage.begin("same")), executor)  # type: ignore[arg-type]


def test_a_flow_on_ray_is_the_flow_in_memory(ray_executor: object, tmp_path: Path) -> None:
    counts, work = [5, 0, 3, 12, 7], steps.Work(3)
    expected = run_in_memory(steps.squares, NOTHING, work, counts, 3, tables=("quarantine",))
    flow = flow_on(ray_executor, tmp_path)
    assert steps.squares(flow, work, counts, 3) == expected.outcome
    parts, files = flow.parts()
    stage = Stage(Store(str(tmp_path)), "test")
    stage.commit(parts, files, {}, "", ("quarantine",))
    assert stage.store.read("quarantine", "test").equals(expected.tables["quarantine"])


def test_a_worker_that_dies_loses_and_doubles_nothing(ray_executor: object, tmp_path: Path) -> None:
    marker = tmp_path / "died"
    flow = flow_on(ray_executor, tmp_path / "out")
    outcome: Outcome = steps.squares(flow, steps.Work(3, marker), [4, 3, 2, 5], 2)
    assert marker.exists()
    assert outcome.counts == {"in": 14, "kept": 14 + 5 + 1 + 30}
    parts, files = flow.parts()
    stage = Stage(Store(str(tmp_path / "out")), "test")
    stage.commit(parts, files, {}, "", ("quarantine",))
    reasons = Counter(stage.store.read("quarantine", "test")["reason"].to_pylist())
    assert reasons == {"count 4": 4, "count 3": 3, "count 2": 2, "count 5": 5}


def test_plain_tasks_do_the_same(ray_executor: object, tmp_path: Path) -> None:
    marker, step = tmp_path / "died", replace(steps.SQUARE, streams=False)
    flow = flow_on(ray_executor, tmp_path / "out")
    tasks = {f"{place:03d}": count for place, count in enumerate([4, 3, 2, 5])}
    assert [facts.total for facts in flow.map(step, steps.Work(3, marker), tasks).facts] == [14, 5, 1, 30]
    assert marker.exists()
    with pytest.raises(UsageError, match="leave one out"):
        flow.map(step, steps.Work(2), {"013": 13})


def test_many_tasks_stream_as_one_operator_and_few_are_plain_tasks(
    ray_executor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are read where they are used do not pass Ray's object store."""
    from ray.data import Dataset

    said: list[str] = []
    iter_batches = Dataset.iter_batches

    def watched(data: Dataset, **options: object) -> object:
        yield from iter_batches(data, **options)  # type: ignore[arg-type]
        said.append(data.stats())

    monkeypatch.setattr(Dataset, "iter_batches", watched)
    for least in (2, 3):
        monkeypatch.setattr(ray_executor_module, "STREAM_TASKS", least)
        flow = flow_on(ray_executor, tmp_path / str(least))
        tasks = {f"{place:03d}": 4 for place in range(2 * flow.workers)}
        assert {facts.total for facts in flow.map(steps.SQUARE, steps.Work(3), tasks).facts} == {14}
    assert len(said) == 1
    assert "ReadTasks->MapBatches" in said[0]


def test_the_error_of_a_task_is_raised_as_it_is(ray_executor: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave one out"):
        flow_on(ray_executor, tmp_path).map(steps.SQUARE, steps.Work(2), {"000": 4, "001": 13, "002": 5})
    with pytest.raises(DetrayError, match="a task failed: TypeError") as caught:
        flow_on(ray_executor, tmp_path).map(steps.SQUARE, steps.Work(2), {"003": "four"})  # type: ignore[dict-item]
    assert any("in read" in note for note in caught.value.__notes__)


def test_actors_set_up_once_each(ray_executor: object, tmp_path: Path) -> None:
    found = steps.called(flow_on(ray_executor, tmp_path), list(range(8)))
    calls = Counter(facts.pid for facts in found)
    assert all(max(f.calls for f in found if f.pid == pid) == n for pid, n in calls.items())


def test_an_actor_has_as_many_tasks_as_the_step_has_threads(ray_executor: object, tmp_path: Path) -> None:
    assert steps.most_together(flow_on(ray_executor, tmp_path)) == [1, 2]


def test_few_tasks_go_to_all_actors(ray_executor: object, tmp_path: Path) -> None:
    """The one that stands first is given no more than it runs: each task ends once all are at work."""
    flow = flow_on(ray_executor, tmp_path / "out")
    count = steps.AWAIT_ALL.threads * flow.workers
    tasks = {f"{place:03d}": count for place in range(count)}
    found = flow.map(steps.AWAIT_ALL, steps.Work(2, tmp_path / "marker"), tasks).facts
    assert [facts.calls for facts in found] == [count] * count
    assert len({facts.pid for facts in found}) == flow.workers


def test_gpus_that_are_not_there_are_said(ray_executor: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gpus_per_actor is 1 but the largest machine of the cluster has 0"):
        steps.called(flow_on(ray_executor, tmp_path), [1], gpus=1)
    with pytest.raises(UsageError, match="gpus_per_actor is 1"):  # of a step without set-up too
        flow_on(ray_executor, tmp_path).reduce(steps.TOTAL, steps.Work(2), [], resources=Resources(gpus=1))


def test_a_job_takes_no_more_than_its_share_of_a_cluster(
    ray_executor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    waiting: list[int] = []
    wait = ray.wait

    def watched(references: list[object], **options: object) -> object:
        waiting.append(len(references))
        return wait(references, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ray_executor_module.ray, "wait", watched)
    most = {}
    for share in (1, 2):
        waiting.clear()
        flow = flow_on(ray_executor_module.RayExecutor(most=share), tmp_path / str(share))
        assert flow.workers <= share
        tasks = {f"{place:03d}": 4 for place in range(6)}
        assert {
            facts.total for facts in flow.map(replace(steps.SQUARE, streams=False), steps.Work(3), tasks).facts
        } == {14}
        most[share] = max(waiting)
    assert most == {1: 1, 2: 2}
    called = steps.called(flow_on(ray_executor_module.RayExecutor(most=1), tmp_path / "actors"), list(range(6)))
    assert len({facts.pid for facts in called}) == 1
