"""Three hosts that share nothing but an object store: whatever fails, the tables are those of one undisturbed process.

``make test-cluster``; needs root for Linux namespaces (see `namespaces`), and is skipped with the reason elsewhere.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import heads
import namespaces
import pyarrow as pa
import pytest
import s3
from namespaces import Host
from test_two_hosts import write_data

from detray import cache
from detray.store import Store

pytestmark = [pytest.mark.cluster, pytest.mark.ray, pytest.mark.slow]

STAGES = ("ingest", "audit", "predict", "evaluate", "diagnose", "clean")
TABLES = {
    "ingest": ("images", "annotations", "categories"),
    "audit": ("findings", "image_stats", "class_stats"),
    "predict": ("predictions", "quarantine"),
    "evaluate": ("class_metrics", "matches"),
}
CUT = 20.0
"""Seconds that a host is without network."""


@dataclass
class Cluster:
    """The hosts by their number from 1; the first runs the command."""

    network: str
    folder: Path
    server: s3.Server
    hosts: dict[int, Host] = field(default_factory=dict)
    _stacks: dict[int, ExitStack] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{namespaces.NETWORK}.1:6379"

    @property
    def environment(self) -> dict[str, str]:
        # in a folder that each host has for itself
        return self.server.environment | {cache.FOLDER: f"{self.folder / 't'}/cache", "PYTHONPATH": str(Path.cwd())}

    def add(self, number: int) -> None:
        """A new host under a number, with Ray."""
        stack = self._stacks[number] = ExitStack()
        host = self.hosts[number] = stack.enter_context(namespaces.host_on(self.network, number))
        namespaces.start_ray(host, self.folder, self.address, **self.environment)

    def kill(self, number: int) -> None:
        """All at once, as when the power goes."""
        del self.hosts[number]
        self._stacks.pop(number).close()

    def _words(self, command: Sequence[str], output: str) -> list[str | Path]:
        words = [heads.BIN / "python", "-m", "detray", *command, "--output", output, "--address", self.address]
        return [*words, "--config", f"s3://{s3.BUCKET}/data/config.yaml"]

    def detray(self, *command: str, output: str) -> tuple[int, str]:
        """A command on the first host: its exit code and what it says."""
        done = self.hosts[1].run(*self._words(command, output), timeout=400, **self.environment)
        return done.returncode, done.stdout + done.stderr

    def killed(self, *command: str, output: str, prefix: str) -> None:
        """A command whose process is killed as soon as something lies below ``prefix``."""
        log, number = self.folder / "logs" / "killed", self.folder / "logs" / "pid"
        line = f'echo $$ > {number}; exec "$@"'
        process = self.hosts[1].start(log, "sh", "-c", line, "sh", *self._words(command, output), **self.environment)
        when(output, prefix, lambda: self.hosts[1].do("kill", "-9", number.read_text().strip())).join()
        assert process.wait(60) != 0, log.read_text()

    def close(self) -> None:
        for number in sorted(self.hosts, reverse=True):
            self.kill(number)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := namespaces.lacking():
        pytest.skip(reason)
    folder = namespaces.ray_folder()
    with (
        namespaces.bridge() as network,
        s3.running(host=f"{namespaces.NETWORK}.254") as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv(cache.FOLDER, str(tmp_path_factory.mktemp("cache")))
        upload(tmp_path_factory.mktemp("data"))
        found = Cluster(network, folder, server)
        try:
            for number in (1, 2, 3):
                found.add(number)
            yield found
        finally:
            found.close()
            shutil.rmtree(folder, ignore_errors=True)


def upload(folder: Path) -> None:
    """The data of `test_two_hosts`, named by URIs."""
    write_data(folder)
    config = json.loads((folder / "config.yaml").read_text())
    config["dataset"]["root"] = f"s3://{s3.BUCKET}/data"
    config["detector"]["path"] = f"s3://{s3.BUCKET}/data/model"
    (folder / "config.yaml").write_text(json.dumps(config))
    store = Store(f"s3://{s3.BUCKET}/data")
    for path in folder.rglob("*"):
        if path.is_file():
            store.write_bytes(path.read_bytes(), *path.relative_to(folder).parts)


@pytest.fixture(scope="module")
def expected(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The tables of a local run that nothing disturbs."""
    output = tmp_path_factory.mktemp("local") / "out"
    command = [sys.executable, "-m", "detray", "run", "--serial", "--output", output]
    command += ["--config", f"s3://{s3.BUCKET}/data/config.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return tables(str(output))


def tables(output: str) -> dict[str, list[str]]:
    """The rows of all tables as sorted text."""
    store = Store(output)
    found: dict[str, list[str]] = {}
    for stage, names in TABLES.items():
        if store.manifest(stage) is not None:
            for name in names:
                rows: pa.Table = store.read(name, stage)
                found[f"{stage}/{name}"] = sorted(map(str, rows.drop_columns(["run", "run_id"]).to_pylist()))
    return found


def are_complete(output: str, stage: str, expected: dict[str, list[str]]) -> bool:
    """Whether the tables of a stage are there, and all that are there as expected."""
    found = tables(output)
    wanted = {f"{stage}/{name}" for name in TABLES[stage]}
    return wanted <= found.keys() and found == {name: expected[name] for name in found}


def when(output: str, prefix: str, disturb: Callable[[], None]) -> threading.Thread:
    """``disturb`` as soon as a task of a step has left something in a stage that runs."""

    def wait() -> None:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            if Store(output).names(*prefix.split("/")):
                disturb()
                return
            time.sleep(0.3)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_one_answer_in_ten_is_503(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/busy"
    cluster.server.behave(fail=0.1)
    try:
        code, said = cluster.detray("run", output=output)
    finally:
        counts = cluster.server.counts()
        cluster.server.behave()
    assert code == 0, said
    assert counts["503"] > 50
    assert tables(output) == expected
    store = Store(output)
    assert all(store.manifest(stage) is not None and "_partial" not in store.names(stage) for stage in STAGES)


@pytest.mark.parametrize(
    ("stage", "step"), [("audit", "audit/_partial/scratch/rules"), ("predict", "predict/_partial/predictions")]
)
def test_a_host_that_is_killed(cluster: Cluster, expected: dict[str, list[str]], stage: str, step: str) -> None:
    output = f"s3://{s3.BUCKET}/killed-{stage}"
    killer = when(output, step, lambda: cluster.kill(3))
    code, said = cluster.detray(stage, output=output)
    killer.join()
    assert 3 not in cluster.hosts, f"the stage was over before the host was killed\n{said}"
    cluster.add(3)
    assert code == 0, said
    assert said.count("host-c died, at most") == 1, said
    assert are_complete(output, stage, expected)


def test_a_driver_that_is_killed_and_the_command_given_again(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/again"
    cluster.killed("audit", output=output, prefix="audit/_partial/scratch/rules")
    assert Store(output).manifest("audit") is None
    code, said = cluster.detray("audit", output=output)
    assert code == 0, said
    assert are_complete(output, "audit", expected)


def test_a_network_that_is_cut(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/cut"

    def cut() -> None:
        cluster.hosts[2].do("ip", "link", "set", "eth0", "down")
        time.sleep(CUT)
        cluster.hosts[2].do("ip", "link", "set", "eth0", "up")

    cutter = when(output, "audit/_partial/scratch/rules", cut)
    code, said = cluster.detray("audit", output=output)
    cutter.join()
    assert code == 0, said
    assert are_complete(output, "audit", expected)
