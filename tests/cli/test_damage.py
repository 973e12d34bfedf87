"""Nothing in the output folder is trusted: whatever is damaged there is said, and made again."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from evaluated import STAGES, Runs, tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detray import cli
from detray.store import Stage, Stored, integrity
from detray.store.integrity import sealed, sealed_json, unsealed, unsealed_json


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def foreign(file: Path) -> None:
    file.write_text('{"version": 7, "tables": ["images"]}')


def nested(file: Path) -> None:
    file.write_text("[" * 100_000)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def resealed(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Someone who knows the seals: what they write is refused by its shape."""

    def tamper(file: Path) -> None:
        is_manifest = file.name == "manifest.json"
        content = unsealed_json(file.read_bytes()) if is_manifest else json.loads(unsealed(file.read_bytes()) or b"")
        change(content)
        file.write_bytes(sealed_json(content) if is_manifest else sealed(json.dumps(content).encode()))

    return tamper


LEADING_OUT = "../../home/id_rsa"
PART = "images/part-00000.parquet"
COMPLETE = {
    "a part is gone": (PART, Path.unlink),
    "a part is cut": (PART, cut),
    "a part has another bit": (PART, flip),
    "a part is a pipe": (PART, pipe),
    "the manifest is cut": ("manifest.json", cut),
    "the manifest has another bit": ("manifest.json", flip),
    "the manifest is of another shape": ("manifest.json", foreign),
    "the manifest is nested": ("manifest.json", nested),
    "the manifest is a folder": ("manifest.json", folder),
    "the manifest is a pipe": ("manifest.json", pipe),
    "a part leads out": (
        "manifest.json",
        resealed(lambda m: m["tables"]["images"]["files"][0].update(file=f"ingest/images/{LEADING_OUT}")),
    ),
    "a file leads out": (
        "manifest.json",
        resealed(lambda m: m["files"].update({LEADING_OUT: {"bytes": 1, "digest": ""}})),
    ),
    "a table leads out": ("manifest.json", resealed(lambda m: m["tables"].update({"../x": m["tables"].pop("images")}))),
    "facts are of another type": ("manifest.json", resealed(lambda m: m.update(facts=[1, 2]))),
    "rows are text": ("manifest.json", resealed(lambda m: m["tables"]["images"].update(rows="many"))),
    "another stage's manifest": ("manifest.json", resealed(lambda m: m.update(stage="audit"))),
}


@pytest.mark.parametrize("options", [(), ("--force",)])
@pytest.mark.parametrize("variant", COMPLETE)
def test_a_damaged_stage_runs_again(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str, options: tuple[str, ...]
) -> None:
    output = runs.copy("whole", tmp_path / "out")
    file, tamper = COMPLETE[variant]
    tamper(output / "ingest" / file)
    capsys.readouterr()
    assert runs.evaluate(output, *options) == 0
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.endswith("; ingest runs again")] != []
    assert tables(output) == runs.tables
    assert not (output / "lock.json").exists()


CUT = {
    "a receipt is cut": ("predict", "receipts/*.json", cut),
    "a receipt has another bit": ("predict", "receipts/*.json", flip),
    "a receipt is of another shape": ("predict", "receipts/*.json", foreign),
    "a receipt is a folder": ("predict", "receipts/*.json", folder),
    "facts of another shape": ("predict", "receipts/*.json", resealed(lambda r: r.update(facts={"rows": "many"}))),
    "of another task": ("predict", "receipts/*.json", resealed(lambda r: r.update(key="other"))),
    "a part is gone": ("predict", "predictions/*.parquet", Path.unlink),
    "a part is cut": ("predict", "predictions/*.parquet", cut),
    "a kept table is gone": ("evaluate", "scratch/**/*.arrow", Path.unlink),
    "a kept table is cut": ("evaluate", "scratch/**/*.arrow", cut),
    "a kept table has another bit": ("evaluate", "scratch/**/*.arrow", flip),
    "the fingerprint is cut": ("predict", "fingerprint", cut),
    "the fingerprint has another bit": ("predict", "fingerprint", flip),
    "the fingerprint is a folder": ("predict", "fingerprint", folder),
}


@pytest.mark.parametrize("variant", CUT)
def test_a_run_goes_on_from_what_is_whole(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    stage, pattern, tamper = CUT[variant]
    output = runs.copy(f"cut-{stage}", tmp_path / "out")
    found = [path for path in sorted((output / stage / "_partial").glob(pattern)) if path.is_file()]
    assert found
    for file in found:
        tamper(file)
    capsys.readouterr()
    assert runs.evaluate(output) == 0
    said = capsys.readouterr().err
    assert "done again" in said or "begins anew" in said or variant == "of another task"
    assert tables(output) == runs.tables


def test_a_receipt_moves_nothing_from_outside(runs: Runs, tmp_path: Path) -> None:
    secret = tmp_path / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_text("secret")
    output = runs.copy("cut-predict", tmp_path / "out")
    out = "../../../../home/id_rsa"
    for file in (output / "predict/_partial/receipts").iterdir():
        part = {"file": out, "rows": 1, "bytes": 6, "digest": integrity.stored(6, b"secret").digest}
        resealed(lambda receipt, part=part: receipt["tables"].update(predictions=[part]))(file)
    assert runs.evaluate(output) == 0
    assert secret.read_text() == "secret"
    assert tables(output) == runs.tables


def test_what_a_commit_that_was_cut_off_had_moved_is_looked_at(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = runs.copy("cut-evaluate", tmp_path / "out")
    move, moved = Stage._move, []

    def cut_off(self: Stage, name: str, target: str, written: Stored, is_new: bool) -> None:
        if len(moved) == 3:
            raise KeyboardInterrupt
        move(self, name, target, written, is_new)
        moved.append(output / target)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "_move", cut_off)
        assert runs.evaluate(output) == 130
    cut(moved[0])
    capsys.readouterr()
    assert runs.evaluate(output) == 0
    assert capsys.readouterr().err.count("evaluate begins anew") == 1
    assert tables(output) == runs.tables


def test_a_damaged_page_is_found_as_it_is_read(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of large parts only the end is looked at beforehand."""
    for module in ("integrity", "store"):
        monkeypatch.setattr(f"detray.store.{module}.TAIL", 64)
    output = tmp_path / "out"
    assert runs.evaluate(output) == 0
    part = output / "ingest" / PART
    column = pq.ParquetFile(part).metadata.row_group(0).column(3)  # image_id
    data = bytearray(part.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    part.write_bytes(data)
    capsys.readouterr()
    assert runs.evaluate(output) == 0
    assert "ingest: current" in capsys.readouterr().err
    assert runs.evaluate(output, "--force") == 0
    said = capsys.readouterr().err
    assert "CRC" in said
    assert "ingest runs again" in said
    assert tables(output) == runs.tables


@pytest.mark.parametrize("tamper", [cut, flip, foreign])
@pytest.mark.parametrize("file", ["predict/manifest.json", "predict/predictions/part-00000.parquet"])
def test_another_runs_folder_is_read_or_refused_in_a_sentence(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, tamper: Callable[[Path], None]
) -> None:
    other = runs.copy("whole", tmp_path / "other")
    tamper(other / file)
    capsys.readouterr()
    assert runs.evaluate(tmp_path / "out", "--against", str(other)) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"detray: {other / file}: ")
    assert said.endswith(f"; run 'detray predict --output {other}' again")


def test_a_table_of_another_version_is_said_to_be_one(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = runs.copy("whole", tmp_path / "other")
    part = other / "predict/predictions/part-00000.parquet"
    pq.write_table(pq.read_table(part).drop_columns(["score"]), part)
    now = integrity.stored(part.stat().st_size, part.read_bytes())
    tamper = resealed(lambda m: m["tables"]["predictions"]["files"][0].update(bytes=now.bytes, digest=now.digest))
    tamper(other / "predict/manifest.json")
    capsys.readouterr()
    assert runs.evaluate(tmp_path / "out", "--against", str(other)) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"detray: {part}: written by another version of detray (it has no column 'score');"
        f" run 'detray predict --output {other}' again"
    )


def test_what_people_edit_is_left_alone(runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    command = ["clean", str(runs.folder / "gt.json"), "--serial", "--output", str(output)]
    assert cli.main(command) == 0
    corrected = output / "clean" / "data" / "gt.json"
    corrected.write_text("mine")
    assert cli.main(command) == 0
    assert corrected.read_text() == "mine"
    corrected.unlink()
    assert cli.main(command) == 0
    assert json.loads(corrected.read_text())["images"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_of_any_file(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(["whole", *(f"cut-{stage}" for stage in STAGES)]))
    output = runs.copy(source, tmp_path / "out")
    files = [path for path in sorted(output.glob("*/**/*")) if path.is_file() and path.name != "config.yaml"]
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, max(len(content) - 1, 0)))
    if content and data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    file.write_bytes(content)
    capsys.readouterr()
    code = runs.evaluate(output)
    said = capsys.readouterr().err
    assert "this should not happen" not in said
    assert "Traceback" not in said
    if code:
        assert said.count("detray: ") == 1
    else:
        assert tables(output) == runs.tables
