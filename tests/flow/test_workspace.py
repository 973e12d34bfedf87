"""What a task wrote before it was cut off is there when it runs again, and gone with the commit."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper, MemoryKeeper
from detray.flow.step import Output, Step
from detray.flow.workspace import Workspace
from detray.store import Stage, Store


@dataclass(frozen=True)
class Task:
    workspace: Workspace
    dies_after: int = 99


class Steps(msgspec.Struct, frozen=True):
    done: list[int]


def walk(work: None, task: Task) -> Output[Steps]:
    """Five steps, each on top of what was kept of those before."""
    done = task.workspace.read_json("steps", list[int]) or []
    for number in range(len(done), 5):
        if number == task.dies_after:
            raise KeyboardInterrupt
        done.append(number)
        task.workspace.write_json("steps", done)
    return Output(Steps(done))


WALK = Step[None, Task, Steps]("walk", walk, Steps)


def opened(store: Store, fingerprint: str = "same") -> tuple[Stage, Flow]:
    stage = Stage(store, "test")
    return stage, Flow(MemoryData(()), FileKeeper(stage, stage.begin(fingerprint)), InProcess(threads=1))


def test_a_task_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    _, first = opened(store)
    with pytest.raises(KeyboardInterrupt):
        first.reduce(WALK, None, Task(first.workspace("walk"), dies_after=3))
    stage, again = opened(store)
    workspace = again.workspace("walk")
    assert workspace.read("steps") == b"[0,1,2]"
    assert again.reduce(WALK, None, Task(workspace)).facts.done == [0, 1, 2, 3, 4]
    stage.commit(*again.parts(), {}, "", ())
    assert workspace.read("steps") is None
    assert workspace.folder is not None
    assert not workspace.folder.exists()


def test_another_configuration_starts_anew(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    opened(store)[1].workspace("walk").write("steps", b"[0]")
    assert opened(store, "other")[1].workspace("walk").read("steps") is None


def test_folders_are_apart_and_cleared_alone(tmp_path: Path) -> None:
    whole = opened(Store(str(tmp_path)))[1].workspace("trials")
    one, two = whole.below("one"), whole.below("two")
    one.write("end", b"1")
    two.write("end", b"2")
    one.clear()
    assert (one.read("end"), two.read("end")) == (None, b"2")


def test_on_an_object_store_there_is_no_folder(tmp_path: Path) -> None:
    store = Store(f"memory://bucket{tmp_path}/out")
    workspace = opened(store)[1].workspace("walk")
    workspace.write("steps", b"[]")
    assert workspace.folder is None
    assert workspace.read("steps") == b"[]"


def test_in_memory_it_is_a_temporary_folder() -> None:
    keeper = MemoryKeeper()
    workspace = keeper.workspace("walk")
    workspace.write("steps", b"[]")
    assert workspace.read("steps") == b"[]"
    folder = workspace.folder
    assert folder is not None
    assert folder.exists()
    del keeper
    assert not folder.exists()
