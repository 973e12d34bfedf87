"""Round trips of `detray review` with the tools' own packages: FiftyOne, Label Studio's server, Datumaro.

Run ``python benchmarks/review.py OUTPUT --tools DIR``. OUTPUT is the folder of any finished run with pictures in files
(``make demo`` leaves out/demo/faulty), DIR where the tools are, each in an environment of its own, or are to be
installed (once, about five minutes and 3 GB). For each tool: the export; a person who opens it with the tool's package
and saves it untouched, which must decide nothing; one who follows a plan of accepting, rejecting, deleting, moving,
relabelling and drawing, which must come to the decisions that the same plan gives when it is followed on the COCO file
without any tool; then `detray clean` with what the person saved, and `detray audit` of what that wrote: findings that
were accepted are to be gone. All on a copy of OUTPUT. Exit code 1 where one of that fails.
"""

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from round_trips.plan import Step, follow, make
from round_trips.trips import TRIPS, Trip, decided, differences, exported, file_of, make_environment, python_of, taken

from detray import cli
from detray.review.export import Request
from detray.store import Store

REQUEST = Request(min_score=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of a finished run")
    parser.add_argument("--tools", type=Path, required=True, help="folder of the tools' environments")
    parser.add_argument("--split", default="val")
    parser.add_argument("--each", type=int, default=3, help="times each step is done for each kind of suspect")
    parser.add_argument("--only", help="environments, with commas")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        copy = work / "out"
        shutil.copytree(options.output, copy, ignore=shutil.ignore_patterns("review", "report", "clean", "tune"))
        store = Store(str(copy))
        plain = exported(store, "coco", work / "plain" / "coco", REQUEST)
        labels = file_of("coco", plain, options.split)
        steps = make(labels, options.each)
        follow(labels, steps, work / "expected")
        expected = decided(store, work / "expected")
        words = Counter(f"{one[0]} {one[6]}" for one in expected)
        print(f"plan: {len(steps)} steps, {len(expected)} decisions: {dict(words)}")
        for trip in TRIPS:
            if options.only is None or trip.environment in options.only.split(","):
                make_environment(options.tools, trip.environment)
                python = python_of(options.tools, trip.environment)
                place_of_trip = work / f"{trip.environment}-{trip.tool}"
                failures += not _trip(trip, python, store, place_of_trip, options.split, steps, expected)
    return int(failures > 0)


def _trip(
    trip: Trip, python: Path, store: Store, work: Path, split: str, steps: Sequence[Step], expected: Sequence[Any]
) -> bool:
    work.mkdir()
    folder = exported(store, trip.tool, work / "export", REQUEST)
    untouched, version, seconds = taken(trip, python, folder, split, [])
    nothing = decided(store, untouched)
    saved, _, _ = taken(trip, python, folder, split, steps)
    found = decided(store, saved)
    other = differences(found, expected)
    print(f"\n{trip.name} ({version}): there and back {seconds:.0f} s")
    print(f"  untouched: {len(nothing)} decisions; the plan: {len(found)} decisions, {len(other)} not as expected")
    for what in [*nothing, *other][:5]:
        print(f"    {what}")
    print(f"  cleaned and audited again: {_cleaned(store, work, saved)}", flush=True)
    return not nothing and not other


def _cleaned(store: Store, work: Path, saved: Path) -> str:
    """Clean by what was saved, audit the result, and compare how many findings each rule has."""
    output, again = store.path(), str(work / "again")
    decisions = ("--decisions", str(saved), "--set", "clean.actions=[]")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        codes = [
            cli.main(["clean", "--output", output, *decisions, "--serial"]),
            cli.main(["audit", "--config", f"{output}/clean/dataset.yaml", "--output", again, "--serial"]),
        ]
    if any(codes):
        return f"exit codes {codes}: {said.getvalue()[-500:]}"
    edits = store.read("edits").num_rows
    before, after = _rules(store), _rules(Store(again))
    changed = [f"{rule} {before[rule]} to {after[rule]}" for rule in sorted({*before, *after})]
    changed = [text for text in changed if text.split()[1] != text.split()[3]]
    return f"{edits} edits; findings: {', '.join(changed) or 'the same'}"


def _rules(store: Store) -> Counter[str]:
    return Counter(store.read("findings", columns=["rule"])["rule"].to_pylist())


if __name__ == "__main__":
    sys.exit(main())
