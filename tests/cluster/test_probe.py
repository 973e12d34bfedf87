"""What a machine lacks is said before the first task, with its name."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import flow_steps as steps
import pytest

from detray.cluster import probe as module
from detray.cluster.probe import Probe, check, examine, probe_of
from detray.errors import DetrayError, UsageError
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper
from detray.flow.step import Resources
from detray.store import Stage, Store


class OneMachine(InProcess):
    """A cluster of this machine alone."""

    def everywhere(self, function: Callable[[bool], str | None]) -> list[tuple[str, str | None]]:
        return [("one", function(True))]


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Of a folder with a picture, and a file."""
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    (tmp_path / "pictures" / "deep" / "1.jpg").write_bytes(b"picture")
    (tmp_path / "val.json").write_bytes(b"{}")
    Store("memory://probe").write_bytes(b"1", "model")
    paths = [str(tmp_path / "val.json"), str(tmp_path / "pictures"), "memory://probe/model"]
    return probe_of(Store(str(tmp_path / "out")), paths, free_gib=0, gpu=False)


def test_one_file_of_each_place_is_asked_for_and_nothing_is_left_behind(probe: Probe, tmp_path: Path) -> None:
    assert probe.files == {str(tmp_path / "val.json"): 2, str(tmp_path / "pictures" / "deep" / "1.jpg"): 7}
    check(probe, OneMachine())
    check(probe, InProcess())
    assert list((tmp_path / "out").iterdir()) == []


def test_pictures_that_a_machine_lacks_are_said(probe: Probe, tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "deep" / "1.jpg"
    picture.write_bytes(b"other")
    with pytest.raises(UsageError, match=r"machine one: .*1\.jpg is another file than here \(5 bytes instead of 7\)"):
        check(probe, OneMachine())
    picture.unlink()
    with pytest.raises(UsageError, match=r"machine one: .*1\.jpg cannot be read \(No such file or directory\); mount"):
        check(probe, OneMachine())
    check(probe, InProcess())  # this machine says so for each picture


def test_other_versions_and_full_disks_are_said(probe: Probe) -> None:
    older = replace(probe, versions=probe.versions | {"pyarrow": "1.0"})
    with pytest.raises(UsageError, match=r"machine one: it has pyarrow .*, this command 1\.0; install the same"):
        check(older, OneMachine())
    for executor in (InProcess(), OneMachine()):
        with pytest.raises(UsageError, match=r"GiB of the disk are free, less than cluster\.min_free_gib \(1e\+06\)"):
            check(replace(probe, free_gib=1e6), executor)


def test_another_clock_little_shared_memory_and_objects_that_are_not_there_are_said(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked, said in (
        (probe.asked + 100, "its clock is 100 s behind"),
        (probe.asked - 900, "s ahead; set it by NTP"),
    ):
        with pytest.raises(UsageError, match=f"machine one: .*{said}"):
            check(replace(probe, asked=asked), OneMachine())
    with pytest.raises(UsageError, match=r"machine one: memory://probe/gone is not there for it; give it"):
        check(replace(probe, uris=("memory://probe/gone",)), OneMachine())
    monkeypatch.setattr(module, "LEAST_SHM", 1 << 60)
    with pytest.raises(UsageError, match=r"machine one: its /dev/shm has .* MiB, less than"):
        check(probe, OneMachine())


def test_an_output_that_is_not_shared_or_not_writable_is_said(probe: Probe, tmp_path: Path) -> None:
    elsewhere = replace(probe, output=Store(str(tmp_path / "own")))
    assert "does not see what is written" in (examine(elsewhere, "_probe", False) or "")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DetrayError, match="choose another --output"):
        check(replace(probe, output=Store(str(tmp_path / "file"))), InProcess())


@pytest.mark.parametrize(
    ("printed", "code", "said"), [("1\n", 0, None), ("0\n", 0, "sees no GPU"), ("", 1, "does not start .*no cuda")]
)
def test_a_gpu_is_seen_by_tensorflow_or_missed(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, printed: str, code: int, said: str | None
) -> None:
    answer = SimpleNamespace(stdout=printed, returncode=code, stderr="...\nno cuda")
    monkeypatch.setattr(subprocess, "run", lambda *given, **named: answer)
    asked = replace(probe, gpu=True)
    if said is None:
        check(asked, OneMachine())
    else:
        with pytest.raises(UsageError, match=said):
            check(asked, OneMachine())


@pytest.mark.ray
@pytest.mark.slow
def test_on_ray_each_machine_is_asked_and_named(ray_executor: object, probe: Probe, tmp_path: Path) -> None:
    probe = replace(probe, uris=())  # of what lies in the memory of this process
    check(probe, ray_executor)  # type: ignore[arg-type]
    lost = replace(probe, files={str(tmp_path / "gone.jpg"): 1})
    with pytest.raises(UsageError, match=r"machine \S+ \([\d.]+\): .*gone\.jpg cannot be read"):
        check(lost, ray_executor)  # type: ignore[arg-type]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.ray
@pytest.mark.slow
def test_a_task_that_fits_on_no_machine_is_refused(ray_executor: object, tmp_path: Path) -> None:
    flow = Flow(Store(str(tmp_path)), FileKeeper(Stage(Store(str(tmp_path)), "test")), ray_executor)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"cpus_per_task is 99 but the largest machine of the cluster has \d+ CPUs"):
        flow.reduce(steps.TOTAL, steps.Work(2), [], resources=Resources(cpus=99))
