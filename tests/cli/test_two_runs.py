"""Two commands in one output folder: one runs, the other is refused, and the tables are those of one run."""

import subprocess
import sys
from pathlib import Path

import pytest
from evaluated import Runs, tables

from detray.store import Lock, Store


def test_one_of_two_commands_that_race_is_refused(runs: Runs, tmp_path: Path) -> None:
    files = [str(runs.folder / name) for name in ("gt.json", "dets.json")]
    command = [sys.executable, "-m", "detray", "evaluate", *files, "--serial", "--output", str(tmp_path / "out")]
    racing = [subprocess.Popen([*command, "--force"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in "ab"]
    said = [process.communicate()[1].decode() for process in racing]
    codes = [process.returncode for process in racing]
    assert sorted(codes) in ([0, 2], [0, 0])  # or one began after the other had ended
    if 2 in codes:
        sentence = said[codes.index(2)].splitlines()[-1]
        assert f"process {racing[codes.index(0)].pid} on " in sentence
        assert "detray" in sentence
        assert "is writing there" in sentence
    assert tables(tmp_path / "out") == runs.tables
    assert not (tmp_path / "out" / "lock.json").exists()


def test_what_is_current_needs_no_lock(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = runs.copy("whole", tmp_path / "out")
    with Lock(Store(str(output))) as other:
        other.take()
        assert runs.evaluate(output) == 0
        capsys.readouterr()
        assert runs.evaluate(output, "--force") == 2
        assert capsys.readouterr().err.count("detray: ") == 1
    assert runs.evaluate(output, "--force") == 0
