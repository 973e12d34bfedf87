"""The planted-cause suite in full: confusion of causes, pairs, and what is said of classes without a plant.

Run ``python benchmarks/diagnose.py`` (about five minutes; ``--seeds`` and ``--pairs`` shorten it).
Thresholds were tuned on seeds below 40000; the report takes seeds from 40000.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "diagnose"))

import suite  # noqa: E402 - lies beside the tests
from scenes import PLANTS  # noqa: E402
from suite import GEOMETRIES, GLOBAL  # noqa: E402

from detray.diagnose.catalogue import CAUSES  # noqa: E402
from detray.diagnose.cause import SYMPTOM, TRAINING_DATA  # noqa: E402

REPORT_SEEDS = 40_000
NO_PAIR = {"no_ground_truth", "crowd_only", "few_examples"}
"""Without boxes nothing else can be wrong; few_examples is no cause that another could hide."""
BLAMES = {cause.name for cause in CAUSES if cause.group < TRAINING_DATA}
"""Causes that put the blame on files, labels or settings: wrong of a class that is weak by itself."""
NEEDS = {cause.name: cause.inputs for cause in CAUSES if cause.inputs and cause.group != SYMPTOM}
"""Causes that are told by more than ground truth and detections, which their trials are given."""
NONE = "none"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=60, help="trials of each single cause")
    arguments.add_argument("--pairs", type=int, default=6, help="trials of each pair")
    arguments.add_argument("--first", type=int, default=REPORT_SEEDS, help="the first seed")
    arguments.add_argument("--causes", default=",".join(PLANTS), help="single causes to plant")
    arguments.add_argument("--verbose", action="store_true", help="print every miss")
    options = arguments.parse_args()
    shared = ROOT.parent / "shared" / "data"
    shared = shared if shared.is_dir() else None
    singles(options, shared)
    pairs(options, shared)


def singles(options: argparse.Namespace, shared: Path | None) -> None:
    """Plant each cause alone; print what is named first, of the planted class and of the others."""
    named: dict[str, Counter[str]] = {}
    healthy: Counter[str] = Counter()
    weak: Counter[str] = Counter()
    for name in options.causes.split(","):
        row = named[name] = Counter()
        for seed in range(options.first, options.first + options.seeds):
            geometry = GEOMETRIES[seed % len(GEOMETRIES)]
            trial = suite.run_trial(seed, (name,), geometry, shared)
            if trial is None or not suite.is_weak(trial):
                continue
            row[trial.causes[0] if trial.causes else NONE] += 1
            if options.verbose and trial.causes[:1] != [name]:
                print("   ", seed, geometry, name, trial.causes)
            if name not in GLOBAL:
                healthy.update(suite.said_of_others(trial, are_weak=False))
                weak.update(suite.said_of_others(trial, are_weak=True))
    print_confusion(named)
    n, right = sum(map(Counter.total, named.values())), sum(row[name] for name, row in named.items())
    print(f"\nSingle causes named first: {right} of {n} ({_percent(right, n)}).")
    alarms = healthy.total() - healthy[NONE]
    print(f"Healthy classes: {alarms} alarms in {healthy.total()} ({_percent(alarms, healthy.total())}).")
    blamed = {name: k for name, k in weak.items() if name in BLAMES}
    print(f"Weak classes without a plant: {sum(blamed.values())} of {weak.total()} are put down to mapping, ground")
    print(f"truth or output settings ({_percent(sum(blamed.values()), weak.total())}) {blamed or ''}.")
    print("Given beside ground truth and detections where planted: " + "; ".join(map(_needs, NEEDS)) + ".")


def print_confusion(named: dict[str, Counter[str]]) -> None:
    """Markdown: a row for each planted cause, a column for each cause that is named wrongly somewhere."""
    wrong = {cause for name, row in named.items() for cause in row if cause != name}
    columns = [name for name in (*PLANTS, NONE) if name in wrong]
    _print_table(
        ["planted", "trials", "named first", *columns],
        [
            [name, row.total(), row[name], *(row[cause] if cause != name and row[cause] else "" for cause in columns)]
            for name, row in named.items()
        ],
    )


def pairs(options: argparse.Namespace, shared: Path | None) -> None:
    """Plant pairs of causes in one class; print how often each cause is among the first three."""
    planted: Counter[str] = Counter()
    missed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    both = total = 0
    chosen = [name for name in PLANTS if name not in NO_PAIR]
    for place, names in enumerate(suite.compatible_pairs(chosen)):
        start = options.first + place * options.pairs
        for seed in range(start, start + options.pairs):
            geometry = GEOMETRIES[seed % len(GEOMETRIES)]
            trial = suite.run_trial(seed, names, geometry, shared)
            if trial is None or not suite.is_weak(trial) or not suite.is_visible(trial):
                continue
            total += 1
            planted.update(names)
            lacking = set(names) - set(trial.causes[:3])
            both += not lacking
            for name in lacking:
                missed[name][next(other for other in names if other != name)] += 1
            if lacking and options.verbose:
                print("   ", seed, geometry, names, trial.causes)
    if not total:
        return
    print(f"\nPairs, both among the first three: {both} of {total} ({_percent(both, total)}).\n")
    _print_table(
        ["one of a pair", "trials", "among the first three", "lacking beside"],
        [
            [name, n, n - missed[name].total(), ", ".join(f"{other} {k}" for other, k in missed[name].most_common())]
            for name, n in planted.items()
        ],
    )


def _needs(name: str) -> str:
    return f"{name}: {' or '.join(NEEDS[name])}"


def _percent(k: int, n: int) -> str:
    return f"{100 * k / max(n, 1):.1f}%"


def _print_table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
