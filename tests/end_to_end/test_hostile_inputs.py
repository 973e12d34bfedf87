"""Each sentence of docs/decisions/0006 (inputs are hostile), on a data set that breaks them all."""

import ast
import json
import os
from pathlib import Path

import pytest
from PIL import Image

import detray
from detray import cli
from detray.detectors import archive
from detray.detectors.retinanet.model import load_retinanet
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.errors import DetrayError, UsageError
from detray.settings import parse_yaml
from detray.store import Store

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
