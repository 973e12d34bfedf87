"""Where a stage runs follows from the size of its work."""

import pytest

from detray.cluster.settings import ClusterSettings
from detray.flow.executor import InProcess
from detray.formats.settings import DatasetSettings
from detray.settings import convert
from detray.store import Store
from detray.verbs import engine as module
from detray.verbs.catalogue import STAGES
from detray.verbs.config import Config
from detray.verbs.engine import RAY_START, Engine
from detray.verbs.work import ESTIMATES, work

NOWHERE = Store("/nowhere")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each start of Ray, which is not started."""
    starts: list[object] = []

    def start(self: Engine) -> InProcess:
        starts.append(InProcess())
        return starts[-1]  # type: ignore[return-value]

    monkeypatch.setattr(Engine, "_start", start)
    monkeypatch.setattr(module, "cpus", lambda: 2)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return starts


def test_small_work_stays_and_large_work_starts_ray_once(started: list[object]) -> None:
    with Engine(ClusterSettings(), NOWHERE) as engine:
        small = engine.executor(RAY_START)
        assert not started
        assert engine.executor(20 * RAY_START) is not small
        assert engine.executor(20 * RAY_START) is started[0]
        assert len(started) == 1
        assert engine.executor(0.5) is small


def test_one_cpu_gains_nothing_from_ray(started: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cpus", lambda: 1)
    assert Engine(ClusterSettings(), NOWHERE).executor(1e6) is not None
    assert not started


@pytest.mark.parametrize("settings", [ClusterSettings(address="auto"), ClusterSettings(gpus_per_actor=1)])
def test_an_address_or_a_gpu_asks_for_ray(started: list[object], settings: ClusterSettings) -> None:
    Engine(settings, NOWHERE).executor(0.0)
    assert len(started) == 1


def test_serial_is_never_ray(started: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    Engine(ClusterSettings(address="auto"), NOWHERE, serial=True).executor(1e6)
    assert not started


def test_the_size_of_the_annotations_is_the_work_of_reading_them(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def estimate(size: int) -> float:
        (tmp_path / "instances.json").write_bytes(b'{"images": [], "annotations": [], "categories": []}' + b" " * size)
        values = {"root": str(tmp_path), "splits": {"val": {"annotations": "instances.json"}}}
        config = convert({"dataset": values}, Config, "test")
        assert isinstance(config.dataset, DatasetSettings)
        return work("ingest", config, None)  # type: ignore[arg-type]

    assert estimate(100) < 0.1
    assert estimate(80_000_000) == pytest.approx(1.0, rel=0.1)


def test_stages_without_an_estimate_take_no_time_to_speak_of() -> None:
    assert set(ESTIMATES) < set(STAGES)
    assert work("report", Config(), None) == 0  # type: ignore[arg-type]
