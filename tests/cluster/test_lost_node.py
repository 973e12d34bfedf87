"""A machine that leaves while it trains: its trial goes on elsewhere, from its checkpoint on the shared output."""

from pathlib import Path

import heads
import pytest

PROGRAM = Path(__file__).with_name("lost_node.py")


@pytest.mark.ray
@pytest.mark.slow
def test_the_trials_of_a_lost_node_go_on_elsewhere(tmp_path: Path) -> None:
    found = heads.found_by(PROGRAM, tmp_path)
    assert found["is_taken"] == [True]
    assert list(found["ended"].values()) == ["completed"] * 5
    starts = {path.stem: path.read_text().split("\n")[:-1] for path in tmp_path.glob("*.starts")}
    assert set(starts) == set(found["ended"])
    assert sorted(begun for begun in starts.values() if begun != ["kept 1"]) == [["lost 1", "kept 3"]]
