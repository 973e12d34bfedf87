"""SIGTERM ends a command as an interrupt does; what anything else writes stays out of standard output."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from detray.store import Store

WAITING = """
import os, sys, time
from detray import cli
from detray.verbs import runner
def run(*args, **options):
    os.write(1, b"begun\\n")
    {wait}
runner.run = run
sys.exit(cli.main())
"""
ON_RAY = """
    import ray, tempfile
    @ray.remote
    def sleep(path):
        tempfile.mkdtemp()
        open(path, "w").close()
        time.sleep(600)
    ray.get(sleep.remote(os.environ["MARKER"]))
"""
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cat"}],
}


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        yield Path(folder)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "gt.json").write_text(json.dumps(COCO))
    return tmp_path / "gt.json"


def begin(code: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept | environment)


def test_sigterm_is_one_sentence(truth: Path, tmp_path: Path) -> None:
    with begin(WAITING.format(wait="time.sleep(600)"), "ingest", truth, "--serial", "--output", tmp_path / "o") as done:
        assert done.stdout is not None
        assert done.stdout.readline() == "begun\n"
        done.send_signal(signal.SIGTERM)
        _, said = done.communicate(timeout=60)
    assert (done.returncode, said) == (143, "detray: terminated; the same command goes on where it stopped\n")


@pytest.mark.ray
@pytest.mark.slow
def test_sigterm_on_ray_leaves_nothing_behind(truth: Path, tmp_path: Path, short: Path) -> None:
    marker, temporary = tmp_path / "marker", short / "t"
    temporary.mkdir()
    places = {"MARKER": str(marker), "TMPDIR": str(temporary)}
    command = ("ingest", truth, "--address", "local", "--output", tmp_path / "o")
    with begin(WAITING.format(wait=ON_RAY), *command, **places) as done:
        while not marker.exists() and done.poll() is None:
            time.sleep(0.1)
        done.send_signal(signal.SIGTERM)
        _, said = done.communicate(timeout=60)
    assert (done.returncode, said) == (143, "detray: terminated; the same command goes on where it stopped\n")
    assert list(temporary.iterdir()) == []


NOISE = """
import os, sys
from detray import cli
from detray.cluster.ray_executor import RayExecutor
run = RayExecutor.run
def noisy(*args, **options):
    os.write(1, b"(raylet) a node died\\n")
    os.write(2, b"C++ says so too\\n")
    print("and Python")
    return run(*args, **options)
RayExecutor.run = noisy
sys.exit(cli.main())
"""


@pytest.mark.ray
@pytest.mark.slow
def test_json_is_all_on_standard_output_whatever_ray_writes_and_no_home_is_needed(truth: Path, tmp_path: Path) -> None:
    command = ("ingest", truth, "--address", "local", "--json", "--output", tmp_path / "o")
    home = {"HOME": "/dev/null", "MPLCONFIGDIR": "", "KERAS_HOME": ""}
    with begin(NOISE, *command, **home) as done:
        shown, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert json.loads(shown)["exit_code"] == 0
    assert "died" not in said
    assert "C++" not in said
    assert "ingest:" in said
    manifest = Store(str(tmp_path / "o")).manifest("ingest")
    assert manifest is not None
    log = (tmp_path / "o" / manifest["cluster"]["log"]).read_text()
    assert all(line in log for line in ("(raylet) a node died", "C++ says so too", "and Python"))


@pytest.mark.ray
@pytest.mark.slow
def test_on_ray_too_a_stage_shows_its_summary_and_ray_shows_nothing(truth: Path, tmp_path: Path) -> None:
    with begin(NOISE, "ingest", truth, "--address", "local", "--output", tmp_path / "o") as done:
        shown, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert "== ingest: done" in shown
    assert not any(noise in shown + said for noise in ("a node died", "C++ says so", "and Python"))


def test_an_interrupt_before_anything_has_begun_ends_it_without_a_word() -> None:
    code = (
        "import builtins, os, signal, detray.__main__ as start\n"
        "whole = builtins.__import__\n"
        "def interrupted(name, *more):\n"
        "    if name == 'argparse': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return whole(name, *more)\n"
        "builtins.__import__ = lambda name, *more: interrupted(name, *more)\n"
        "start.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    ("end", "said"), [("os._exit(1)", "it ended\n"), ("os.kill(os.getpid(), 9)", "it ended\n"), ("0", "")]
)
def test_a_process_that_is_ended_without_a_word_has_last_words(end: str, said: str) -> None:
    code = f"import os\nfrom detray.streams import last_words\nwith last_words('it ended'):\n    {end}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == said


@pytest.mark.parametrize(("number", "code", "said"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_an_interrupt_while_a_class_is_made_is_one_though_python_wraps_it(number: str, code: int, said: str) -> None:
    program = (
        "import os, signal, detray.__main__ as start, detray.cli as cli\n"
        "class Field:\n"
        f"    def __set_name__(self, owner, name): os.kill(os.getpid(), signal.{number})\n"
        "def run(options):\n"
        "    class Record: field = Field()\n"
        "cli._run = run\n"
        "os._exit(start.main())\n"
    )
    command = [sys.executable, "-c", program, "audit", "nothing.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, f"detray: {said}; the same command goes on where it stopped\n")
