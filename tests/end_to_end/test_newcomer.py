"""A newcomer's path: from any folder to a split, a run, a review, a cleaned data set and what became of it."""

import json
import shutil
from pathlib import Path

import pytest

from detray import cli
from detray.demo.draw import draw_dataset
from detray.store import Store

pytestmark = pytest.mark.slow
SHORT = ("train.epochs=1", "tune.trials=2", "tune.proof_seeds=0", "tune.scheduler=none", "evaluate.bootstrap=20")


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder as somebody left it: one list beside the pictures, in which a box stands twice."""
    draw_dataset(tmp_path / "drawn", 0, 40, 1, 1)
    folder = tmp_path / "shapes"
    (folder / "annots").mkdir(parents=True)
    shutil.move(tmp_path / "drawn" / "images" / "train", folder / "photos")
    listed = json.loads((tmp_path / "drawn" / "annotations" / "train.json").read_text())
    twice = listed["annotations"][0]
    listed["annotations"].append(twice | {"id": max(one["id"] for one in listed["annotations"]) + 1})
    (folder / "annots" / "labels.json").write_text(json.dumps(listed))
    return folder


def detray(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says on standard output."""
    assert cli.main([*arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def rules(output: Path) -> list[str]:
    return Store(str(output)).read("findings")["rule"].to_pylist()


def test_from_a_folder_to_what_became_of_it(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = detray(capsys, "audit", "shapes/", "--serial")
    assert "the same box of the same class stands there already" in said
    assert rules(tmp_path / "out" / "shapes").count("duplicate-box") == 1

    said = detray(capsys, "split", "shapes/", "--serial")
    config = tmp_path / "out" / "shapes" / "split" / "dataset.yaml"
    assert said.splitlines()[-1] == f"next: run with the new parts: detray run --config {config}"
    parts = Store(str(tmp_path / "out" / "shapes")).read("divided")
    assert sorted(set(parts["part"].to_pylist())) == ["test", "train", "val"]
    assert parts.num_rows == 40

    options = [part for setting in SHORT for part in ("--set", setting)]
    said = detray(capsys, "run", "--config", str(config), "--serial", *options)
    run = tmp_path / "out" / "shapes-split"
    assert said.splitlines()[-1].startswith("next: ")
    for page in ("index", "review"):
        assert (run / "report" / f"{page}.html").stat().st_size > 10_000
    assert rules(run).count("duplicate-box") == 1

    detray(capsys, "review", str(run), "--to", "coco")
    (file,) = (run / "review" / "coco").glob("*.json")
    reviewed = json.loads(file.read_text())
    suspects = [one for one in reviewed["annotations"] if one["attributes"].get("suspect")]
    for one in suspects:
        one["attributes"]["decision"] = "accept" if "duplicate-box" in one["attributes"]["suspect"] else "reject"
    file.write_text(json.dumps(reviewed))
    said = detray(capsys, "clean", "--output", str(run), "--decisions", str(file), "--serial")
    cleaned = run / "clean" / "dataset.yaml"
    assert f"next: detray audit --config {cleaned} --output {run / 'corrected'}" in said
    assert [row["action"] for row in Store(str(run)).read("edits").to_pylist()] == ["drop"]

    detray(capsys, "audit", "--config", str(cleaned), "--output", str(run / "corrected"), "--serial")
    assert "duplicate-box" not in rules(run / "corrected")

    said = detray(capsys, "compare", str(run), str(run / "corrected"), "--json")
    tables = {table["title"]: table["rows"] for table in json.loads(said)["tables"]}
    assert dict(tables["What else differs"])["annotations"] == 1
    assert dict(tables["What else differs"])["findings"] >= 1
