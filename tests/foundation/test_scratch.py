"""Scratch tables of a running stage."""

from pathlib import Path

import pyarrow as pa
import pytest

from detray.errors import DetrayError
from detray.store import Stage, Store


def test_scratch_comes_back_and_goes_with_the_commit(tmp_path: Path) -> None:
    stage = Stage(Store(str(tmp_path)), "audit")
    stage.begin("one")
    rows = pa.table({"key": [3, None], "name": ["a", "b"]})
    stage.write_scratch("keys/00001", [rows])
    assert stage.read_scratch("keys/00001").equals(rows)
    assert stage.read_scratch("keys/00001", ["name"]).column_names == ["name"]
    with pytest.raises(DetrayError, match=r"keys/00002\.arrow: gone"):
        stage.read_scratch("keys/00002")
    stage.commit({}, {}, {}, "", ["findings"])
    assert [path.name for path in sorted((tmp_path / "audit").iterdir())] == [
        "config.yaml",
        "findings",
        "manifest.json",
    ]
