"""Ray heads that a test starts, and that are gone afterwards."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """The ports of a head on this machine: of Ray itself, of its dashboard, and of what Prometheus reads."""

    gcs: int
    dashboard: int
    metrics: int


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def environment() -> dict[str, str]:
    """What a process on the head sees."""
    # an address of an outer session would win over the head's; the workspace may have left a token file
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return kept | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def found_by(program: Path, folder: Path) -> Any:
    """What a program that starts a cluster leaves in ``found.json`` of the folder that it is given: in a process of its
    own, as those of a cluster share what Ray takes from the environment."""
    done = subprocess.run(
        [sys.executable, program, folder], capture_output=True, text=True, env=environment(), timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


@contextmanager
def started(*arguments: str, config: Callable[[Head], str] | None = None) -> Iterator[Head]:
    """A head with further arguments of `ray start`; ``config`` writes the YAML by which it grows."""
    gcs, dashboard, agent, metrics, client = free_ports(5)
    head = Head(gcs, dashboard, metrics)
    folder = Path(tempfile.mkdtemp(prefix="detray-head-"))  # short: sockets lie below it
    command = [
        BIN / "ray",
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        "--object-store-memory=200000000",
        f"--port={gcs}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--metrics-export-port={metrics}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder}",
        *arguments,
    ]
    if config is not None:
        (folder / "cluster.yaml").write_text(config(head))
        command.append(f"--autoscaling-config={folder / 'cluster.yaml'}")
    log = folder / "head.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=environment() | ({"RAY_FAKE_CLUSTER": "1"} if config else {}),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 90
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", dashboard)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield head
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)  # nothing on it is worth a slower end
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
