"""Epochs are told as they come, by what their trainings keep."""

import time
from pathlib import Path

import pytest

from detray.flow import epochs as module
from detray.flow.epochs import Epochs, epoch_file
from detray.flow.outcome import Silent
from detray.flow.workspace import Workspace
from detray.store import Store


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[tuple[str, float | None]] = []

    def tell(self, text: str, left: float | None = None) -> None:
        self.lines.append((text, left))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Workspace]:
    monkeypatch.setattr(module, "EVERY", 0.01)
    return {name: Workspace(Store(str(tmp_path)), (name,)) for name in ("a", "b")}


def words(content: bytes, before: bytes | None) -> str:
    if content == b"damaged":
        raise OSError
    return f"{content.decode()} after {before.decode() if before else 'nothing'}"


def test_each_epoch_is_told_once_and_none_of_an_earlier_run(runs: dict[str, Workspace]) -> None:
    told = Told()
    runs["a"].write(epoch_file(1), b"1")
    with Epochs(runs, 3, words, told):
        runs["a"].write(epoch_file(2), b"2")
        deadline = time.monotonic() + 10
        while not told.lines and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [text for text, _ in told.lines] == ["a, epoch 2/3: 2 after 1"], "while it runs"
        runs["b"].write(epoch_file(1), b"damaged")
        runs["a"].write(epoch_file(3), b"3")
    assert [text for text, _ in told.lines] == ["a, epoch 2/3: 2 after 1", "a, epoch 3/3: 3 after 2"]


def test_the_time_left_is_from_epochs_of_trainings_that_go_on(
    runs: dict[str, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, now = Told(), [100.0]
    monkeypatch.setattr(module, "EVERY", 1e6)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    ended: set[str] = set()
    epochs = Epochs(runs, 5, words, told, ended.__contains__)
    for run, number, clock in (("a", 1, 160.0), ("a", 2, 170.0), ("a", 3, 180.0)):
        runs[run].write(epoch_file(number), b"x")
        now[0] = clock
        epochs._look()
    ended.add("b")
    runs["a"].write(epoch_file(4), b"x")
    now[0] = 190.0
    epochs._look()
    assert [left for _, left in told.lines] == [None, 80.0, 70.0, 10.0]


def test_epochs_of_trainings_that_go_on_already_are_told_and_measure_nothing(runs: dict[str, Workspace]) -> None:
    told = Told()
    for number in (1, 2):
        runs["a"].write(epoch_file(number), b"x")
    with Epochs(runs, 5, words, told, tells_before=True):
        runs["a"].write(epoch_file(3), b"x")
    assert [text.partition(":")[0] for text, _ in told.lines] == ["a, epoch 1/5", "a, epoch 2/5", "a, epoch 3/5"]
    assert [left for _, left in told.lines] == [None] * 3
