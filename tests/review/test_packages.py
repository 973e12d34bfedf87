"""There and back with the tools' own packages, where these are: see benchmarks/review.py.

``DETRAY_TOOLS=DIR`` names the folder of environments that ``benchmarks/review.py --tools DIR`` has made; without it a
package is used that this Python has.
"""

import importlib.util
import os
import sys
from pathlib import Path

import clean_tables as t
import pytest
from exports import BY_NAME, FINDINGS, ROWS, SUSPECTS
from PIL import Image
from test_clean_stage import ingested

from detray import schema
from detray.review.export import Request
from detray.tables import Shard

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from round_trips.plan import follow, make
from round_trips.trips import TRIPS, Trip, decided, differences, exported, file_of, python_of, taken

pytestmark = pytest.mark.slow


def python_with(package: str) -> Path:
    """A Python that has a package; the test is skipped where there is none."""
    tools = os.environ.get("DETRAY_TOOLS")
    if tools and python_of(Path(tools), package).exists():
        return python_of(Path(tools), package)
    if importlib.util.find_spec(package) is None:
        pytest.skip(
            f"{package} is not installed; benchmarks/review.py --tools DIR installs it, and DETRAY_TOOLS=DIR says so"
        )
    return Path(sys.executable)


def drawn(place: Path) -> Shard:
    """The scene of the other tests, its pictures in files."""
    place.mkdir()
    shard = t.shard(ROWS)
    paths = [str(place / name) for name in shard.images["file_name"].to_pylist()]
    for path in paths:
        Image.new("RGB", (100, 80), (90, 140, 200)).save(path)
    rows = [row | {"path": path} for row, path in zip(shard.images.to_pylist(), paths, strict=True)]
    return Shard("val", schema.from_rows("images", rows, run="r"), shard.annotations, shard.categories)


@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip.name)
def test_there_and_back(trip: Trip, tmp_path: Path) -> None:
    python = python_with(trip.environment)
    store = ingested(tmp_path / "out", [drawn(tmp_path / "pictures")], FINDINGS, SUSPECTS)
    plain = file_of("coco", exported(store, "coco", tmp_path / "plain" / "coco", Request()), "val")
    folder = exported(store, trip.tool, tmp_path / "in" / trip.tool, Request())
    untouched, *_ = taken(trip, python, folder, "val", [])
    assert decided(store, untouched) == []
    steps = make(plain, 1)
    assert {step[0] for step in steps} >= {"say", "relabel", "add"}
    follow(plain, steps, tmp_path / "expected")
    expected = decided(store, tmp_path / "expected")
    assert expected
    saved, *_ = taken(trip, python, folder, "val", steps)
    assert differences(decided(store, saved), expected) == []


def test_each_tool_is_tried_with_a_package() -> None:
    """CVAT and COCO by Datumaro, which reads and writes both: CVAT itself is a server that no package brings."""
    assert {trip.tool for trip in TRIPS} == BY_NAME.keys()
