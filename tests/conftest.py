"""Fixtures for every test: no Ray unless asked for, and the real data sets where they are."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
from hypothesis import settings

# a time limit for each example would measure the machine and the first import
settings.register_profile("detray", deadline=None)
settings.load_profile("detray")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes (`pytest-xdist`, ``--dist loadgroup``) one runs a file, and one alone what starts Ray."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    on_ray = {item.path for item in items if item.get_closest_marker("ray")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("ray" if item.path in on_ray else str(item.path)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    return SHARED


@pytest.fixture(autouse=True)
def _no_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithms are plain functions: a test that starts Ray says so with ``@pytest.mark.ray``."""
    if request.node.get_closest_marker("ray"):
        return

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("this test starts Ray without the marker 'ray'")

    import sys

    if "ray" in sys.modules:
        monkeypatch.setattr(sys.modules["ray"], "init", refuse)
