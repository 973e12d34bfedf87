"""Audit and evaluation on one, two and three hosts, and on more and more annotations: what a million costs.

Run ``python benchmarks/scale.py`` as root (half an hour on two idle cores): hosts are Linux namespaces with an address
of their own on one bridge (`tests/cluster/namespaces.py`), each with ``--cpus`` (2) by its own account, and share this
machine's disk as they would a network file system. So that two cores can tell, costs are CPU seconds, of the tasks
(Ray's workers), of the command (the driver) and of Ray's own processes, whose idling counts for as long as the command
takes. Memory is the command's largest proportional set size.

``--sizes 1 4 10`` million annotations are audited on ``--on`` hosts (3); ``--each 2`` is how many million a host has in
weak scaling, and one in strong scaling three times as many on all; ``--detections 1`` million for each host are
evaluated, with 7.25 boxes for 100 detections. ``--tiny 1 201`` only predicts, so many splits of one small picture each
by a small network on ``--on`` hosts: what it costs to start, and what a task of an actor takes beyond that. ``--shards
N`` only counts the files that an audit keeps for its later steps.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "cluster"), str(ROOT / "tests"), str(ROOT)]

import heads  # noqa: E402 - of the tests
import namespaces  # noqa: E402 - of the tests
from audit import MARK, cpu_seconds, marked, memory_mib, write_dataset  # noqa: E402 - beside this file
from evaluate import write_json  # noqa: E402 - beside this file
from images import write_pictures  # noqa: E402 - beside this file

namespaces.NETWORK = "10.231.8"  # beside that of the tests
CLASSES = 80
Words = Sequence[str | Path]
"""Of a command: its data set."""


@dataclass
class Cost:
    """CPU seconds by who took them, wall seconds, and the command's largest memory in MiB."""

    tasks: float = 0.0
    driver: float = 0.0
    ray: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    count: int = 0
    """Tasks of the stage."""


@dataclass
class Watch:
    """The CPU time of all processes with a mark, looked at ten times a second."""

    mark: str
    cpu: dict[Path, float] = field(default_factory=dict)
    kinds: dict[Path, str] = field(default_factory=dict)
    memory: float = 0.0

    def __enter__(self) -> "Watch":
        self._known: dict[Path, bool] = {}
        self._over = threading.Event()
        self._look(0)
        self.before = dict(self.cpu)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            self._look(number)

    def _look(self, number: int) -> None:
        for one in marked(self.mark, self._known):
            if seconds := cpu_seconds(one):
                self.cpu[one] = seconds
            kind = self.kinds[one] = _kind(one) or self.kinds.get(one, "ray")
            if kind == "driver" and number % 5 == 0:
                self.memory = max(self.memory, memory_mib(one))

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._look(0)

    def cost(self, seconds: float) -> Cost:
        found = Cost(seconds=seconds, memory=self.memory)
        for one, spent in self.cpu.items():
            kind = self.kinds[one]
            setattr(found, kind, getattr(found, kind) + spent - self.before.get(one, 0.0))
        return found


def _kind(process: Path) -> str:
    """Whose a process is; nothing where it has ended."""
    try:
        line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    if not line:
        return ""
    is_driver = " -m detray " in f" {line}"
    return "driver" if is_driver else "tasks" if line.startswith("ray::") or "default_worker.py" in line else "ray"


@dataclass
class Cluster:
    """Some hosts with Ray; the first runs commands."""

    hosts: list[namespaces.Host]
    mark: str

    def run(self, verb: str, *arguments: str | Path) -> Cost:
        """What a command costs on all hosts."""
        words = [heads.BIN / "python", "-m", "detray", verb, *arguments, "--address", f"{namespaces.NETWORK}.1:6379"]
        with Watch(self.mark) as watch:
            start = time.perf_counter()
            done = self.hosts[0].run(*words, timeout=3600, **{MARK: self.mark, "PYTHONPATH": str(ROOT)})
            seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{verb}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return watch.cost(seconds)


@contextmanager
def cluster(count: int, cpus: int) -> Iterator[Cluster]:
    folder, mark = namespaces.ray_folder(), f"scale-{time.time_ns()}"
    try:
        with namespaces.bridge() as network, ExitStack() as stack:
            hosts = [stack.enter_context(namespaces.host_on(network, number)) for number in range(1, count + 1)]
            for host in hosts:
                own = {MARK: mark, "PYTHONPATH": str(ROOT)}
                namespaces.start_ray(host, folder, f"{namespaces.NETWORK}.1:6379", cpus=cpus, **own)
            time.sleep(5)  # until the first workers stand
            yield Cluster(hosts, mark)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def audited(millions: float, place: Path) -> Words:
    """So many annotations, read."""
    write_dataset(place / "instances_val.json", int(millions * 1e6), CLASSES)
    return _read("ingest", [place / "instances_val.json"], place)


def evaluated(millions: float, place: Path) -> Words:
    """So many detections, read."""
    write_json(place, int(millions * 1e6), CLASSES)
    return _read("predict", [place / "gt.json", place / "dt.json"], place)


def tiny(splits: int, place: Path) -> Words:
    """The configuration of a predict of so many splits of one picture, read."""
    from detectors import MODELS

    data = write_pictures(place / "data", 1, 160, 120)
    split = {"annotations": str(data / "annotations.json"), "images": str(data / "images")}
    (place / "model").mkdir()
    names = [f"s{number}" for number in range(splits)]
    config = {
        "dataset": {"root": str(place), "splits": dict.fromkeys(names, split)},
        "predict": {"splits": names, "batch_size": 1},
    }
    config["detector"] = MODELS["small"](place / "model")
    file = place / "config.yaml"
    file.write_text(json.dumps(config))
    return _read("ingest", ["--config", file], place)


def _read(verb: str, words: Words, place: Path) -> Words:
    command = [sys.executable, "-m", "detray", verb, *words, "--output", place / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return words


def cost_of(verb: str, hosts: int, cpus: int, words: Words, output: Path) -> Cost:
    """What a stage costs whose data have been read."""
    with cluster(hosts, cpus) as found:
        cost = found.run(verb, *words, "--output", output)
    log = max((output / "logs").glob("events-*.jsonl"), key=lambda one: one.stat().st_mtime)
    began = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "step_begun"]
    return replace(cost, count=int(sum(event["count"] for event in began)))


def count_files(shards: int) -> None:
    """Print how many files an audit of so many shards of two images keeps for its later steps, by buckets."""
    from detray import schema
    from detray.audit import flow as auditing
    from detray.flow.data import MemoryData
    from detray.flow.executor import InProcess
    from detray.flow.flow import Flow
    from detray.flow.keeper import FileKeeper
    from detray.store import Stage, Store
    from detray.tables import Shard

    names = {"split": ["val"], "category_id": [1], "category_name": ["cat"], "source": ["annotations"]}
    categories = schema.from_columns("categories", names, run="scale")
    made = []
    for shard in range(shards):
        images = [{"split": "val", "image_id": 2 * shard + k, "image_row": k, "file_name": f"{shard}-{k}.jpg",
                   "width": 640, "height": 480} for k in range(2)]  # fmt: skip
        boxes = [{"split": "val", "annotation_id": 2 * shard + k + 1, "annotation_row": 2 * shard + k,
                  "image_id": 2 * shard + k, "category_id": 1, "x": 9.0, "y": 9.0, "width": 20.0 + k, "height": 30.0,
                  "area": 600.0, "is_crowd": False, "is_difficult": False} for k in range(2)]  # fmt: skip
        tables = (
            schema.from_rows(name, rows, run="scale") for name, rows in (("images", images), ("annotations", boxes))
        )
        made.append(Shard("val", *tables, categories))
    print("| shards | buckets | files of kept keys | files of all kept tables |\n|---|---|---|---|")
    for buckets in (1, 100):
        auditing.KEYS_PER_BUCKET = -(-4 * shards // buckets)
        with tempfile.TemporaryDirectory() as folder:
            stage = Stage(Store(folder), "audit")
            flow = Flow(MemoryData(made), FileKeeper(stage, stage.begin("scale")), InProcess())
            auditing.audit(flow, auditing.AuditInputs("scale"))
            found = list((Path(folder) / "audit" / "_partial" / "scratch").rglob("*.arrow"))
        keys = sum(file.parent.name == "keys" for file in found)
        print(f"| {shards} | {buckets} | {keys} | {len(found)} |", flush=True)


VERBS = {"audit": audited, "evaluate": evaluated}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", type=float, nargs="*", default=[1, 4, 10], help="millions of annotations")
    arguments.add_argument("--on", type=int, default=3, help="hosts that audit these")
    arguments.add_argument("--each", type=float, default=2, help="millions of annotations of a host; 0: none")
    arguments.add_argument("--detections", type=float, default=1, help="millions of detections of a host; 0: none")
    arguments.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument("--cpus", type=int, default=2, help="of each host")
    arguments.add_argument("--shards", type=int, metavar="N", help="only count the files that N shards keep")
    arguments.add_argument("--tiny", type=int, nargs="+", metavar="N", help="only predict N splits of one picture")
    options = arguments.parse_args()
    if options.shards:
        count_files(options.shards)
        return
    if reason := namespaces.lacking():
        sys.exit(reason)
    if options.tiny:
        show_tiny(options.tiny, options.on, options.cpus)
        return
    most = max(options.hosts)
    plan = [("audit", size, options.on) for size in options.sizes]
    for verb, each in (("audit", options.each), ("evaluate", options.detections)):
        plan += [(verb, each * most, hosts) for hosts in options.hosts if each]
        plan += [(verb, each * hosts, hosts) for hosts in options.hosts if each]
    print("| stage | hosts | millions | CPU s: tasks | a million | driver | Ray | tasks | wall s | driver MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    data: dict[tuple[str, float], list[int]] = {}
    for verb, millions, hosts in dict.fromkeys(plan):
        data.setdefault((verb, millions), []).append(hosts)
    for (verb, millions), counts in data.items():
        with tempfile.TemporaryDirectory() as folder:
            files = VERBS[verb](millions, Path(folder))
            for hosts in counts:
                shutil.rmtree(Path(folder) / "out" / verb, ignore_errors=True)
                show(verb, hosts, millions, cost_of(verb, hosts, options.cpus, files, Path(folder) / "out"))


def show_tiny(counts: Sequence[int], hosts: int, cpus: int) -> None:
    print("| pictures | hosts | CPU s: tasks | driver | Ray | tasks | wall s |\n|---|---|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            cost = cost_of("predict", hosts, cpus, tiny(count, Path(folder)), Path(folder) / "out")
        print(
            f"| {count} | {hosts} | {cost.tasks:.1f} | {cost.driver:.1f} | {cost.ray:.1f} | {cost.count} |"
            f" {cost.seconds:.1f} |",
            flush=True,
        )


def show(verb: str, hosts: int, millions: float, cost: Cost) -> None:
    print(
        f"| {verb} | {hosts} | {millions:g} | {cost.tasks:.1f} | {cost.tasks / millions:.2f} | {cost.driver:.1f}"
        f" | {cost.ray:.1f} | {cost.count} | {cost.seconds:.1f} | {cost.memory:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
