"""COCO evaluation from loaded boxes to metrics: detray, hotcoco, faster-coco-eval and pycocotools.

Run ``python benchmarks/evaluate.py --tools PYTHON`` (about half an hour), where PYTHON is an
interpreter that has the other tools::

    python -m venv /somewhere/tools && /somewhere/tools/bin/pip install pycocotools faster-coco-eval hotcoco

Without it their cells stay empty, and say so. ``--detections`` and ``--classes`` give the sizes,
``--repeats`` the interleaved rounds of which medians are shown, with the spread.

Times are CPU seconds of one thread, without reading files: for the others ``evaluate`` and
``accumulate``; for detray all tables, the match table with its texts among them, without bootstrap
and slices. ``stage`` is detray's whole stage, Parquet in and out; on two workers of Ray its wall
time, beside which that of the stage in one process stands. Memory is the largest resident set of a
process: on Ray, of a worker. Shards are equally large at all sizes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # the interpreter of the other tools has no pyarrow
    from detray.tables import Shard

OURS = ("detray", "detray stage", "detray stage, 2 workers")
OTHERS = ("hotcoco", "faster-coco-eval", "pycocotools")
LARGEST = {"pycocotools": (500_000, 80), "faster-coco-eval": (500_000, 1200)}
"""Most detections and classes that a tool is asked for: beyond, it takes tens of minutes or gigabytes."""
PER_IMAGE = 100
IMAGES_PER_SHARD = 2500
MEGABYTE = 1 << 20


def scene(detections: int, classes: int) -> tuple[int, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Images, boxes (7.25 an image, as in COCO) and detections (100 an image, 45 in 100 near a box)."""
    rng = np.random.default_rng(0)
    images, boxes = detections // PER_IMAGE, int(detections * 0.0725)
    share = 1 / np.arange(1, classes + 1) ** 0.8
    share /= share.sum()
    image, category = np.sort(rng.integers(0, images, boxes)), rng.choice(classes, boxes, p=share) + 1
    box = _boxes(rng, boxes)
    near = int(detections * 0.45)
    source, blur = rng.integers(0, boxes, near), np.abs(rng.normal(0, 0.18, near))
    moved = box[source] + rng.normal(0, 1, (near, 4)) * blur[:, None] * box[source][:, [2, 3, 2, 3]] / 2
    moved[:, 2:] = np.maximum(moved[:, 2:], 1)
    right = rng.random(near) < 0.85
    named = np.where(right, category[source], rng.choice(classes, near, p=share) + 1)
    rest = detections - near
    found = {
        "image": np.concatenate([image[source], rng.integers(0, images, rest)]),
        "category": np.concatenate([named, rng.choice(classes, rest, p=share) + 1]),
        "box": np.round(np.concatenate([moved, _boxes(rng, rest)]), 2),
        "score": np.round(
            np.concatenate([np.clip(1 - 2 * blur + rng.normal(0, 0.2, near), 0.001, 0.999), rng.beta(1, 6, rest)]), 5
        ),
    }
    order = np.argsort(found["image"], kind="stable")
    truth = {
        "image": image,
        "category": category,
        "box": box,
        "area": box[:, 2] * box[:, 3] * rng.uniform(0.5, 0.9, boxes),
        "crowd": rng.random(boxes) < 0.01,
    }
    return images, truth, {name: values[order] for name, values in found.items()}


def _boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Log-normal boxes in pictures of 640x480."""
    size = np.exp(rng.normal(4, 1, n)).clip(4, 400)
    sides = np.stack([size, size * np.exp(rng.normal(0, 0.3, n))], axis=1).clip(2, 480)
    return np.round(np.concatenate([rng.random((n, 2)) * (np.array([640, 480]) - sides).clip(1), sides], axis=1), 2)


def write_json(folder: Path, detections: int, classes: int) -> None:
    """``gt.json`` and ``dt.json``, for the other tools."""
    images, truth, found = scene(detections, classes)
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd")
    columns = (truth[name].tolist() for name in ("image", "category", "box", "area", "crowd"))
    notes = [
        {"id": row + 1} | dict(zip(keys, values, strict=True)) for row, values in enumerate(zip(*columns, strict=True))
    ]
    for note in notes:
        note["iscrowd"] = int(note["iscrowd"])
    data = {
        "images": [{"id": number, "width": 640, "height": 480} for number in range(images)],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, classes + 1)],
        "annotations": notes,
    }
    (folder / "gt.json").write_text(json.dumps(data))
    columns = (found[name].tolist() for name in ("image", "category", "box", "score"))
    keys = ("image_id", "category_id", "bbox", "score")
    with (folder / "dt.json").open("w") as file:
        for row, values in enumerate(zip(*columns, strict=True)):
            file.write("[" if row == 0 else ",")
            file.write(json.dumps(dict(zip(keys, values, strict=True))))
        file.write("]")


def shards(detections: int, classes: int) -> "list[Shard]":
    """The scene as detray's tables, equally large shards of the split val."""
    import pyarrow as pa

    from detray import schema
    from detray.tables import Shard

    images, truth, found = scene(detections, classes)
    names = {
        "split": ["val"] * classes,
        "category_id": np.arange(classes) + 1,
        "category_name": [f"class {number}" for number in range(1, classes + 1)],
        "source": ["annotations"] * classes,
    }
    categories = schema.from_columns("categories", names, run="b")
    made = []
    for low in range(0, images, IMAGES_PER_SHARD):
        high = min(low + IMAGES_PER_SHARD, images)
        ids = np.arange(low, high)
        picked = slice(*np.searchsorted(truth["image"], (low, high)))
        shown = slice(*np.searchsorted(found["image"], (low, high)))
        n, m = picked.stop - picked.start, shown.stop - shown.start
        listed = {
            "split": ["val"] * len(ids),
            "image_id": ids,
            "file_name": [f"{number:012d}.jpg" for number in ids],
        }
        boxes = {
            "split": ["val"] * n,
            "annotation_id": np.arange(picked.start, picked.stop) + 1,
            "annotation_row": np.arange(picked.start, picked.stop),
            "image_id": truth["image"][picked],
            "category_id": truth["category"][picked],
            **_sides(truth["box"][picked]),
            "area": truth["area"][picked],
            "is_crowd": truth["crowd"][picked],
            "is_difficult": np.zeros(n, np.bool_),
        }
        rows = {
            "split": pa.repeat("val", m),
            "model": pa.repeat("benchmark", m),
            "image_id": found["image"][shown],
            "category_id": found["category"][shown],
            **_sides(found["box"][shown]),
            "score": found["score"][shown],
            "rank": np.arange(shown.start, shown.stop) + 1,
        }
        parts = (("images", listed), ("annotations", boxes), ("predictions", rows))
        tables = {name: schema.from_columns(name, columns, run="b") for name, columns in parts}
        made.append(Shard("val", categories=categories, **tables))
    return made


def write_store(folder: Path, detections: int, classes: int) -> None:
    """The stages ingest and predict, complete, for detray."""
    from dataclasses import asdict

    from detray.flow.data import MemoryData
    from detray.store import Stage, Store

    made = shards(detections, classes)
    keys = MemoryData(made).shards()
    facts = {"ingest": {"shards": [asdict(key) for key in keys]}, "predict": {"model": "benchmark"}}
    for name, tables in (("ingest", ("images", "annotations")), ("predict", ("predictions",))):
        stage = Stage(Store(str(folder)), name)
        stage.begin("benchmark")
        parts = {
            table: [
                part
                for key, shard in zip(keys, made, strict=True)
                for part in stage.write_parts(table, key.name, getattr(shard, table), number=key.index)
            ]
            for table in tables
        }
        if name == "ingest":
            parts["categories"] = stage.write_parts("categories", "categories", made[0].categories)
        stage.commit(parts, {}, {"facts": facts[name]}, "", tuple(parts))


def _sides(box: np.ndarray) -> dict[str, np.ndarray]:
    return {side: box[:, place] for place, side in enumerate(("x", "y", "width", "height"))}


def time_other(tool: str, folder: Path, inner: int) -> list[float]:
    """CPU seconds of ``inner`` evaluations by another tool; its AP goes into the last place."""
    if tool == "hotcoco":
        from hotcoco import COCO, COCOeval
    elif tool == "faster-coco-eval":
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    else:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    truth = COCO(str(folder / "gt.json"))
    load = truth.load_res if tool == "hotcoco" else truth.loadRes
    found = load(str(folder / "dt.json"))

    def evaluate() -> Any:
        run = COCOeval(truth, found, "bbox")
        run.evaluate()
        run.accumulate()
        return run

    times = [_cpu(evaluate) for _ in range(inner)]
    times[-1][1].summarize()
    return [seconds for seconds, _ in times] + [float(times[-1][1].stats[0])]


def _cpu(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def time_detray(folder: Path, inner: int) -> list[float]:
    """As `time_other`: the flow that ships, in memory, from Arrow tables to Arrow tables."""
    import pyarrow as pa

    from detray.evaluate.flow import TABLES, evaluate
    from detray.evaluate.settings import EvaluateSettings
    from detray.flow.data import MemoryData
    from detray.flow.memory import run_in_memory
    from detray.store import Store

    pa.set_cpu_count(1)
    store = Store(str(folder))
    data = MemoryData([store.read_shard(key, predictions=True) for key in store.shards()])
    settings = EvaluateSettings(bootstrap=0, slices=())

    def run() -> float:
        found = run_in_memory(evaluate, data, "b", ["val"], settings, tables=TABLES)
        return float(found.tables["summary_metrics"]["value"][0].as_py())

    times = [_cpu(run) for _ in range(inner)]
    return [seconds for seconds, _ in times] + [times[-1][1]]


def time_stage(folder: Path, workers: int) -> dict[str, Any]:
    """Seconds of the whole stage: CPU in this process, or wall time on so many workers; AP, and the
    peak of memory of a process that works."""
    from contextlib import nullcontext

    import pyarrow as pa

    from detray.flow.executor import InProcess
    from detray.flow.flow import Flow
    from detray.flow.keeper import FileKeeper
    from detray.settings import convert
    from detray.store import Stage, Store
    from detray.verbs.base import Context
    from detray.verbs.config import Config
    from detray.verbs.evaluate import STAGE

    if workers == 1:
        pa.set_cpu_count(1)
    config = convert({"name": "b", "evaluate": {"bootstrap": 0, "slices": []}}, Config, "benchmark")
    store = Store(str(folder))
    stage = Stage(store, "evaluate")
    if workers == 1:
        session, executor = nullcontext(), InProcess(threads=1)
    else:
        from detray.cluster.ray_executor import RayExecutor
        from detray.cluster.session import ray_session

        session, executor = ray_session(config.cluster), RayExecutor(own=True)
    with session:
        _peak(executor, workers)
        clock = time.process_time if workers == 1 else time.perf_counter
        start, begin = clock(), time.perf_counter()
        flow = Flow(store, FileKeeper(stage, stage.begin(str(time.time_ns()))), executor)
        outcome = STAGE.run(Context(config, store, executor), flow)
        stage.commit(*flow.parts(), {"facts": outcome.facts}, "", STAGE.tables)
        seconds, wall = clock() - start, time.perf_counter() - begin
        memory = _peak(executor, workers)
    values = store.read("summary_metrics")["value"]
    return {"times": [seconds], "wall": wall, "ap": float(values[0].as_py()), "memory": memory}


def _peak(executor: Any, workers: int) -> float:
    """The peak of memory in MB of a process that works; the first call also makes workers import detray."""
    from detray.flow.data import MemoryData
    from detray.flow.flow import Flow
    from detray.flow.keeper import MemoryKeeper
    from detray.flow.step import NoFacts, Step

    with tempfile.TemporaryDirectory() as name:
        step = Step("peak", _note_peak, NoFacts)
        Flow(MemoryData(()), MemoryKeeper(), executor).map(step, Path(name), {str(n): n for n in range(4 * workers)})
        return max(float(file.read_text()) for file in Path(name).iterdir())


def _note_peak(folder: Path, number: int) -> Any:
    import detray.evaluate.flow  # noqa: F401 - the import is what it is for
    from detray.flow.step import NoFacts, Output

    time.sleep(0.1)  # so that each worker is asked
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    (folder / str(number)).write_text(str(memory))
    return Output(NoFacts())


def work(tool: str, folder: Path, inner: int) -> None:
    """One process: print its times, its AP and its memory as JSON."""
    if tool.startswith("detray stage"):
        print(json.dumps(time_stage(folder, 2 if "workers" in tool else 1)))
        return
    *times, ap = time_detray(folder, inner) if tool == "detray" else time_other(tool, folder, inner)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    print(json.dumps({"times": times, "ap": ap, "memory": memory}))


def measure(tool: str, folder: Path, python: str, inner: int) -> dict[str, Any] | str:
    """What `work` prints, or why there is nothing."""
    environment = os.environ | dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [python, str(Path(__file__).resolve()), "--work", tool, "--folder", str(folder), "--inner", str(inner)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(detections: int, classes: int, tools: str | None, repeats: int, inner: int) -> None:
    """Print the rows of one size."""
    results: dict[str, list[dict[str, Any]]] = {}
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in processes of their own: the peak of this one would count as that of those it starts
        kinds = ["store"] if tools is None else ["store", "json"]
        for kind in kinds:
            made = [sys.executable, __file__, "--work", kind, "--folder", name]
            subprocess.run([*made, "--detections", str(detections), "--classes", str(classes)], check=True)
        wanted = list(OURS)
        for tool in OTHERS:
            if tools is None:
                reasons[tool] = "not installed: see --tools"
            elif tool in LARGEST and (detections > LARGEST[tool][0] or classes > LARGEST[tool][1]):
                reasons[tool] = "would take tens of minutes or gigabytes"
            else:
                wanted.append(tool)
        for round_number in range(repeats):
            for tool in wanted:
                if tool in reasons or (tool == "pycocotools" and round_number):
                    continue
                python = sys.executable if tool in OURS else str(tools)
                found = measure(tool, folder, python, inner if tool in ("detray", "hotcoco") else 1)
                if isinstance(found, str):
                    reasons[tool] = found
                else:
                    results.setdefault(tool, []).append(found)
    base = (
        statistics.median(t for run in results.get("hotcoco", []) for t in run["times"])
        if "hotcoco" in results
        else None
    )
    for tool in (*OURS, *OTHERS):
        print(_row(detections, classes, tool, results.get(tool, []), reasons.get(tool, ""), base), flush=True)


def _row(
    detections: int, classes: int, tool: str, runs: Sequence[dict[str, Any]], reason: str, base: float | None
) -> str:
    cells = [f"{detections:,}", f"{classes:,}", tool]
    if not runs:
        return "| " + " | ".join([*cells, "", "", "", "", reason]) + " |"
    times = [seconds for run in runs for seconds in run["times"]]
    median = statistics.median(times)
    ratio = f"{median / base:.2f}" if base and "stage" not in tool else ""
    memory = f"{max(run['memory'] for run in runs):.0f}"
    took = f"{median:.2f} wall" if "workers" in tool else f"{median:.2f} CPU"
    if tool == "detray stage":
        took += f", {statistics.median(run['wall'] for run in runs):.2f} wall"
    spread = f"{min(times):.2f} to {max(times):.2f}"
    return "| " + " | ".join([*cells, took, spread, ratio, memory, f"{runs[-1]['ap']:.12f}"]) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detections", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--classes", type=int, nargs="+", default=[80, 1200])
    parser.add_argument("--repeats", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--inner", type=int, default=3, help="evaluations in a process of the fast tools")
    parser.add_argument("--tools", metavar="PYTHON", help="interpreter that has the other tools")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work in ("store", "json"):
        write = write_store if options.work == "store" else write_json
        write(options.folder, options.detections[0], options.classes[0])
        return
    if options.work:
        work(options.work, options.folder, options.inner)
        return
    print("| detections | classes | tool | seconds | spread | times hotcoco | memory MB | AP |")
    print("|---|---|---|---|---|---|---|---|")
    for detections in options.detections:
        for classes in options.classes:
            compare(detections, classes, options.tools, options.repeats, options.inner)


if __name__ == "__main__":
    main()
