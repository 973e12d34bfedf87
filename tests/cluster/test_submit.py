"""`ray job submit` of the job files, on a head that is started here."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def environment() -> dict[str, str]:
    # an address of an outer session would win over the head's; the workspace may have left a token file
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return kept | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """A Ray head of three logical CPUs; its dashboard's address, which takes jobs."""
    gcs, dashboard, agent, metrics, client = free_ports(5)
    folder = tempfile.mkdtemp(prefix="detray-head-")  # short: sockets lie below it
    command = [
        BIN / "ray",
        "start",
        "--head",
        "--block",
        "--num-cpus=3",
        "--object-store-memory=200000000",
        f"--port={gcs}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--metrics-export-port={metrics}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder}",
    ]
    log = Path(folder) / "head.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
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
        yield f"http://127.0.0.1:{dashboard}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)  # nothing on it is worth a slower end
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


@pytest.fixture(scope="module")
def submit(head: str, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Submits a job file with arguments, as the docs say; the finished process."""

    def run(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # only what a node needs travels: Ray packs the working directory
        exclude = json.dumps({"excludes": [".venv", "out", ".git", "tests", "docs"]})
        return subprocess.run(
            [
                *(BIN / "ray", "job", "submit", "--address", head, "--working-dir", ROOT),
                *("--runtime-env-json", exclude, "--", "python", f"jobs/{verb}.py", *arguments),
            ],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def ground_truth(path: Path) -> Path:
    boxes = [[10, 10, 30, 40], [50, 20, 0, 10], [10, 10, 30, 40], [90, 90, 50, 50]]
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, box in enumerate(boxes)
        ],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_submitted_audit_writes_its_tables(submit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / "out"
    done = submit("audit", str(ground_truth(tmp_path / "gt.json")), "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "degenerate-box" in done.stdout
    rules = duckdb.sql(f"SELECT DISTINCT rule FROM '{output}/audit/findings/*.parquet'").fetchall()
    assert {"degenerate-box", "out-of-bounds", "duplicate-box"} <= {rule for (rule,) in rules}
    manifest = json.loads((output / "audit" / "manifest.json").read_text())
    assert manifest["cluster"]["executor"] == "RayExecutor"


def test_a_job_that_fails_says_why(submit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = submit("audit", str(tmp_path / "nowhere.json"))
    assert done.returncode == 1
    assert "nowhere.json: no such file" in done.stdout + done.stderr


def test_there_is_a_job_file_for_each_verb_but_demo_and_schema() -> None:
    from detray.cli import VERBS

    files = {path.stem for path in (ROOT / "jobs").glob("[!_]*.py")}
    assert files == set(VERBS)
