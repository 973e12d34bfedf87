"""``pip install detray`` without extras: what works there, and what says which extra it needs.

Every package that the base dependencies of pyproject.toml do not bring is hidden from the commands' processes.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from detray import extras
from detray.demo.draw import draw_dataset

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BRINGS = "which are not installed: pip install 'detray[train]'"
HIDE = """import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def brought(requirements: Sequence[str]) -> set[str]:
    """The distributions that these bring, by name."""
    found: set[str] = set()
    open_ = [Requirement(one) for one in requirements]
    for one in open_:  # which grows
        name = canonicalize_name(one.name)
        if name in found:
            continue
        found.add(name)
        for more in map(Requirement, metadata.requires(one.name) or []):
            if more.marker is None or any(more.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                open_.append(more)
    return found


def hidden_modules(shown: Sequence[str] = ()) -> set[str]:
    """The modules of all packages here that a plain install lacks."""
    base = brought(PROJECT["dependencies"]) | {"detray"}
    others = {
        module: {canonicalize_name(one) for one in owners}
        for module, owners in metadata.packages_distributions().items()
    }
    return {module for module, owners in others.items() if not owners & base and module not in shown}


class Plain:
    """The command in a process that sees a plain install."""

    def __init__(self, folder: Path, shown: Sequence[str] = ()) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(HIDE.format(hidden=hidden_modules(shown)))
        paths = [str(folder), str(ROOT)]
        left_out = ("RAY_ADDRESS", "PYTHONPATH")
        self.environment = {name: value for name, value in os.environ.items() if name not in left_out}
        self.environment["PYTHONPATH"] = os.pathsep.join(paths)
        self.place = folder.parent

    def __call__(self, *arguments: str, module: Sequence[str] = ("-m", "detray")) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *module, *arguments]
        return subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )

    def done(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        run = self(*arguments)
        assert run.returncode == code, run.stdout + run.stderr
        return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """Beside it ``data``, pictures with annotations, and ``dets.json``, some of the boxes as detections."""
    place = tmp_path_factory.mktemp("plain")
    draw_dataset(place / "data", 0, 8, 8, 4)
    boxes = json.loads((place / "data" / "annotations" / "val.json").read_text())["annotations"]
    rows = [{key: box[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for box in boxes[::2]]
    (place / "dets.json").write_text(json.dumps(rows))
    return Plain(place / "hidden")


def test_each_extra_is_one_of_the_project_and_is_hidden() -> None:
    for module, (name, extra) in extras.EXTRAS.items():
        assert extra in PROJECT["optional-dependencies"], name
        assert module in hidden_modules(), name


def test_the_whole_installation_has_every_package() -> None:
    """What `make setup` and the images install."""
    whole, open_ = set(), ["detray[dev]"]
    for one in map(Requirement, open_):  # which grows
        whole.add(canonicalize_name(one.name))
        if one.name == "detray":
            open_ += [part for extra in one.extras for part in PROJECT["optional-dependencies"][extra]]
    locked = (ROOT / "requirements.lock").read_text()
    for name in ("ray", "tensorflow", "keras", "albumentations", "ai-edge-litert", "optuna", "duckdb"):
        assert name in whole
        assert f"\n{name}" in locked
    for name in ("numpy", "pyarrow", "pycocotools", "pandas"):
        assert any(Requirement(one).name == name for one in PROJECT["dependencies"])


@pytest.mark.slow
def test_files_are_audited_evaluated_diagnosed_and_corrected(plain: Plain) -> None:
    plain.done("--help")
    truth = ("data/annotations/val.json", "--images", "data/images/val")
    plain.done("audit", *truth, "--output", "out/a")
    plain.done("evaluate", "data/annotations/val.json", "dets.json", "--output", "out/a")
    diagnosed = plain.done(
        "diagnose",
        "data/annotations/val.json",
        "dets.json",
        "--train",
        "data/annotations/train.json",
        "--output",
        "out/b",
    )
    assert "Diagnoses of val" in diagnosed.stdout
    plain.done("report", "--output", "out/b")
    assert (plain.place / "out" / "b" / "report" / "index.html").is_file()
    plain.done("clean", *truth, "--output", "out/d")
    plain.done("split", "data", "--output", "out/e")
    plain.done("compare", "out/a", "out/b", "--output", "out/f")
    plain.done("init", "data", "--output", "data.yaml")
    plain.done("status", "out/a")
    plain.done("schema")
    assert "pip install 'detray[sql]'" in plain.done("sql", "SELECT 1", "--output", "out", code=2).stderr


def test_what_the_audit_leaves_out_is_said(plain: Plain) -> None:
    run = plain.done("audit", "data", "--set", "train.augmentation=strong", "--output", "out/strong")
    assert "what train.augmentation does to boxes was not looked at: pip install 'detray[train]'" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "data"], f"train needs TensorFlow, Keras and Albumentations, {BRINGS}"),
        (["predict", "data", "data/model.tflite"], "predict needs LiteRT, which is not installed: pip install"),
        (["tune", "data"], "pip install 'detray[train,tune]'"),
        (["tune", "data", "--set", "tune.trainer=command", "--set", "tune.focus=[ring]", "--set", "tune.space={}"],
         "tune needs Optuna, which is not installed: pip install 'detray[tune]'"),
        (["folds", "data", "--folds", "2"], "folds needs TensorFlow"),
        (["run", "data"], "pip install 'detray[train,tune]'"),
        (["demo"], "pip install 'detray[train,tune]'"),
        (["audit", "data", "--address", "127.0.0.1:6379"],
         "--address needs Ray, which is not installed: pip install 'detray[ray]'"),
        (["audit", "data", "--set", "cluster.gpus_per_actor=1"], "cluster.gpus_per_actor needs Ray"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)  # fmt: skip
def test_what_needs_an_extra_says_so_before_anything_starts(plain: Plain, arguments: list[str], said: str) -> None:
    (plain.place / "data" / "model.tflite").write_bytes(b"\0\0\0\0TFL3")
    output = plain.place / "refused"
    run = plain.done(*arguments, "--output", str(output), code=2)
    assert said in run.stderr
    assert len(run.stderr.strip().splitlines()) <= 2, run.stderr  # one may say what was taken of the folder
    assert not list(output.glob("*/manifest.json"))
    assert not list(output.glob("data"))


def test_large_work_stays_in_this_process_and_that_is_said_once(plain: Plain) -> None:
    script = (
        "import sys; from detray.verbs import work\n"
        "work.ESTIMATES = {stage: lambda *known: 1e6 for stage in work.ESTIMATES}\n"
        "from detray.cli import main; sys.exit(main())"
    )
    run = plain("audit", "data", "--output", "out/large", module=("-c", script))
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("Ray, which is worth its start here, is not installed (pip install 'detray[ray]')") == 1


def test_as_a_library(plain: Plain) -> None:
    script = (
        "import time; start = time.perf_counter(); import detray; seconds = time.perf_counter() - start\n"
        "assert seconds < 3, seconds\n"  # .3 s on a machine with nothing else to do, some hundredths in truth
        "found = detray.diagnose('data/annotations/val.json', 'dets.json')\n"
        "assert len(found.diagnoses.to_pandas()) == found.diagnoses.num_rows > 0\n"
        "assert detray.audit('data').class_stats.num_rows\n"
        "assert detray.evaluate('data/annotations/val.json', 'dets.json').matches.num_rows"
    )
    run = plain(module=("-c", script))
    assert run.returncode == 0, run.stderr


def test_one_more_package_is_enough_for_sql(tmp_path: Path, plain: Plain) -> None:
    with_sql = Plain(tmp_path / "hidden", ("duckdb", "_duckdb"))
    plain.done("audit", "data", "--output", "out/sql")
    run = with_sql.done("sql", "SELECT count(*) AS n FROM images", "--output", str(plain.place / "out" / "sql"))
    assert "20" in run.stdout
