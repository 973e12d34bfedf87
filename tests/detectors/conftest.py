from collections.abc import Iterator

import pytest
from drawn import CLASSES, DETECTOR, draw
from tiny import eagerly

from detray.detectors.data import TrainingData, load
from detray.tables import Shard


@pytest.fixture(scope="session")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Twelve pictures for training."""
    return draw(tmp_path_factory.mktemp("pictures"), 12)


@pytest.fixture(scope="session")
def data(shard: Shard) -> TrainingData:
    return load([shard], DETECTOR, CLASSES, run="t")


@pytest.fixture
def eager() -> Iterator[None]:
    with eagerly():
        yield
