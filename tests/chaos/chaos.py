"""Faults at random over the built-in data: whatever happens to a run, the next one ends with the same tables.

``python tests/chaos/chaos.py --seconds 600 --seed 0`` (what `make chaos` does). Drawn pictures, their annotations and
detections go through every stage that needs no training, once undisturbed. Then, until the time is over, a run meets
a fault: it is killed, interrupted, stopped for a while, its disk fills, its reads fail or are slow, or between two
runs files of its output are torn, flipped, taken away or written by somebody else. Every run must end with its tables,
with one sentence, or by the signal that it was sent; and the run after it with the tables of the undisturbed one, row
for row. With ``--ray`` some runs are on a Ray of their own, of which a worker is killed.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
FAULTY = Path(__file__).with_name("faulty.py")
VOLATILE = ("seconds", "run_id")
"""Columns that hold times, and the id that each output folder has."""
CRASHES = ("Traceback (most recent call last)", "this should not happen")
TRIES = 3
"""Runs after a fault within which the tables must be whole again: the first may say what is wrong."""
LIMIT = 120.0
"""Seconds after which a run hangs."""


class Chaos(AssertionError):
    """What must not happen did."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, and what it printed on standard error."""

    code: int
    errors: str


@dataclass(frozen=True)
class Bench:
    """The data, the output folder, and the tables of the undisturbed run."""

    data: Path
    output: Path
    expected: dict[str, list[str]]

    def command(self, *more: str) -> list[str]:
        return [
            "run",
            "--config",
            str(self.data / "config.yaml"),
            "--output",
            str(self.output),
            *(more or ("--serial",)),
        ]


def draw(folder: Path, seed: int) -> None:
    """Pictures with annotations, and detections that miss, double and shift some of the boxes."""
    from detray.demo.draw import draw_dataset

    draw_dataset(folder, seed, train=1, val=40, test=1)
    rng = np.random.default_rng(seed)
    truth = json.loads((folder / "annotations" / "val.json").read_text())
    found = [
        {
            "image_id": box["image_id"],
            "category_id": box["category_id"],
            "bbox": [float(side) for side in np.array(box["bbox"]) + rng.normal(0, 2, 4)],
            "score": float(rng.uniform(0.1, 1)),
        }
        for box in truth["annotations"]
        for _ in range(int(rng.integers(0, 3)))
    ]
    (folder / "detections.json").write_text(json.dumps(found))
    split = {"annotations": "annotations/val.json", "images": "images/val"}
    config = {
        "dataset": {"root": str(folder), "splits": {"val": split}},
        "detector": {"kind": "predictions", "path": str(folder / "detections.json")},
    }
    (folder / "config.yaml").write_text(json.dumps(config))


def start(command: Sequence[str], faults: dict[str, str] | None = None, most_bytes: int = 0) -> subprocess.Popen[str]:
    """Start detray; with ``faults`` its reads fail as `faulty` says, with ``most_bytes`` no file may grow beyond."""

    def limit() -> None:
        if most_bytes:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    python = [sys.executable, str(FAULTY)] if faults else [sys.executable, "-m", "detray"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [*python, *command],
        env=os.environ | {"PYTHONPATH": path} | (faults or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a run.

    Raises:
        Chaos: it hangs, or ends with a traceback.
    """
    try:
        _, errors = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Chaos(f"a run hangs after {LIMIT:g} s") from None
    if any(words in errors for words in CRASHES):
        raise Chaos(f"a run ended with {process.returncode} and a trace:\n{errors[-3000:]}")
    return Ended(process.returncode, errors)


def tables_of(output: Path) -> dict[str, list[str]]:
    """The rows of every table as the manifests list them, in an order of their own."""
    found: dict[str, list[str]] = {}
    for manifest in sorted(output.glob("*/manifest.json")):
        for table, listed in json.loads(manifest.read_text())["tables"].items():
            parts = [pq.read_table(output / part["file"], partitioning=None) for part in listed["files"]]
            rows = pa.concat_tables(parts).to_pylist()
            texts = (json.dumps({k: v for k, v in row.items() if k not in VOLATILE}, default=str) for row in rows)
            found[f"{manifest.parent.name}/{table}"] = sorted(texts)
    return found


# faults while a run goes on


def _signalled(number: int) -> Callable[[Bench, random.Random], Ended]:
    def fault(bench: Bench, rng: random.Random) -> Ended:
        process = start(bench.command())
        time.sleep(rng.uniform(0.2, 3.0))
        process.send_signal(number)
        return finish(process)

    return fault


def pause(bench: Bench, rng: random.Random) -> Ended:
    process = start(bench.command())
    time.sleep(rng.uniform(0.2, 2.0))
    process.send_signal(signal.SIGSTOP)
    time.sleep(rng.uniform(0.1, 1.0))
    process.send_signal(signal.SIGCONT)
    return finish(process)


def full_disk(bench: Bench, rng: random.Random) -> Ended:
    return finish(start(bench.command(), most_bytes=rng.choice([0x400, 0x1000, 0x4000, 0x10000])))


def bad_reads(bench: Bench, rng: random.Random) -> Ended:
    faults = {"CHAOS_SEED": str(rng.randrange(1 << 30)), "CHAOS_FAILING": rng.choice(["0", "0.02", "0.2"])}
    return finish(start(bench.command(), faults | {"CHAOS_SLOW": rng.choice(["0", "0.05"])}))


def killed_worker(bench: Bench, rng: random.Random) -> Ended:
    """On Ray: one of its own workers dies while it does a task."""
    shutil.rmtree(bench.output, ignore_errors=True)  # a run that finds every stage current starts no worker
    process, seen = start(bench.command("--address", "local")), False
    while process.poll() is None:
        if workers := _workers(process.pid):
            if seen and rng.random() < 0.3:
                os.kill(rng.choice(workers), signal.SIGKILL)
                return finish(process)
            seen = True
        time.sleep(0.2)
    raise Chaos(f"the run ended before one of its workers was killed: {finish(process).errors[-2000:]}")


def _workers(ancestor: int) -> list[int]:
    """Ray's workers below a process."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):
            continue

    def is_below(pid: int) -> bool:
        while pid in parents and pid != ancestor:
            pid = parents[pid]
        return pid == ancestor

    # with an agent of its node's dies the node, and Ray ends the driver on it
    busy = (
        pid
        for pid, title in titles.items()
        if title.startswith("ray::") and "Agent" not in title and "IDLE" not in title
    )
    return [pid for pid in busy if is_below(pid)]


# faults between two runs


def _files(bench: Bench, rng: random.Random, *patterns: str) -> list[Path]:
    found = sorted(path for pattern in patterns for path in bench.output.glob(pattern) if path.is_file())
    rng.shuffle(found)
    return found[: rng.randint(1, 3)]


ANY = ("*/*.json", "*/*/*.parquet", "*/_partial/**/*")


def tear(bench: Bench, rng: random.Random) -> None:
    for path in _files(bench, rng, *ANY):
        path.write_bytes(path.read_bytes()[: rng.randrange(max(path.stat().st_size, 1))])


def flip(bench: Bench, rng: random.Random) -> None:
    for path in _files(bench, rng, "*/*.json", "*/_partial/receipts/*"):
        data = bytearray(path.read_bytes())
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)


def lose(bench: Bench, rng: random.Random) -> None:
    for path in _files(bench, rng, *ANY):
        path.unlink()


def forge(bench: Bench, rng: random.Random) -> None:
    """Receipts and manifests by somebody else: other shapes, and files that lie outside."""
    foreign = [
        b"null",
        b"[]",
        b"{}",
        b'{"tables": {"findings": {"rows": 1, "files": [{"file": "../../etc/passwd", "rows": 1, "bytes": 1}]}}}',
        b'{"step":"x","key":"y","tables":{"findings":[{"file":"../../../x","rows":1,"bytes":1}]},"kept":{},"files":[],'
        b'"facts":{}}',
    ]
    for path in _files(bench, rng, "*/manifest.json", "*/_partial/receipts/*"):
        path.write_bytes(rng.choice(foreign))


DURING = {
    "kill": _signalled(signal.SIGKILL),
    "terminate": _signalled(signal.SIGTERM),
    "interrupt": _signalled(signal.SIGINT),
    "pause": pause,
    "full disk": full_disk,
    "bad reads": bad_reads,
}
BETWEEN = {"tear": tear, "flip": flip, "lose": lose, "forge": forge}
MEANT = (0, 2, 3, 130, 143, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes with which a run under a fault may end."""


def prepare(folder: Path, seed: int) -> Bench:
    """Draw the data, and run on it undisturbed."""
    draw(folder / "data", seed)
    bench = Bench(folder / "data", folder / "out", {})
    ended = finish(start(bench.command()))
    if ended.code:
        raise Chaos(f"the undisturbed run ended with {ended.code}: {ended.errors[-2000:]}")
    return Bench(bench.data, bench.output, tables_of(bench.output))


def round_of(bench: Bench, rng: random.Random, *, ray: bool) -> list[str]:
    """One or two faults, and the runs after them; the names of the faults."""
    during = DURING | ({"killed worker": killed_worker} if ray else {})
    if rng.random() < 0.4:
        shutil.rmtree(bench.output, ignore_errors=True)
    names = []
    for _ in range(rng.randint(1, 2)):
        name = rng.choice([*during, *BETWEEN])
        names.append(name)
        if name in BETWEEN:
            BETWEEN[name](bench, rng)
        elif (ended := during[name](bench, rng)).code not in MEANT:
            raise Chaos(f"{names}: a run ended with {ended.code}: {ended.errors[-2000:]}")
    said = []
    for _ in range(TRIES):
        ended = finish(start(bench.command()))
        if ended.code == 0:
            break
        said.append(ended.errors[-500:])
    else:
        raise Chaos(f"{names}: {TRIES} runs did not mend it: {said}")
    compare(names, bench)
    return names


def compare(names: Sequence[str], bench: Bench) -> None:
    """Compare the tables with those of the undisturbed run.

    Raises:
        Chaos: they differ.
    """
    found = tables_of(bench.output)
    if set(found) != set(bench.expected):
        raise Chaos(f"{names}: other tables: {sorted(set(found) ^ set(bench.expected))}")
    for table, rows in bench.expected.items():
        if found[table] != rows:
            lost, new = Counter(rows) - Counter(found[table]), Counter(found[table]) - Counter(rows)
            raise Chaos(f"{names}: {table} lost {lost.total()} rows and has {new.total()} others: {[*lost, *new][:2]}")


def run(
    seconds: float, seed: int, folder: Path, *, ray: bool = False, say: Callable[[str], None] = print
) -> Counter[str]:
    """Rounds until the time is over: how often each fault was met."""
    bench = prepare(folder, seed)
    met: Counter[str] = Counter()
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        names = round_of(bench, random.Random(f"{seed} {number}"), ray=ray)
        met.update(names)
        number += 1
        say(f"{number}: {', '.join(names)}")
    return met


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--ray", action="store_true", help="also runs on Ray, of which a worker is killed")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        met = run(options.seconds, options.seed, Path(folder), ray=options.ray)
    print(f"{sum(met.values())} faults, every table as in the undisturbed run: {dict(met)}")


if __name__ == "__main__":
    main()
