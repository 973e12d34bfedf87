"""A minute of faults at random, also in `make test`; `make chaos` takes longer."""

from pathlib import Path

import chaos


def test_whatever_happens_the_next_run_has_the_same_tables(tmp_path: Path) -> None:
    met = chaos.run(60, 0, tmp_path)
    assert sum(met.values()) >= 3
