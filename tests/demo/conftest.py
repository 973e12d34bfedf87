"""A small drawn data set, and its copy with planted faults."""

from pathlib import Path

import pytest

from detray.demo.draw import draw_dataset
from detray.demo.faults import Fault, plant_faults


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_dataset(folder, seed=3, train=20, val=40, test=4)
    return folder


@pytest.fixture(scope="session")
def faulty(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Fault]]:
    folder = tmp_path_factory.mktemp("faulty")
    return folder, plant_faults(drawn, folder, seed=5)
