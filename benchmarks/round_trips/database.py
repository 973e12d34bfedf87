"""MongoDB for FiftyOne, started here: FiftyOne's own start gives up after seconds on a machine that is busy.

Import it before fiftyone.
"""

import importlib.util
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 300


@contextmanager
def database() -> Iterator[None]:
    """The MongoDB that FiftyOne's package brings, on the loopback address, while it is needed."""
    found = importlib.util.find_spec("fiftyone")
    program = Path(*found.submodule_search_locations or ()) / "db" / "bin" / "mongod" if found else Path()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        command = [program, "--dbpath", place, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            os.environ["FIFTYONE_DATABASE_URI"] = f"mongodb://127.0.0.1:{port}"
            yield
        finally:
            process.terminate()
            process.wait(60)


def _wait(port: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"MongoDB does not answer within {SECONDS} s")
