"""Tables that were written with other columns are not current."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from detray import cli, schema


def test_a_stage_runs_again_where_its_tables_have_gained_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "gt.json"
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    truth.write_text(json.dumps({"images": [image], "annotations": [], "categories": [{"id": 1, "name": "a"}]}))
    command = ["audit", str(truth), "--serial", "--output", str(tmp_path / "out")]
    assert cli.main(command) == 0
    findings = schema.TABLES["findings"]
    further = replace(findings.columns[-1], name="further")
    monkeypatch.setitem(schema.TABLES, "findings", replace(findings, columns=(*findings.columns, further)))
    capsys.readouterr()
    assert cli.main(command) == 0
    told = capsys.readouterr().err
    assert "audit: current" not in told
    assert "ingest: current" in told
