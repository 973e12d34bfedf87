"""Steps with actors whose cluster loses a machine: they end on the others, and never wait for what cannot come."""

from pathlib import Path

import heads
import pytest

from detray.cluster import stall
from detray.cluster.stall import Stall, Stalled

PROGRAM = Path(__file__).with_name("lost_actor.py")


class Cluster:
    """A clock, and the machines that are lost."""

    now = 100.0
    lost: frozenset[str] = frozenset(("long ago",))

    def stall(self) -> Stall:
        return Stall(lambda: self.lost, lambda: self.now)


def test_without_a_loss_a_task_may_take_as_long_as_it_likes() -> None:
    cluster = Cluster()
    found = cluster.stall()
    cluster.now += 1e6
    found.check()


def test_after_a_loss_there_is_patience_from_when_it_is_noticed() -> None:
    cluster = Cluster()
    found = cluster.stall()
    cluster.now += 5
    cluster.lost = frozenset(("long ago", "now"))
    found.check()
    cluster.now += stall.PATIENCE - 1
    found.check()
    cluster.now += 3
    with pytest.raises(Stalled, match="no task has ended for 62 s since a machine died"):
        found.check()


def test_a_task_that_was_long_at_work_may_go_on() -> None:
    cluster = Cluster()
    found = cluster.stall()
    cluster.now += 1000
    cluster.lost = frozenset(("now",))
    found.check()
    cluster.now += stall.GAPS * 1000 - 1
    found.check()


def test_patience_grows_with_the_time_that_tasks_take() -> None:
    cluster = Cluster()
    found = cluster.stall()
    cluster.now += 100
    found.answer()
    cluster.lost = frozenset(("now",))
    found.check()
    cluster.now += stall.GAPS * 100 - 1
    found.check()
    found.answer()
    cluster.now += stall.PATIENCE
    found.check()
    cluster.now += stall.GAPS * 299
    with pytest.raises(Stalled):
        found.check()


@pytest.mark.ray
@pytest.mark.slow
def test_what_a_lost_machine_leaves_is_done_by_the_other_one(tmp_path: Path) -> None:
    found = heads.found_by(PROGRAM, tmp_path)
    assert {name: one["tasks"] for name, one in found.items()} == {"read": 12, "bare": 12}
    died, again = found["read"]["told"]
    assert "died" in died
    assert "since a machine died; what is left begins anew" in again
    assert len(found["bare"]["told"]) == 1
