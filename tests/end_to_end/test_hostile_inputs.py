"""Each sentence of docs/decisions/0006 (inputs are hostile), on a data set that breaks them all."""

import ast
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

import detray
from detray import cli
from detray.detectors import archive
from detray.detectors.retinanet.model import load_retinanet
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.errors import DetrayError, UsageError
from detray.flow import receipt
from detray.settings import parse_yaml
from detray.store import Store
from detray.store.integrity import sealed_json, unsealed_json

BOX = "<bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
XML = (
    "{head}<annotation><filename>{name}.png</filename><size><width>20</width><height>20</height></size>"
    f"<object><name>{{label}}</name>{BOX.format('{left}')}</object></annotation>"
)
ENTITY = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
SCRIPT = "&lt;script&gt;alert(1)&lt;/script&gt;"
ELSEWHERE = "what-stands-in-another-folder"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures a to e: good, an XML entity, a bad value and a script for a name, and two that lead out."""
    folder = tmp_path / "data"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    (tmp_path / "secret").write_text(ELSEWHERE)
    written = {
        "a": XML.format(head="", name="a", label="cat", left=1),
        "b": XML.format(head=ENTITY, name="b", label="&e;", left=1),
        "c": XML.format(head="", name="c", label=SCRIPT, left="many"),
        "d": XML.format(head="", name="../../secret", label="cat", left=1),
    }
    for name, text in written.items():
        (folder / "Annotations" / f"{name}.xml").write_text(text)
        Image.new("RGB", (20, 20)).save(folder / "JPEGImages" / f"{name}.png")
    (folder / "Annotations" / "e.xml").symlink_to(tmp_path / "secret")
    return folder


def test_a_data_set_of_a_stranger(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    detections = tmp_path / "dets.json"
    detections.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8], "score": 0.9}]))
    out = str(tmp_path / "out")
    assert cli.main(["run", str(data), str(detections), "--serial", "--output", out]) == 0
    store = Store(out)
    lost = {Path(row["source_file"]).name: row["detail"] for row in store.read("quarantine", "ingest").to_pylist()}
    assert "entities" in lost["b.xml"]
    assert lost["e.xml"] == "leads out of the data set's folder"
    (summary,) = store.manifest("ingest")["summary"]
    assert dict(zip(summary["columns"], summary["rows"][0], strict=True))["quarantined"] == 2
    found = {(Path(row["file_name"] or "").name, row["rule"]) for row in store.read("findings").to_pylist()}
    assert ("c.png", "wrong-type") in found, "a bad value is a finding at its row"
    assert ("secret.png", "path-outside-root") in found
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "<script>alert" not in page
    assert "script&gt;alert(1)" in page
    assert ELSEWHERE not in page + "".join(capfd.readouterr())


def test_a_list_that_leads_out_is_neither_read_nor_quoted(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (data / "ImageSets" / "Main" / "val.txt").symlink_to(tmp_path / "secret")
    assert cli.main(["audit", str(data), "--serial", "--output", str(tmp_path / "out")]) == 2
    assert ELSEWHERE not in "".join(capfd.readouterr())


def test_a_folder_of_no_known_format_shows_nothing_of_elsewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(ELSEWHERE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes").symlink_to(tmp_path / "secret")
    assert cli.main(["audit", str(tmp_path / "data"), "--output", str(tmp_path / "out")]) == 2
    assert ELSEWHERE not in "".join(capfd.readouterr())


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.getcwd []", "a: &x [1]\nb: *x", "a: 1\na: 2"])
def test_yaml_is_plain(text: str) -> None:
    with pytest.raises(UsageError):
        parse_yaml(text, "a.yaml")


def test_no_pickle_and_no_code_in_data() -> None:
    """Of the package itself; what crosses processes is Ray's, between machines of one person."""
    for path in Path(detray.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert not {"pickle", "marshal", "shelve", "dill", "joblib", "torch"} & {*names, module}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path


def test_models(tmp_path: Path) -> None:
    """A pipe is waited for by nobody, ``.h5`` is no model, and what is read at once is bounded."""
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DetrayError, match=r"model\.json: not there"):
        load_retinanet(DetectorSettings(), str(tmp_path), PredictSettings())
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(DetrayError, match=r"model\.json: not there"):
        load_retinanet(DetectorSettings(), str(tmp_path), PredictSettings())
    assert archive.MAX_UNPACKED == 1 << 30


def picture_that_declares(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head states a size."""

    def block(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", zlib.compress(b"\0" * 64)) + block(b"IEND", b"")


def audit(folder: Path, output: Path, *options: str) -> Store:
    assert cli.main(["audit", str(folder), "--serial", "--output", str(output), *options]) == 0
    return Store(str(output))


def test_a_declared_size_is_checked_before_a_picture_is_decoded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "JPEGImages" / "a.png").write_bytes(picture_that_declares(60_000, 60_000))
    load = Image.Image.load

    def bounded(image: Image.Image) -> Any:
        assert image.width * image.height < 1 << 20, "it is decoded"
        return load(image)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", bounded)
    findings = audit(data, tmp_path / "out").read("findings").to_pylist()
    said = [row["observed"] or "" for row in findings if (row["file_name"] or "").endswith("a.png")]
    assert any("declares" in text for text in said), said


def test_pictures_lie_below_the_root_or_a_folder_that_is_named(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "disk"
    other.mkdir()
    (data / "JPEGImages" / "a.png").rename(other / "a.png")
    (data / "JPEGImages" / "a.png").symlink_to(other / "a.png")
    config = tmp_path / "config.yaml"
    split = {"annotations": "Annotations", "images": "JPEGImages"}
    for also in ([], [str(other)]):
        config.write_text(json.dumps({"dataset": {"root": str(data), "also": also, "splits": {"val": split}}}))
        output = tmp_path / f"out{len(also)}"
        assert cli.main(["audit", "--config", str(config), "--serial", "--output", str(output)]) == 0
        findings = Store(str(output)).read("findings").to_pylist()
        led_out = [
            row for row in findings if row["rule"] == "path-outside-root" and "a.png" in (row["file_name"] or "")
        ]
        assert bool(led_out) == (not also)


def test_a_data_file_that_leads_out_is_not_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").write_text(f"train: images\nnames: [{ELSEWHERE}]\n")
    (tmp_path / "data" / "images").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(tmp_path / "data" / "images" / "a.png")
    (tmp_path / "data" / "data.yaml").symlink_to(tmp_path / "secret")
    cli.main(["audit", str(tmp_path / "data"), "--serial", "--output", str(tmp_path / "out")])
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert ELSEWHERE not in "".join(capfd.readouterr())
    assert ELSEWHERE.encode() not in written


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["audit", "{data}", "--config", "{pipe}"], "a pipe or a device"),
        (["audit", "{pipe}"], "a pipe or a device"),
        (["evaluate", "{data}", "/dev/zero"], "/dev/zero: no such file"),
        (["audit", "{data}", "--output", "a\0b"], "NUL"),
        (["audit", "a\0b"], "check the path"),
    ],
)
def test_what_a_person_states_is_a_regular_file_without_nul_in_its_path(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    stated = [part.format(data=data, pipe=tmp_path / "pipe") for part in command]
    output = [] if "--output" in stated else ["--output", str(tmp_path / "out")]
    assert cli.main([*stated, *output, "--serial"]) == 2
    assert said in capsys.readouterr().err


def test_a_models_archive_is_bounded_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "model.keras"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", bytes(5000))
    monkeypatch.setattr(archive, "MAX_UNPACKED", 4000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it is unpacked"))
    with pytest.raises(DetrayError, match="would fill"):
        archive.require_bounded(place.read_bytes(), str(place))


def edit_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """As someone does who knows the seals."""
    content = unsealed_json(path.read_bytes())
    change(content)
    path.write_bytes(sealed_json(content))


def test_the_output_folder_is_not_trusted(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names lead nowhere else, shapes and digests are checked, damage is said and made again, a seal proves no more."""
    secret = tmp_path / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_text(ELSEWHERE)
    before = audit(data, tmp_path / "out").read("findings")
    manifest, part = tmp_path / "out/audit/manifest.json", next((tmp_path / "out/audit/findings").iterdir())
    stated = {"bytes": 1, "digest": ""}
    damage: list[Callable[[], object]] = [
        lambda: edit_manifest(manifest, lambda found: found["files"].update({"../../home/id_rsa": stated})),
        lambda: edit_manifest(manifest, lambda found: found.update(counts={"rows": "many"})),
        lambda: manifest.write_bytes(manifest.read_bytes()[:-40]),
        lambda: part.write_bytes(part.read_bytes()[:-1] + b"\0"),
    ]
    for do in damage:
        do()
        capsys.readouterr()
        after = audit(data, tmp_path / "out").read("findings")
        assert "audit runs again" in capsys.readouterr().err
        assert after.drop_columns(["run", "run_id"]) == before.drop_columns(["run", "run_id"])
    edit_manifest(manifest, lambda found: found["notes"].append("a lie that is sealed"))
    capsys.readouterr()
    audit(data, tmp_path / "out")
    assert "audit: current" in capsys.readouterr().err
    assert secret.read_text() == ELSEWHERE


@pytest.mark.parametrize("name", ["../../home/id_rsa", "/etc/passwd", "..", "a/b", ""])
def test_receipts_name_files_by_plain_names(name: str) -> None:
    stated = {"step": "s", "key": "1", "tables": {}, "kept": {}, "scratch": {}, "files": {}, "facts": {}}
    assert receipt.decode(json.dumps(stated)).key == "1"
    parts = {"predictions": [{"file": name, "rows": 1, "bytes": 6, "digest": ""}]}
    for changed in ({"tables": parts}, {"kept": {name: [1]}}, {"step": 7}, {"facts": None, "files": [name]}):
        with pytest.raises(msgspec.DecodeError):
            receipt.decode(json.dumps(stated | changed))
