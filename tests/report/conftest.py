"""An output folder with every table, and the page made from it."""

from pathlib import Path

import pytest
from report_page import Page, make_page
from report_sample import write_all

from detray.store import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_all(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def full(store: Store) -> Page:
    return make_page(store)


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))
