"""One small local Ray for the tests of a module, gone afterwards."""

from collections.abc import Iterator

import pytest

from detray.cluster.settings import ClusterSettings


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[object]:
    from detray.cluster.session import ray_session

    with ray_session(ClusterSettings()) as own:
        from detray.cluster.ray_executor import RayExecutor

        yield RayExecutor(own)
