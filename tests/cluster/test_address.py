"""An address where no Ray cluster answers is said in seconds."""

import socket
import time
from collections.abc import Iterator

import pytest

from detray.cluster import address
from detray.cluster.address import require_answer
from detray.errors import UsageError


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_nobody_listens(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    listening.close()
    with pytest.raises(UsageError, match=f"no Ray cluster answers at 127.0.0.1:{port} .*refused.*check --address"):
        require_answer(f"127.0.0.1:{port}")


def test_somebody_listens_and_says_nothing(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a head does that hangs: the system still takes its connections."""
    monkeypatch.setattr(address, "ANSWER", 0.2)
    begin = time.monotonic()
    with pytest.raises(UsageError, match="no answer"):
        require_answer(f"ray://127.0.0.1:{listening.getsockname()[1]}")
    assert time.monotonic() - begin < 5


def test_the_whole_takes_less_than_fifteen_seconds() -> None:
    assert address.CONNECT + address.ANSWER < 15


@pytest.mark.parametrize("stated", ["auto", "local", "head"])
def test_other_addresses_are_left_to_ray(stated: str) -> None:
    require_answer(stated)
