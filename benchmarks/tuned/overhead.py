"""What detray adds to the trainings themselves: N on k slots against N runs one after another, divided by k.

N are the trials of a search, and with these those of its proof: baseline and finalist on each fresh seed.

The training is a program that waits, so that the machine's cores are not what is measured: starting it, reading what it
reports, scoring it and starting the next is. Ray is there before the clock starts, as in a search of hours.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from subprocess import run
from time import perf_counter
from typing import Any

from planted.data import drawn
from planted.runs import Bench

from detray.settings import to_yaml
from detray.store import Store

EPOCHS = 5
"""Of a training."""

PROGRAM = """
import json, pathlib, sys, time
output, detect = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
for epoch in range(1, int(sys.argv[3]) + 1):
    time.sleep(float(sys.argv[4]))
    found = [{"image_id": one["id"], "category_id": category["id"], "bbox": [9, 9, 20, 20], "score": 0.5}
             for one in detect["images"] for category in detect["categories"]]
    (output / "part").write_text(json.dumps(found))
    (output / "part").rename(output / f"detections-{epoch}.json")
"""


def report(
    trials: int, seeds: int, slots: int, seconds: float, repeats: int, work: Path, tell: Callable[[str], None]
) -> None:
    """The table of docs/performance.md; ``seconds`` an epoch."""
    bench = Bench(work, work)
    data = drawn(work / "drawn")
    case = bench.clean(data, 0)
    (work / "program.py").write_text(PROGRAM)
    argv = [sys.executable, str(work / "program.py")]
    config: dict[str, Any] = bench.config(data, case, work, ("train", "val"))
    program = {"run": [*argv, "{output}", "{detect}", "{epochs}", str(seconds), "{l2}"]}
    focus = [case.documents["train"]["categories"][0]["name"]]
    values = [number / 1000 for number in range(1, trials)]
    config |= {"cluster": {"address": "local"}, "train": {"epochs": EPOCHS}}
    config["tune"] = {"trainer": "command", "command": program, "focus": focus, "trials": trials, "search": "grid"}
    config["tune"] |= {"scheduler": "none", "proof_seeds": seeds, "proof_split": "val", "space": {"l2": values}}
    place = work / "config.yaml"
    place.write_text(to_yaml(config))
    rows = []
    for number in range(repeats):
        alone = _alone(argv, case.documents["val"], seconds, work) / slots
        search, proof = _tuned(place, work / f"out-{number}")
        whole = trials + 2 * seeds
        rows.append((alone, search, search / (trials * alone), proof, (search + proof) / (whole * alone)))
    tell(f"| {trials} trials, proof on {seeds} seeds, {slots} slots | median of {repeats} (range) |")
    tell("|---|---|")
    names = (
        *(f"one training alone / {slots}, s", "the search on Ray, s", f"of {trials} alone", "the proof, s"),
        f"both, of {trials + 2 * seeds} alone",
    )
    for name, found in zip(names, zip(*rows, strict=True), strict=True):
        tell(f"| {name} | {median(found):.3g} ({min(found):.3g} to {max(found):.3g}) |")


def _alone(argv: list[str], document: dict[str, Any], seconds: float, work: Path) -> float:
    """The wall time of the program without detray."""
    output = work / "alone"
    output.mkdir(exist_ok=True)
    (work / "detect.json").write_text(json.dumps(document))
    start = perf_counter()
    run([*argv, str(output), str(work / "detect.json"), str(EPOCHS), str(seconds)], check=True)
    return perf_counter() - start


def _tuned(place: Path, out: Path) -> tuple[float, float]:
    """The wall times of a search and of its proof, as the manifest has them."""
    argv = [sys.executable, "-m", "detray", "tune", "--config", str(place), "--output", str(out)]
    with out.with_suffix(".log").open("w") as stream:
        run(argv, stdout=stream, stderr=stream, check=True)
    seconds = (Store(str(out)).manifest("tune") or {})["seconds"]
    return float(seconds["search"]), float(seconds.get("prove", 0.0))
