"""How far a run is can be read while it runs."""

import json
from pathlib import Path

import pytest
from samples import COCO

from detray.cli import main
from detray.flow.outcome import Silent
from detray.store import Lock, Stage, Store
from detray.verbs import status as module
from detray.verbs.status import Told


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_what_is_complete_and_what_runs(
    tmp_path: Path, scheme: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALM", 0.0)
    (tmp_path / "gt.json").write_bytes(COCO)
    output = f"{scheme}{tmp_path}/out"
    assert main(["ingest", str(tmp_path / "gt.json"), "--output", output, "--serial"]) == 0
    capsys.readouterr()
    assert main(["status", output]) == 0
    said = capsys.readouterr().out
    assert "ingest  complete" in said
    assert "nothing runs there" in said
    store = Store(output)
    with Lock(store) as lock:
        lock.take()
        Stage(store, "audit").begin("one")
        told = Told(Silent(), store, "audit")
        told.step("rules", 24)
        told.advance(7)
        assert main(["status", output, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["stage"], row["state"]) for row in found["stages"]] == [("ingest", "complete"), ("audit", "running")]
    assert "process" in found["run"][0]
    assert found["run"][1].startswith("audit: rules 7/24, about ")
