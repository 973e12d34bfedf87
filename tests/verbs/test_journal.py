"""The log of a command: one declared shape, what was left out with its picture, and no secret."""

from pathlib import Path
from typing import Any, get_args

import data_files
import msgspec
import pytest

from detray import schema
from detray.cli import main
from detray.errors import DetrayError
from detray.flow.data import MemoryData
from detray.flow.events import KINDS, SAID, Event, Kind, without_secrets
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import TOLD, FileKeeper, MemoryKeeper
from detray.flow.step import NoFacts, Output, Step
from detray.store import Stage, Store
from detray.verbs import journal as module
from detray.verbs.journal import FOLDER, Journal

HIDDEN = "hush-hush/42"


def lines(store: Store) -> list[Event]:
    """All events of all files, which hold nothing that is not declared."""
    files = sorted(name for name in store.names(FOLDER) if name.endswith(".jsonl"))
    text = b"".join(store.read_bytes(FOLDER, name) or b"" for name in files)
    for line in text.splitlines():
        assert msgspec.json.decode(line).keys() <= set(Event.__struct_fields__)
    return [msgspec.json.decode(line, type=Event, strict=True) for line in text.splitlines()]


def test_a_command_leaves_a_log_that_names_what_was_left_out(tmp_path: Path) -> None:
    data_files.voc(tmp_path, [[(0, (10.0, 10.0, 30.0, 40.0))]] * 2)
    (tmp_path / "Annotations" / "1.xml").write_text("<annotation>")
    output = tmp_path / "out"
    assert main(["audit", str(tmp_path / "Annotations"), "--output", str(output), "--serial"]) == 0
    store = Store(str(output))
    found = lines(store)
    assert {event.run_id for event in found} == {(store.manifest("audit") or {})["run_id"]}
    assert [event.stage for event in found if event.event == "stage_complete"] == ["ingest", "audit"]
    (aside,) = (event for event in found if event.event == "quarantined")
    assert (aside.stage, aside.step, aside.file) == ("ingest", "classes", str(tmp_path / "Annotations" / "1.xml"))
    assert aside.detail
    assert found == sorted(found, key=lambda event: event.time)
    for manifest in (store.manifest(stage) or {} for stage in ("ingest", "audit")):
        assert [*output.glob(manifest["cluster"]["events"])] == [*output.glob("logs/*.jsonl")]


def _step(function: Any) -> Step[None, int, NoFacts]:
    return Step("look", function, NoFacts)


def test_a_task_that_fails_is_told_with_its_shard() -> None:
    told: list[Event] = []

    def fail(work: None, task: int) -> Output[NoFacts]:
        if task:
            raise DetrayError(f"shard {task} is odd")
        return Output(NoFacts())

    flow = Flow(MemoryData(()), MemoryKeeper(), InProcess(threads=2), stage="audit", log=told.append)
    with pytest.raises(DetrayError, match="shard 1 is odd"):
        flow.map(_step(fail), None, {"a": 0, "b": 1})
    assert [event.event for event in told] == ["step_begun", "task_failed"]
    assert (told[1].stage, told[1].step, told[1].shard, told[1].detail) == (
        "audit",
        "look",
        "b",
        "DetrayError: shard 1 is odd",
    )
    assert told[1].host


def test_of_many_that_a_task_leaves_out_the_first_are_told_and_their_number(tmp_path: Path) -> None:
    def leave_out(work: None, task: int) -> Output[NoFacts]:
        rows = [{"stage": "predict", "split": "val", "image_id": n, "source_file": f"{n}.jpg", "reason": "unreadable",
                 "detail": "truncated"} for n in range(task)]  # fmt: skip
        return Output(NoFacts(), {"quarantine": schema.from_rows("quarantine", rows, run="test")})

    told: list[Event] = []
    stage = Stage(Store(str(tmp_path)), "predict")
    flow = Flow(MemoryData(()), FileKeeper(stage, stage.begin("x")), InProcess(1), stage="predict", log=told.append)
    flow.map(_step(leave_out), None, {"few": 2, "many": TOLD + 5})
    aside = [event for event in told if event.event == "quarantined"]
    named = [(event.shard, event.image_id, event.file) for event in aside if event.count is None]
    assert named == [(key, n, f"{n}.jpg") for key, most in (("few", 2), ("many", TOLD)) for n in range(most)]
    assert {event.detail for event in aside if event.count is None} == {"unreadable: truncated"}
    assert [(event.shard, event.count) for event in aside if event.count is not None] == [("many", TOLD + 5)]


def test_no_secret_of_the_environment_stands_in_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", HIDDEN)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "short")
    assert without_secrets(f"403 for {HIDDEN}; short") == "403 for ***; short"
    store = Store(str(tmp_path))
    with Journal(store) as journal:
        journal.write(Event(event="note", detail=f"signed with {HIDDEN}"), "run")
    (event,) = lines(store)
    assert event.detail == "signed with ***"


def test_in_an_object_store_it_is_some_files(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("memory://journal")
    with Journal(store) as journal:
        for number in range(3):
            journal.write(Event(event="note", detail=str(number)), "run")
        assert not store.names(FOLDER)
        monkeypatch.setattr(module, "BETWEEN", 0.0)
        journal.write(Event(event="note", detail="3"), "run")
        assert len(store.names(FOLDER)) == 1
        monkeypatch.setattr(module, "BETWEEN", 1e6)
        journal.write(Event(event="note", detail="4"), "run")
    assert len(store.names(FOLDER)) == 2
    assert [event.detail for event in lines(store)] == list("01234")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file in its place")
    with Journal(Store(str(tmp_path))) as journal:
        journal.write(Event(event="note", detail="x"), "run")


def test_each_kind_is_explained() -> None:
    assert tuple(KINDS) == get_args(Kind)
    assert KINDS.keys() > SAID
