"""What the plots of classes and boxes are drawn from, counted once more in the plain way."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_page import Page, make_page
from report_sample import EVALUATION, write_all, write_stage

from detray import schema
from detray.demo.shapes import CLASSES
from detray.report import plots
from detray.report.reader import Reader
from detray.report.sections import boxes, curves, scores, sizes
from detray.report.sections.common import Evaluation
from detray.store import Store

SHOWN = Evaluation(EVALUATION["split"], EVALUATION["model"])


@pytest.mark.parametrize("seed", range(4))
def test_a_thinned_line_passes_near_every_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.stack([np.arange(200.0), rng.normal(0, 0.4, 200).cumsum()], axis=1)
    kept = plots.thinned(points, 0.5)
    assert 2 < len(kept) < 150
    assert kept[[0, -1]].tolist() == points[[0, -1]].tolist()
    drawn = np.interp(points[:, 0], kept[:, 0], kept[:, 1])
    assert np.abs(drawn - points[:, 1]).max() < 0.5 * np.hypot(1, np.abs(np.diff(points[:, 1])).max()) + 1e-9
    assert plots.polyline([0, 0.5, 1], [0.0, 0.5, 1.0]) == "0,100 100,0"
    assert plots.polyline([0, 0.5, 1], [0.0, None, 1.0]) == "0,100 100,0"
    assert plots.polyline([], []) == ""


def detections(store: Store, rows: list[tuple[int, str, float | None]]) -> None:
    metrics = {name: store.read(name).to_pylist() for name in ("class_metrics", "summary_metrics", "pr_curves")}
    found = [
        EVALUATION | {"image_id": 1, "category_id": number, "outcome": outcome, "score": score}
        for number, outcome, score in rows
    ]
    write_stage(store, "evaluate", metrics | {"matches": found})


def test_detections_count_from_the_cut_on(tmp_path: Path) -> None:
    store = write_all(tmp_path)
    rows: list[tuple[int, str, float | None]] = [
        (5, "true_positive", 0.58), (5, "false_positive", 0.57), (5, "true_positive", 1.0), (5, "missed", None),
        (5, "ignored", 0.9), (2, "false_positive", 0.0), (1, "true_positive", 0.3),
    ]  # fmt: skip
    detections(store, rows)
    ids = (5, 2)
    found = scores.count(Reader(store), SHOWN, ids)
    for place, number in enumerate(ids):
        for kind, outcome in enumerate(("true_positive", "false_positive")):
            for cut, n in zip(scores.CUTS, found[place, kind], strict=True):
                assert n == sum(row[:2] == (number, outcome) and row[2] >= cut for row in rows), (number, outcome, cut)
    plot = scores.plot({"n_ground_truth": 3, "best_f1": 0.8, "best_f1_threshold": 0.58}, found[0])
    assert plot["best"] == (0.58, 0.8)
    assert plot["near"] == (0.58, 0.58)  # 2 of 3 found, none false; one more cut on and half is lost
    at = dict(point.split(",") for point in plot["recall"].split())
    assert (at["0"], at["100"]) == ("33.3", "66.7")


def test_cuts_of_a_class_without_a_right_detection(tmp_path: Path) -> None:
    plot = scores.plot({"n_ground_truth": 3, "best_f1": 0.0, "best_f1_threshold": None}, np.zeros((2, 51), np.int64))
    assert plot["best"] is plot["near"] is None
    assert plot["precision"] == ""


def test_ap_over_sizes_says_where_a_class_is_weak() -> None:
    values = ["[0, 16) px", "[16, 32) px", "[32, inf) px"]
    rows: dict[str, dict[str, Any]] = {
        value: {"n_ground_truth": n, "ap": ap}
        for value, n, ap in zip(values, (5, 40, 60), (0.0, 0.2, 0.7), strict=True)
    }
    plot = sizes.plot(rows, values)
    assert plot is not None
    assert plot["sentence"] == "AP 0.20 at 16 to 32 px (40 boxes), 0.70 at 32 px and more"
    assert [point["few"] for point in plot["points"]] == [True, False, False]
    assert plot["points"][2]["y"] == 30
    assert plot["bars"].count("M") == 3
    alone = sizes.plot({values[1]: rows[values[1]]}, values)
    assert alone is not None
    assert alone["sentence"] == "40 of 40 boxes have 16 to 32 px"
    assert sizes.plot({}, values) is None
    low = {value: {"n_ground_truth": 20, "ap": 0.2} for value in values}
    plot = sizes.plot(low, values)
    assert plot is not None
    assert plot["top"] == 0.5  # each has a third of the boxes
    assert [point["y"] for point in plot["points"]] == [60.0] * 3
    assert plot["sentence"] == "AP is alike on all sizes with 10 boxes or more"


def data_set(folder: Path) -> tuple[Store, list[dict[str, Any]], list[dict[str, Any]]]:
    """Two splits with boxes that cannot be placed among those that can."""
    rng, store = np.random.default_rng(3), Store(str(folder / "out"))
    images = [
        {"split": split, "image_id": n, "file_name": f"{n}.jpg", "width": 200 if n % 3 else None, "height": 100}
        for split, k in (("train", 30), ("val", 9))
        for n in range(k)
    ]
    images.append(images[0] | {"width": 5000})  # an id that stands there twice
    annotations = [
        {"split": split, "image_id": int(rng.integers(0, k)), "category_id": int(rng.integers(1, 4))}
        | {"x": float(rng.uniform(-20, 190)), "y": float(rng.uniform(0, 60))}
        | {"width": float(rng.uniform(-1, 80)), "height": float(rng.uniform(0, 50))}
        for split, k in (("train", 25), ("val", 12))  # images without boxes, and boxes without images
        for _ in range(200)
    ]
    annotations[7]["x"] = annotations[8]["width"] = annotations[9]["image_id"] = annotations[10]["category_id"] = None
    for row in annotations:
        row |= {"is_crowd": False, "is_difficult": False}
    shards = [
        {"index": n, "split": split, "low": 0, "high": 40, "n_images": 1, "n_annotations": 200}
        for n, split in enumerate(("train", "val"))
    ]
    categories = [
        {"split": "train", "category_id": n, "category_name": f"c{n}", "source": "annotations"} for n in (1, 2, 3)
    ]
    tables = {"images": images, "annotations": annotations, "categories": categories, "quarantine": []}
    write_stage(store, "ingest", tables, {"shards": shards})
    return store, images, annotations


def test_boxes_are_counted_by_size_place_and_image(tmp_path: Path) -> None:
    store, images, annotations = data_set(tmp_path)
    found = boxes.count(Reader(store), ["train", "val"], [3, 1])
    first: dict[tuple[str, int], dict[str, Any]] = {}
    for row in images:
        first.setdefault((row["split"], row["image_id"]), row)
    per_image: Counter[tuple[str, int]] = Counter()
    centres: Counter[tuple[int, int]] = Counter()
    n_sizes: Counter[str] = Counter()
    for row in annotations:
        image = first.get((row["split"], row["image_id"]))
        per_image[row["split"], row["image_id"]] += 1
        if row["image_id"] is None or None in (row["width"], row["height"]) or min(row["width"], row["height"]) <= 0:
            continue
        n_sizes[row["split"]] += 1
        if image is None or row["x"] is None or image["width"] is None:
            continue
        x, y = (row["x"] + row["width"] / 2) / image["width"], (row["y"] + row["height"] / 2) / image["height"]
        if 0 <= x < 1 and 0 <= y < 1 and row["category_id"] == 3:
            centres[int(y * boxes.GRID), int(x * boxes.GRID)] += 1
    assert found.sizes[:, -1].sum(axis=1).tolist() == [n_sizes["train"], n_sizes["val"]]
    assert len(centres) > 20
    assert {(int(a), int(b)): int(found.centres[0][a, b]) for a, b in np.argwhere(found.centres[0])} == centres
    for place, split in enumerate(("train", "val")):
        wanted = Counter(per_image[key] for key in first if key[0] == split)
        assert {int(n): int(found.images[place][n]) for n in np.flatnonzero(found.images[place])} == wanted
    assert found.images[0][0] > 0
    assert f"{found.images[:, 0].sum()} hold none" in boxes.images(found)["sentence"]


@pytest.mark.filterwarnings("error")
def test_absurd_boxes_are_counted_at_the_ends(tmp_path: Path) -> None:
    store, images, annotations = data_set(tmp_path)
    absurd = [
        annotations[0] | {"image_id": 1, "category_id": 3, "x": x, "y": 1.0, "width": width, "height": height}
        for x, width, height in ((1.0, 1e308, 1e308), (1.7e308, 1.7e308, 1.0), (1.0, 1e-300, 1e-300))
    ]
    shards = [{"index": 0, "split": "train", "low": 0, "high": 40, "n_images": 1, "n_annotations": 3}]
    write_stage(
        store,
        "ingest",
        {"images": images, "annotations": absurd, "categories": [], "quarantine": []},
        {"shards": shards},
    )
    found = boxes.count(Reader(store), ["train"], [3])
    assert np.flatnonzero(found.sizes[0, 0]).tolist() == [0, found.sizes.shape[2] - 1]
    assert found.sizes[0, 0].sum() == 3
    assert found.centres[0].sum() == 1  # the tiny one
    boxes.plot(found, 0)


def test_sizes_of_a_split_that_differ_are_said() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((2, 1, 112), np.int64)
    for place, size in enumerate((20.0, 41.0)):
        np.add.at(counts[place, 0], (np.log2(rng.normal(size, 0.2, 50)) * 8).astype(int), 1)
    shown = boxes.Counts(["train", "val"], counts, np.zeros((1, 8, 8), np.int64), np.zeros((2, 257), np.int64))
    sentence = boxes.plot(shown, 0)["sizes"]["sentence"]
    assert sentence.startswith("half of them about 2")
    assert sentence.endswith("`val` has 2.0 times the size of `train`")


def test_where_boxes_lie_is_said() -> None:
    def said(part: tuple[slice, slice]) -> str:
        centres = np.zeros((1, 8, 8), np.int64)
        centres[0][part] = 10
        shown = boxes.Counts(["train"], np.zeros((1, 1, 112), np.int64), centres, np.zeros((1, 257), np.int64))
        sentence: str = boxes.plot(shown, 0)["centres"]["sentence"]
        return sentence

    every = slice(None)
    assert said((slice(5, 8), every)) == "100% in the lower half"
    assert said((every, slice(0, 3))) == "100% in the left half"
    assert said((slice(2, 6), slice(2, 6))) == "100% in the middle quarter"
    assert said((every, every)) == "all over the picture"
    assert said((slice(0, 1), slice(0, 1))) == "10 boxes"


def test_a_map_of_shares_has_the_deepest_colour_where_most_lie() -> None:
    paths = plots.cells(np.array([[0.0, 1.0], [2.0, 10.0]]), 5)
    assert paths[4] == "M50 50h50v50h-50z"
    assert paths[0].count("M") == 2
    assert "M0 0h" not in "".join(paths)
    assert plots.cells(np.zeros((2, 2)), 5) == [""] * 5


def test_every_class_is_drawn_with_its_finding_and_its_score_cut(full: Page) -> None:
    section = " ".join(full.one("section", id="curves").text.split())
    articles = full.all("article", class_="drawn")
    assert [" ".join(article.text.split()).split(" AP ")[0] for article in articles[:4]] == [
        CLASSES[4], CLASSES[3], CLASSES[1], CLASSES[0],
    ]  # fmt: skip
    assert "F1 is within 0.02 of the best" in section
    assert "score cut" in articles[0].text
    assert "under 10 boxes of each size" in articles[0].text
    assert "F1 0.11 from score 0.30" in " ".join(articles[0].text.split())
    assert sum(e.attributes.get("class") == "few" for e in full.all("circle")) == 3
    pictured = full.one("section", id="dataset").text
    assert pictured.count("centres:") == 1 + len(CLASSES)
    assert "boxes an image" in pictured


def test_many_classes_are_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "OPEN", 3)
    monkeypatch.setattr(curves, "MAX_CLASSES", 3)
    page = make_page(write_all(tmp_path))
    assert "1 more in the table pr_curves" in " ".join(page.one("section", id="curves").text.split())
    monkeypatch.setattr(curves, "MAX_CLASSES", 80)
    (folded,) = [e for e in make_page(write_all(tmp_path / "again")).all("details") if "1 more class" in e.text]
    assert CLASSES[0] in folded.text


def test_tables_that_the_plots_read_are_known() -> None:
    for table, columns in (("matches", ("outcome", "score")), ("slices", ("slice", "value")), ("images", ("width",))):
        assert set(columns) <= set(schema.TABLES[table].arrow.names)
