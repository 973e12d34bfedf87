"""What Prometheus finds on a node of Ray: the counts of the tables that a command wrote."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import data_files
import heads
import pytest

from detray.flow.events import METRICS
from detray.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DRIVER = """
import sys
from detray.cli import main
from detray.cluster.session import ray_session
from detray.cluster.settings import ClusterSettings
with ray_session(ClusterSettings(address=sys.argv[1])):
    print("exit code", main(sys.argv[2:]), flush=True)
    sys.stdin.readline()  # its counters are there as long as it is
"""
LINE = re.compile(r"^ray_(detray_\w+?)_total\{(.*)\} (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def head() -> Iterator[heads.Head]:
    settings = json.dumps({"metrics_report_interval_ms": 1000})
    with heads.started("--num-cpus=2", f"--system-config={settings}") as found:
        yield found


def scraped(port: int) -> dict[tuple[str, str, str], float]:
    """The counters of detray: by name, stage and step."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = {}
    for name, labels, value in LINE.findall(text):
        tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if not name.endswith("_created"):
            found[name, tags["stage"], tags["step"]] = float(value)
    return found


def total(found: dict[tuple[str, str, str], float], metric: str, stage: str) -> float:
    return sum(value for (name, of, _), value in found.items() if (name, of) == (metric, stage))


def test_a_node_tells_prometheus_what_the_tables_hold(head: heads.Head, tmp_path: Path) -> None:
    boxes = [(0, (10.0, 10.0, 30.0, 40.0)), (1, (90.0, 70.0, 50.0, 50.0))]
    data_files.voc(tmp_path, [boxes, boxes])
    (tmp_path / "Annotations" / "1.xml").write_text("<annotation>")
    output, address = tmp_path / "out", f"127.0.0.1:{head.gcs}"
    words = [heads.BIN / "python", "-c", DRIVER, address, "audit", tmp_path / "Annotations"]
    driver = subprocess.Popen(
        [*words, "--output", output, "--address", address],
        env=heads.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        while "exit code" not in said:
            line = driver.stdout.readline()  # type: ignore[union-attr]
            assert line, said
            said += line
        assert "exit code 0" in said, said
        store = Store(str(output))
        manifests = {stage: store.manifest(stage) or {} for stage in ("ingest", "audit")}
        rows = {stage: sum(own["rows"] for own in manifests[stage]["tables"].values()) for stage in manifests}
        findings, left_out = store.read("findings").num_rows, store.read("quarantine", "ingest").num_rows
        assert (findings > 0, left_out) == (True, 1), said
        deadline, found = time.monotonic() + 120, scraped(head.metrics)
        while total(found, "detray_rows", "audit") < rows["audit"] and time.monotonic() < deadline:
            time.sleep(1)
            found = scraped(head.metrics)
    finally:
        driver.communicate("\n", timeout=60)
    assert {stage: total(found, "detray_rows", stage) for stage in rows} == rows
    assert total(found, "detray_findings", "audit") == findings
    assert total(found, "detray_quarantined", "ingest") == left_out
    assert found["detray_images", "audit", "rules"] == 1
    assert "detray_retries" not in {name for name, _, _ in found}
    assert {name for name, _, _ in found} < METRICS.keys()
    cluster = manifests["audit"]["cluster"]
    assert (len(cluster["hosts"]), cluster["cpus"], cluster["left_out"]) == (1, 2.0, [])
