"""The planted-cause suite in full: the confusion table of causes, pairs, and alarms on healthy classes.

Run ``python benchmarks/diagnose.py`` (about ten minutes; ``--seeds`` and ``--pairs`` shorten it).
Thresholds were tuned on seeds below 1000; the report takes seeds from 1000.
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "diagnose"))

import suite  # noqa: E402 - lies beside the tests
from scenes import PLANTS  # noqa: E402
from suite import GEOMETRIES, GLOBAL  # noqa: E402

TUNING_SEEDS, REPORT_SEEDS = 0, 1000
NO_PAIR = {"no_ground_truth", "crowd_only", "few_examples"}
"""Without boxes nothing else can be wrong; few_examples is no cause that another could hide."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=60, help="seeds of each single cause and geometry set")
    arguments.add_argument("--pairs", type=int, default=2, help="seeds of each pair")
    arguments.add_argument("--tuning", action="store_true", help="the tuning seeds instead of the report's")
    arguments.add_argument("--causes", default=",".join(PLANTS), help="single causes to plant")
    arguments.add_argument("--verbose", action="store_true", help="print every miss")
    options = arguments.parse_args()
    shared = ROOT.parent / "shared" / "data"
    shared = shared if shared.is_dir() else None
    first = TUNING_SEEDS if options.tuning else REPORT_SEEDS
    healthy: Counter[str] = Counter()
    singles(options, first, shared, healthy)
    pairs(options, first, shared)
    n = sum(healthy.values())
    alarms = n - healthy["none"]
    if n:
        print(f"\nhealthy classes: {alarms} alarms in {n} ({100 * alarms / n:.2f}%) {dict(healthy)}")


def singles(options: argparse.Namespace, first: int, shared: Path | None, healthy: Counter[str]) -> None:
    """Plant each cause alone; print what is named first."""
    total = right = 0
    for name in options.causes.split(","):
        named: Counter[str] = Counter()
        for seed in range(first, first + options.seeds):
            geometry = GEOMETRIES[seed % len(GEOMETRIES)]
            trial = suite.run_trial(seed, (name,), geometry, shared)
            if trial is None or not suite.is_weak(trial):
                continue
            causes = trial.causes
            named[causes[0] if causes else "none"] += 1
            if options.verbose and (not causes or causes[0] != name):
                print("   ", seed, geometry, causes)
            if name not in GLOBAL:
                healthy.update(suite.healthy_classes(trial))
        n = sum(named.values())
        total, right = total + n, right + named[name]
        others = ", ".join(f"{cause} {k}" for cause, k in named.most_common() if cause != name)
        print(f"{name:22s} {named[name]:4d} of {n:4d}  {others}", flush=True)
    print(f"single causes named first: {right} of {total} ({100 * right / max(total, 1):.1f}%)")


def pairs(options: argparse.Namespace, first: int, shared: Path | None) -> None:
    """Plant pairs of causes in one class; print how often both are among the first three."""
    both = total = 0
    missed: defaultdict[str, Counter[str]] = defaultdict(Counter)
    chosen = [name for name in PLANTS if name not in NO_PAIR]
    for place, names in enumerate(suite.compatible_pairs(chosen)):
        for seed in range(first + place * options.pairs, first + (place + 1) * options.pairs):
            geometry = GEOMETRIES[seed % len(GEOMETRIES)]
            trial = suite.run_trial(seed, names, geometry, shared)
            if trial is None or not suite.is_weak(trial) or not suite.is_visible(trial):
                continue
            total += 1
            found = set(names) <= set(trial.causes[:3])
            both += found
            if not found:
                for name in set(names) - set(trial.causes[:3]):
                    missed[name][" + ".join(names)] += 1
                if options.verbose:
                    print("   ", seed, geometry, names, trial.causes)
    if total:
        print(f"pairs, both among the first three: {both} of {total} ({100 * both / total:.1f}%)")
        for name, where in missed.items():
            print(f"    lacks {name}: {sum(where.values())} ({', '.join(w for w, _ in where.most_common(4))})")


if __name__ == "__main__":
    main()
