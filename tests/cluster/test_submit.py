"""`ray job submit` of the job files, on a head that is started here."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import heads
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = heads.BIN

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """A Ray head of three logical CPUs; its dashboard's address, which takes jobs."""
    with heads.started("--num-cpus=3") as found:
        yield f"http://127.0.0.1:{found.dashboard}"


@pytest.fixture(scope="module")
def submit(head: str, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Submits a job file with arguments, as the docs say; the finished process."""

    def run(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # only what a node needs travels: Ray packs the working directory
        exclude = json.dumps({"excludes": [".venv", "out", ".git", "tests", "docs"]})
        return subprocess.run(
            [
                *(BIN / "ray", "job", "submit", "--address", head, "--working-dir", ROOT),
                *("--runtime-env-json", exclude, "--", "python", f"jobs/{verb}.py", *arguments),
            ],
            env=heads.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def ground_truth(path: Path) -> Path:
    boxes = [[10, 10, 30, 40], [50, 20, 0, 10], [10, 10, 30, 40], [90, 90, 50, 50]]
    document = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, box in enumerate(boxes)
        ],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_submitted_audit_writes_its_tables(submit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / "out"
    done = submit("audit", str(ground_truth(tmp_path / "gt.json")), "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "degenerate-box" in done.stdout
    rules = duckdb.sql(f"SELECT DISTINCT rule FROM '{output}/audit/findings/*.parquet'").fetchall()
    assert {"degenerate-box", "out-of-bounds", "duplicate-box"} <= {rule for (rule,) in rules}
    manifest = json.loads((output / "audit" / "manifest.json").read_text())
    assert manifest["cluster"]["executor"] == "RayExecutor"


def test_a_job_that_fails_says_why(submit, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = submit("audit", str(tmp_path / "nowhere.json"))
    assert done.returncode == 1
    assert "nowhere.json: no such file" in done.stdout + done.stderr
    assert "detray: exit code 2" in done.stdout  # the submit command answers 1 for any


def test_there_is_a_job_file_for_each_verb_but_demo_and_schema() -> None:
    from detray.arguments import VERBS

    files = {path.stem for path in (ROOT / "jobs").glob("[!_]*.py")}
    assert files == set(VERBS)
