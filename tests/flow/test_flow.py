"""One flow, three places to run: in memory, in one process over files, on Ray."""

from collections.abc import Callable
from pathlib import Path

import flow_steps as steps
import pyarrow as pa
import pytest

from detray.errors import UsageError
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.memory import run_in_memory
from detray.store import Stage, Store

NOTHING = MemoryData(())


def file_flow(tmp_path: Path, threads: int = 1) -> Flow:
    stage = Stage(Store(str(tmp_path)), "test")
    return Flow(NOTHING, FileKeeper(stage, stage.begin("same")), InProcess(threads))


def committed(flow: Flow) -> pa.Table:
    parts, files = flow.parts()
    stage = flow.keeper.stage  # type: ignore[attr-defined]
    stage.commit(parts, files, {}, "", ("quarantine",))
    return stage.store.read_files(stage.store.files("quarantine", "test"), "quarantine")


@pytest.mark.parametrize("counts", [[4], [5, 0, 3], [0], list(range(12))])
@pytest.mark.parametrize("buckets", [1, 3, 7])
def test_memory_and_files_agree(tmp_path: Path, counts: list[int], buckets: int) -> None:
    work = steps.Work(buckets)
    run = run_in_memory(steps.squares, NOTHING, work, counts, buckets, tables=("quarantine",))
    expected = sum(n * n for count in counts for n in range(count))
    assert run.outcome.counts == {"in": sum(counts), "kept": expected}
    assert run.files == {"totals/total.txt": f"{expected}\n".encode()}
    for threads in (1, 2):
        flow = file_flow(tmp_path / str(threads), threads)
        assert steps.squares(flow, work, counts, buckets).counts == run.outcome.counts
        assert committed(flow).equals(run.tables["quarantine"])
        assert (tmp_path / str(threads) / "test" / "totals" / "total.txt").read_bytes() == f"{expected}\n".encode()
        assert not (tmp_path / str(threads) / "test" / "_partial").exists()


def test_equal_keys_meet_in_one_bucket(tmp_path: Path) -> None:
    flow = file_flow(tmp_path)
    work = steps.Work(1 << 40)  # every number is a remainder of its own
    squared = flow.map(steps.SQUARE, work, {"a": 6, "b": 4}, buckets=3)
    added = flow.exchange(steps.ADD, work, {"squares": list(squared.kept("squares").items())}, 3)
    sums = [facts.by_remainder for facts in added.facts]
    assert [sorted(found) for found in sums] == [[0, 9], [1, 4, 16, 25], []]
    assert sums[0][9] == 18
    assert sums[1][25] == 25


@pytest.mark.parametrize("buckets", [1, 16, 200])
def test_what_a_task_keeps_for_an_exchange_is_one_file_whatever_the_buckets(tmp_path: Path, buckets: int) -> None:
    flow = file_flow(tmp_path)
    counts = [1 + number % 7 for number in range(40)]
    squared = flow.map(steps.SQUARE, steps.Work(2), {f"{n:03d}": k for n, k in enumerate(counts)}, buckets=buckets)
    files = sorted((tmp_path / "test" / "_partial" / "scratch").rglob("*.arrow"))
    assert [file.stem for file in files] == list(squared)
    added = flow.exchange(steps.ADD, steps.Work(2), {"squares": list(squared.kept("squares").items())}, buckets)
    assert sum(facts.total for facts in added.facts) == sum(n * n for count in counts for n in range(count))


def gone(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [gone, cut, flipped])
def test_an_exchange_goes_on_where_a_file_is_damaged(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    counts, work = [4, 9, 6, 12], steps.Work(1 << 40)
    expected = run_in_memory(steps.squares, NOTHING, work, counts, 5, tables=("quarantine",))
    steps.squares(file_flow(tmp_path), work, counts, 5)
    partial = tmp_path / "test" / "_partial"
    damage(partial / "scratch" / "square" / "squares" / "001.arrow")
    for left in ("add-002", "add-004", "total"):  # as if the driver had died before
        (partial / "receipts" / f"{left}.json").unlink()
    said: list[str] = []
    again, ran = file_flow(tmp_path), []
    again.progress.note = said.append  # type: ignore[method-assign]
    run = again.executor.run

    def watched(job, keys, resources, tell):  # type: ignore[no-untyped-def]
        ran.extend(f"{job.step.name}-{key}" for key in keys)
        return run(job, keys, resources, tell)

    again.executor.run = watched  # type: ignore[method-assign]
    assert steps.squares(again, work, counts, 5).counts == expected.outcome.counts
    assert committed(again).equals(expected.tables["quarantine"])
    assert ran == ["square-001", "add-002", "add-004", "total-"]
    assert len(said) == 1
    assert "square-001 had left there is damaged; it is done again" in said[0]


def test_what_is_whole_is_not_run_again(tmp_path: Path) -> None:
    first = file_flow(tmp_path)
    first.map(steps.SQUARE, steps.Work(2), {"000": 4, "001": 5})
    (tmp_path / "test" / "_partial" / "receipts" / "square-001.json").unlink()
    again = file_flow(tmp_path)
    ran = []
    run = again.executor.run

    def watched(job, keys, resources, note):  # type: ignore[no-untyped-def]
        ran.append(list(keys))
        return run(job, keys, resources, note)

    again.executor.run = watched  # type: ignore[method-assign]
    results = again.map(steps.SQUARE, steps.Work(2), {"000": 4, "001": 5})
    assert ran == [["001"]]
    assert [facts.total for facts in results.facts] == [14, 30]
    assert results["000"]["squares"].read()["number"].to_pylist() == [0, 1, 4, 9]


def test_the_error_of_a_task_is_raised_as_it_is(tmp_path: Path) -> None:
    for threads in (1, 2):
        with pytest.raises(UsageError, match="leave one out"):
            file_flow(tmp_path, threads).map(steps.SQUARE, steps.Work(2), {"000": 4, "001": 13, "002": 5})


def test_set_up_is_made_once(tmp_path: Path) -> None:
    assert [calls.calls for calls in steps.called(file_flow(tmp_path, 2), [1, 2, 3])] == [1, 2, 3]


def test_a_worker_with_set_up_has_as_many_tasks_as_the_step_has_threads(tmp_path: Path) -> None:
    assert steps.most_together(file_flow(tmp_path, 4)) == [1, 2]


def test_slices_of_batches(tmp_path: Path) -> None:
    flow = file_flow(tmp_path)
    kept = flow.map(steps.SQUARE, steps.Work(2), {"000": 20}, buckets=4)["000"]["squares"]
    whole = kept.read()["number"].to_pylist()
    assert sorted(whole) == [n * n for n in range(20)]
    for low in range(0, 20, 3):
        for high in range(low, 21, 4):
            assert kept.slice(low, high)["number"].to_pylist() == whole[low:high]
