"""A machine that leaves while it trains: its trial goes on elsewhere, from its checkpoint on the shared output."""

import json
import subprocess
import sys
from pathlib import Path

import heads
import pytest

PROGRAM = Path(__file__).with_name("lost_node.py")


@pytest.mark.ray
@pytest.mark.slow
def test_the_trials_of_a_lost_node_go_on_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, PROGRAM, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=heads.environment(), timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["is_taken"] == [True]
    assert list(found["ended"].values()) == ["completed"] * 5
    starts = {path.stem: path.read_text().split("\n")[:-1] for path in tmp_path.glob("*.starts")}
    assert set(starts) == set(found["ended"])
    assert sorted(begun for begun in starts.values() if begun != ["kept 1"]) == [["lost 1", "kept 3"]]
