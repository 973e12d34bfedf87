"""Fixtures for every test: no Ray unless asked for, and the real data sets where they are."""

import os
from functools import cache
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
from hypothesis import settings

# a time limit for each example would measure the machine and the first import
settings.register_profile("detray", deadline=None)
settings.load_profile("detray")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Of several processes (pytest-xdist) one runs a file, one alone all files of tests/cluster that start Ray, and one
    alone those elsewhere, which start it in programs of their own.

    ``--dist loadgroup`` would do it, but pytest-xdist 3.8 sets no groups under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not _starts_ray(config.rootpath / file):
                return file
            return "clusters" if file.startswith("tests/cluster/") else "programs on Ray"

    return Files(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes those for Ray have the most to do: they begin at once."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not _starts_ray(item.path))


@cache
def _starts_ray(file: Path) -> bool:
    return "mark.ray" in file.read_text()


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
