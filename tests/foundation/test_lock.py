"""One run at a time in an output folder."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from detray.errors import DetrayError, UsageError
from detray.store import Lock, Store, lock
from detray.store.lock import BEAT, MISSED, Owner, this_process

HOLD = """
import sys, time
from detray.store import Lock, Store
from detray.errors import UsageError
try:
    with Lock(Store(sys.argv[1])) as own:
        own.take()
        print("taken", flush=True)
        time.sleep(float(sys.argv[2]))
except UsageError as error:
    print(f"refused: {error}", flush=True)
"""


def holder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def bucket(tmp_path: Path) -> Store:
    store = Store("bucket")
    vars(store)["_opened"] = (SubTreeFileSystem(str(tmp_path), LocalFileSystem()), "out")
    return store


@pytest.fixture(params=[local, bucket])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(lock, "SETTLE", 0.05)
    return request.param(tmp_path)


def leave(store: Store, owner: Owner) -> None:
    store.write_bytes(msgspec.json.encode(owner), lock.LOCK)


def test_a_lock_that_is_written_while_it_is_read_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an object, the length that was asked for may be that of the one before."""
    with Lock(store) as own:
        own.take()
        whole = Store.read_bytes
        cuts = [5, 1]

        def read_bytes(self: Store, *parts: str) -> bytes | None:
            data = whole(self, *parts)
            return data[: -cuts.pop()] if data and cuts else data

        monkeypatch.setattr(Store, "read_bytes", read_bytes)
        own.check()
        assert not cuts


def test_a_lock_is_given_back_whatever_happens(store: Store) -> None:
    with contextlib.suppress(KeyboardInterrupt), Lock(store) as own:
        assert own.take()
        assert not own.take()
        assert store.read_bytes(lock.LOCK)
        raise KeyboardInterrupt
    assert not store.read_bytes(lock.LOCK)


def test_the_second_is_refused_with_who_runs(store: Store) -> None:
    with Lock(store) as first, Lock(store) as second:
        first.take()
        with pytest.raises(UsageError, match=rf"process {os.getpid()} on .* since 20.* UTC \(.*\) is writing there"):
            second.take()
    with Lock(store) as third:
        assert third.take()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    process = holder(tmp_path, 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    with Lock(Store(str(tmp_path))) as own, pytest.raises(UsageError, match=f"process {process.pid} on "):
        own.take()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie, as in many containers
    notes: list[str] = []
    with Lock(Store(str(tmp_path)), notes.append) as own:
        assert own.take()
    process.wait()
    process.stdout.close()
    assert [f"taken over from process {process.pid} on " in note for note in notes] == [True]


def test_one_of_two_that_race_is_refused(tmp_path: Path) -> None:
    for folder, dead in (("new", False), ("left", True)):
        store = Store(str(tmp_path / folder))
        if dead:
            leave(store, msgspec.structs.replace(this_process(), pid=2**22 + 1))
        racing = [holder(tmp_path / folder, 3) for _ in range(2)]
        answers = sorted(process.communicate()[0].split(" ")[0].strip() for process in racing)
        assert answers == ["refused:", "taken"]


@pytest.mark.parametrize(("age", "is_free"), [(0.0, False), ((MISSED - 1) * BEAT, False), ((MISSED + 1) * BEAT, True)])
def test_an_owner_elsewhere_is_dead_once_it_misses_beats(store: Store, age: float, is_free: bool) -> None:
    leave(store, msgspec.structs.replace(this_process(), machine="elsewhere", host="elsewhere", beat=time.time() - age))
    with Lock(store) as own, contextlib.nullcontext() if is_free else pytest.raises(UsageError, match="on elsewhere"):
        assert own.take()


def test_a_process_that_was_stopped_for_long_is_not_dead_but_one_with_its_number_is_another(store: Store) -> None:
    owner = msgspec.structs.replace(this_process(), beat=time.time() - 10 * MISSED * BEAT)
    leave(store, owner)
    with Lock(store) as own, pytest.raises(UsageError, match=f"process {os.getpid()} on "):
        own.take()
    leave(store, msgspec.structs.replace(owner, born="1"))
    with Lock(store) as own:
        assert own.take()


def test_a_lock_that_is_not_readable_goes_by_its_time(store: Store, tmp_path: Path) -> None:
    store.write_bytes(b'{"id": "', lock.LOCK)
    with Lock(store) as own, pytest.raises(UsageError, match="unknown host"):
        own.take()
    long_ago = time.time() - 2 * MISSED * BEAT
    os.utime(tmp_path / "out" / lock.LOCK, (long_ago, long_ago))
    with Lock(store) as own:
        assert own.take()


def test_the_owner_gives_signs_of_life(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.05)

    def beat() -> float:
        return msgspec.json.decode(store.read_bytes(lock.LOCK) or b"", type=Owner).beat

    with Lock(store) as own:
        own.take()
        first = beat()
        for _ in range(100):
            time.sleep(0.05)
            if beat() > first:
                break
        assert beat() > first
        own.check()
    assert not store.read_bytes(lock.LOCK)


def test_a_run_whose_lock_was_taken_over_writes_nothing_more(store: Store) -> None:
    other = msgspec.structs.replace(this_process(), pid=4711)
    with Lock(store) as own:
        own.take()
        leave(store, other)
        with pytest.raises(DetrayError, match="was taken over by process 4711"):
            own.check()
    assert msgspec.json.decode(store.read_bytes(lock.LOCK) or b"", type=Owner) == other  # and leaves the other's
