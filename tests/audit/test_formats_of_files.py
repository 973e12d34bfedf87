"""What the audit says of files of other formats than COCO."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def _found(data: Path, output: Path, *more: str) -> list[tuple[str, str]]:
    cli.main(["audit", str(data), *more, "--serial", "--output", str(output)])
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


def _open_images(folder: Path, corners: np.ndarray) -> Path:
    """``corners``: the numbers in the columns XMin, XMax, YMin, YMax."""
    folder.mkdir()
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf"]
    for place, rows in enumerate(np.array_split(corners, 20)):
        lines += [f"{place},xclick,/m/01,1," + ",".join(f"{number:.6f}" for number in row) + ",0" for row in rows]
        Image.new("L", (WIDTH, HEIGHT)).save(folder / f"{place}.jpg")
    (folder / "val.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("order", "sides", "observed"),
    [
        ([0, 2, 1, 3], (WIDTH, HEIGHT), None),
        ([0, 1, 2, 3], (WIDTH, HEIGHT), "x, y, x2, y2 as shares of the image, in the columns of x, x2, y, y2"),
        ([1, 3, 0, 2], (HEIGHT, WIDTH), "y, x, y2, x2 as shares of width and height in this order"),
    ],
)
def test_what_stands_in_the_columns_of_open_images(
    tmp_path: Path, order: list[int], sides: tuple[int, int], observed: str | None
) -> None:
    """``order`` of x, y, x2, y2 in the columns; ``sides`` that x and y are divided by."""
    box = _boxes()
    shares = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1) / np.tile(sides, 2)
    data = _open_images(tmp_path / "data", shares[:, order])
    found = _found(data / "val.csv", tmp_path / "out", "--images", str(data))
    expected = "x, y, x2, y2 as shares of the image"
    assert found == ([(f"200 boxes read better as {observed}", expected)] if observed else [])


def _yolo(folder: Path) -> Path:
    """Labels with each fault of geometry, and their pictures."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    lines = ["0 0.5 0.5 0.2 0.2", "0 1.5 0.5 0.2 0.2", "0 0.5 0.5 0 0.2", "0 0.5 0.95 0.2 0.2", "0 0.5 0.5 0.2 0.2"]
    for name in ("a", "b"):
        (folder / "labels" / f"{name}.txt").write_text("\n".join(lines))
        Image.new("RGB", (100, 100), "gray").save(folder / "images" / f"{name}.jpg")
    return folder


def test_labels_are_judged_alike_without_their_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, rules = _yolo(tmp_path / "data"), ("fully-outside", "degenerate-box", "out-of-bounds", "duplicate-box")
    found, said = [], []
    for number, more in enumerate([(), ("--images", str(data / "images"))]):
        output = str(tmp_path / f"out{number}")
        cli.main(["audit", str(data / "labels"), *more, "--serial", "--output", output])
        rows = Store(output).read("findings", filters=[("rule", "in", rules), ("annotation_row", ">=", 0)]).to_pylist()
        found.append(sorted((row["image_id"], row["annotation_row"], row["rule"], row["severity"]) for row in rows))
        said.append("sizes and overlaps of boxes not judged" in capsys.readouterr().out)
    assert found[0] == found[1]
    assert [row[1:] for row in found[0][:4]] == [
        (1, "fully-outside", 3),
        (2, "degenerate-box", 3),
        (3, "out-of-bounds", 2),
        (4, "duplicate-box", 3),
    ]
    assert said == [True, False]
