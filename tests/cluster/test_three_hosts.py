"""Three hosts that share nothing but an object store: whatever fails, the tables are those of one undisturbed process.

``make test-cluster``; needs root for Linux namespaces (see `namespaces`), and is skipped with the reason elsewhere.
What happens here waits for what it is to meet, a task that runs on a host for instance, and not for a time.
"""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import cells
import heads
import msgspec
import namespaces
import pyarrow as pa
import pytest
import s3
from namespaces import Host

from detray import cache
from detray.flow.events import Event
from detray.store import Store

pytestmark = [pytest.mark.cluster, pytest.mark.ray, pytest.mark.slow]

STAGES = ("ingest", "audit", "train", "predict", "evaluate", "diagnose", "tune", "clean", "report")
TIMES = {"run", "run_id", "seconds", "epoch_seconds", "gpu_seconds", "cost_share"}
"""Columns that differ from run to run."""
CUT = 20.0
"""Seconds that a host is without network."""
AT_WORK = re.compile(r"ray::(_do\b|ReadTasks|MapBatches|MapWorker.*submit|ImplicitFunc\.train)")
"""How Ray titles a process that runs a task, a part of a stream or a trial; one that only waits for such has no method
in its title."""
PATIENCE = 1200.0
"""Seconds until what a test waits for has come, on a machine that has much else to do."""


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
        done = self.hosts[1].run(*self._words(command, output), timeout=1500, **self.environment)
        return done.returncode, done.stdout + done.stderr

    def killed(self, *command: str, output: str, when: Callable[[], object]) -> None:
        """A command whose process is killed as soon as ``when`` says so."""
        log, number = self.folder / "logs" / "killed", self.folder / "logs" / "pid"
        line = f'echo $$ > {number}; exec "$@"'
        process = self.hosts[1].start(log, "sh", "-c", line, "sh", *self._words(command, output), **self.environment)
        wait_for(when)
        self.hosts[1].do("kill", "-9", number.read_text().strip())
        assert process.wait(60) != 0, log.read_text()

    def works(self, number: int) -> bool:
        """Whether a task or an actor of Ray does something on a host."""
        titles = self.hosts[number].run("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'").stdout
        return any(AT_WORK.match(title) for title in titles.splitlines())

    @property
    def disk(self) -> Path:
        """Where each host has its copies and what Ray writes: a disk of its own."""
        return self.folder / "t"

    def fill(self, number: int) -> None:
        """Leave no room on a host's disk."""
        used = int(self.hosts[number].run("du", "-sk", self.disk).stdout.split()[0])
        self.hosts[number].do("mount", "-o", f"remount,size={used + 64}k", self.disk)
        self.hosts[number].run("sh", "-c", f"head -c 100M /dev/zero > {self.disk}/full")

    def renew(self, number: int) -> None:
        """Another host in the place of one."""
        self.kill(number)
        self.add(number)

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
    """The data and the configuration, in the object store."""
    cells.write(folder, f"s3://{s3.BUCKET}/data")
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
    found = tables(str(output))
    assert all(found[name] for name in ("audit/findings", "predict/predictions", "evaluate/matches", "tune/trials"))
    return found


def tables(output: str) -> dict[str, list[str]]:
    """The rows of all tables as sorted text."""
    store = Store(output)
    found: dict[str, list[str]] = {}
    for stage in STAGES:
        for name in (store.manifest(stage) or {"tables": ()})["tables"]:
            rows: pa.Table = store.read(name, stage)
            rows = rows.drop_columns([column for column in rows.column_names if column in TIMES])
            found[f"{stage}/{name}"] = sorted(map(str, rows.to_pylist()))
    return found


def differing(found: dict[str, list[str]], expected: dict[str, list[str]], stage: str) -> dict[str, list[str]]:
    """The first rows that are not as expected, by table, of a run whose last stage is ``stage``."""
    wanted = {name for name in expected if name.startswith(f"{stage}/")}
    assert wanted <= found.keys()
    return {
        name: [*(set(rows) ^ set(expected[name])), f"{len(rows)} rows"][:3]
        for name, rows in found.items()
        if rows != expected[name]
    }


def events(output: str) -> list[Event]:
    """What the logs of an output folder say."""
    store = Store(output)
    files = [name for name in store.names("logs") if name.endswith(".jsonl")]
    lines = [line for name in files for line in (store.read_bytes("logs", name) or b"").splitlines()]
    return [msgspec.json.decode(line, type=Event) for line in lines]


def are_whole(output: str) -> bool:
    """Whether no stage is there in part."""
    store = Store(output)
    return all("_partial" not in store.names(stage) for stage in STAGES)


def wait_for(is_there: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        assert time.monotonic() < deadline, "what the test waits for does not come"
        time.sleep(0.2)


def at_work(output: str, stage: str, prefix: str) -> Callable[[], object]:
    """Whether a stage runs and has left something below ``prefix``."""
    return lambda: Store(output).names(stage, "_partial", *filter(None, prefix.split("/")))


@dataclass
class Disturbance:
    """What befalls a run, in a thread of its own."""

    disturb: Callable[[], None]
    error: BaseException | None = None

    def __enter__(self) -> "Disturbance":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.disturb()
        except BaseException as error:
            self.error = error

    def __exit__(self, *error: object) -> None:
        self._thread.join()
        if self.error is not None and error[0] is None:
            raise self.error


def test_a_whole_run(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/whole"
    code, said = cluster.detray("run", output=output)
    assert code == 0, said
    assert differing(tables(output), expected, "report") == {}
    assert are_whole(output)


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
    assert differing(tables(output), expected, "report") == {}
    assert are_whole(output)


STEPS = {
    "audit": "scratch/rules",
    "predict": "",
    "evaluate": "scratch/match",
    "tune": "work/trials",
}
"""Where each stage has left something when a host is killed in it; in predict while actors load the model, as what they
do then is over in a moment."""


def test_a_host_is_killed_in_each_of_four_stages(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/killed"
    killed: dict[str, str] = {}

    def kill() -> None:
        for stage, prefix in STEPS.items():
            wait_for(at_work(output, stage, prefix))
            victims: list[int] = []
            wait_for(lambda found=victims: found.extend(n for n in (3, 2) if cluster.works(n)) or found)
            assert Store(output).manifest(stage) is None, f"{stage} was over before a host was killed"
            killed[stage] = cluster.hosts[victims[0]].name
            cluster.kill(victims[0])
            cluster.add(victims[0])

    with Disturbance(kill):
        code, said = cluster.detray("run", output=output)
    assert code == 0, said
    # Ray may know of a death only in the next stage: what was lost is noticed sooner by whoever waits for it
    died = [event.host for event in events(output) if event.event == "host_died"]
    assert died == list(killed.values())
    assert killed.keys() == STEPS.keys()
    assert differing(tables(output), expected, "report") == {}
    assert are_whole(output)


def test_a_driver_that_is_killed_and_the_command_given_again(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/again"
    cluster.killed("audit", output=output, when=at_work(output, "audit", "scratch/rules"))
    assert Store(output).manifest("audit") is None
    code, said = cluster.detray("audit", output=output)
    assert code == 0, said
    assert differing(tables(output), expected, "audit") == {}
    assert are_whole(output)


def test_a_network_that_is_cut(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    output = f"s3://{s3.BUCKET}/cut"

    def cut() -> None:
        wait_for(at_work(output, "audit", "scratch/rules"))
        cluster.hosts[2].do("ip", "link", "set", "eth0", "down")
        time.sleep(CUT)
        cluster.hosts[2].do("ip", "link", "set", "eth0", "up")

    with Disturbance(cut):
        code, said = cluster.detray("audit", output=output)
    assert code == 0, said
    assert differing(tables(output), expected, "audit") == {}
    assert are_whole(output)


def test_a_disk_that_is_full(cluster: Cluster, expected: dict[str, list[str]]) -> None:
    """Where a host keeps its copies and temporary files there is no room: its tasks do without, or run elsewhere."""
    output = f"s3://{s3.BUCKET}/full"

    def fill() -> None:
        wait_for(at_work(output, "audit", "scratch/rules"))
        cluster.fill(2)

    with Disturbance(fill):
        code, said = cluster.detray("audit", output=output)
    assert cluster.hosts[2].run("sh", "-c", f"echo more > {cluster.disk}/more").returncode != 0
    cluster.renew(2)
    assert code == 0, said
    assert differing(tables(output), expected, "audit") == {}
    assert are_whole(output)
