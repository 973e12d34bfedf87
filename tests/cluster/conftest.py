"""One small local Ray for the tests of a module, gone afterwards."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from detray.cluster.settings import ClusterSettings

# workers import the steps of tests, as this process does
STEPS = str(Path(__file__).parents[1] / "flow")
sys.path.insert(0, STEPS)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [STEPS, os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[object]:
    from detray.cluster.session import ray_session

    with ray_session(ClusterSettings()) as own:
        from detray.cluster.ray_executor import RayExecutor

        yield RayExecutor(own)
