"""Boxes in another format than their file's, whichever that is."""

from pathlib import Path

import numpy as np
import pytest

from detray import cli
from detray.store import Store

WIDTH, HEIGHT = 640, 480


def _boxes() -> np.ndarray:
    """x, y, width, height of 200 boxes, all within the picture."""
    rng = np.random.default_rng(0)
    sides = rng.uniform(20, 120, (200, 2))
    return np.concatenate([rng.uniform(0, [WIDTH, HEIGHT] - sides), sides], axis=1)


def _voc(folder: Path, numbers: np.ndarray) -> Path:
    (folder / "Annotations").mkdir()
    for place, rows in enumerate(np.array_split(numbers, 20)):
        objects = "".join(
            "<object><name>cell</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>".format(
                *row
            )
            for row in rows
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        text = f"<annotation><filename>{place}.jpg</filename>{size}{objects}</annotation>"
        (folder / "Annotations" / f"{place}.xml").write_text(text)
    return folder


def _found(data: Path, output: Path) -> list[tuple[str, str]]:
    cli.main(["audit", str(data), "--serial", "--output", str(output)])
    rows = Store(str(output)).read("findings", filters=[("rule", "=", "box-format")]).to_pylist()
    return [(row["observed"], row["expected"]) for row in rows]


@pytest.mark.parametrize(
    ("write", "observed"),
    [
        (lambda box: np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1), None),
        (lambda box: box, "x, y, width, height"),
        (lambda box: np.concatenate([box[:, :2] + box[:, 2:] / 2, box[:, 2:]], axis=1), "centre x, y, width, height"),
        (lambda box: np.concatenate([box[:, :2] + box[:, 2:], box[:, :2]], axis=1), "x2, y2, x, y"),
    ],
)
def test_what_stands_in_the_files_of_pascal_voc(tmp_path: Path, write, observed: str | None) -> None:
    (tmp_path / "data").mkdir()
    found = _found(_voc(tmp_path / "data", write(_boxes())), tmp_path / "out")
    expected = [(f"200 boxes read better as {observed}", "x, y, x2, y2 in pixels")] if observed else []
    assert found == expected
