"""GPUs that are asked for and not there are told before the first stage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from detray.errors import DetrayError, UsageError
from detray.flow.executor import InProcess
from detray.flow.outcome import Silent
from detray.flow.step import Resources
from detray.settings import convert
from detray.store import Store
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.runner import run


class WithoutGpus:
    """A cluster that runs nothing."""

    workers = 1

    def run(self, *task: object) -> Iterator[object]:
        raise AssertionError("a stage has started")

    def require(self, resources: Resources) -> None:
        raise UsageError(f"no machine has {resources.gpus:g} GPUs")

    def everywhere(self, function: object) -> list[tuple[str, str | None]]:
        return []


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A data set that cannot be read, and a GPU asked for."""
    (tmp_path / "train.json").write_text("{")
    config = {"dataset": {"root": str(tmp_path), "splits": {"train": {"annotations": "train.json", "format": "coco"}}}}
    config["cluster"] = {"gpus_per_actor": 1, "cpus_per_task": 2}
    return Context(convert(config, Config, "test"), Store(str(tmp_path / "out")), WithoutGpus(), Notes())


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_no_stage_starts_without_the_gpus_that_a_later_one_holds(context: Context, verb: str) -> None:
    context.config.dataset.splits["val"] = context.config.dataset.splits["train"]
    with pytest.raises(UsageError, match="no machine has 1 GPUs"):
        run(context, [verb])
    assert context.store.manifest("ingest") is None


def test_stages_that_hold_none_ask_for_none(context: Context) -> None:
    with pytest.raises(AssertionError, match="a stage has started"):
        run(context, ["ingest"])


def test_in_this_process_none_are_asked_for_and_that_is_said(context: Context) -> None:
    context.executor = InProcess()
    with pytest.raises(DetrayError, match=r"train\.json"):
        run(context, ["train"])
    assert context.progress.lines == [  # type: ignore[attr-defined]
        "cluster.gpus_per_actor is 1, which is for Ray: with --serial TensorFlow takes the GPUs that it sees, or none"
    ]
