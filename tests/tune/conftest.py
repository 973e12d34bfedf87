"""A tiny data set, ingested."""

from pathlib import Path

import pytest
import tiny

from detray.store import Store
from detray.verbs.config import Config


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return tiny.make_store(tmp_path)


@pytest.fixture
def config(store: Store) -> Config:
    return tiny.make_config(store)
