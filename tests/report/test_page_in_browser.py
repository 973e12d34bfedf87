"""The page in a browser: at a desk, on a phone, on paper; and its size with many classes."""

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from report_page import Page, make_page
from report_sample import write_all, write_stage

from detray import cli
from detray.demo.shapes import CLASSES

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PAPER = 688
"""Pixels between the margins of A4."""
TOO_WIDE = (
    "[...document.querySelectorAll('.scroll, section, pre')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 80 classes with boxes and 80 without, and no pictures."""
    folder, rng = tmp_path_factory.mktemp("many"), random.Random(1)
    images = [{"id": n, "file_name": f"{n:06d}.jpg", "width": 640, "height": 480} for n in range(1, 101)]
    annotations: list[dict[str, Any]] = []
    for image in images:
        for number in rng.sample(range(1, 81), 8):
            box = [rng.random() * 400, rng.random() * 300, 100, 90]
            row = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": number, "bbox": box}
            annotations.append(row | {"area": 9000, "iscrowd": 0})
    categories = [{"id": n, "name": f"class number {n}"} for n in range(1, 161)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    found = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "score": rng.random()}
        | {"bbox": [side + rng.gauss(0, 6) for side in row["bbox"]]}
        for row in annotations
        if rng.random() < 0.7
    ]
    (folder / "gt.json").write_text(json.dumps(truth))
    (folder / "det.json").write_text(json.dumps(found))
    options = ["--serial", "--output", str(folder / "out")]
    files = [str(folder / "gt.json"), str(folder / "det.json")]
    for verb in ("diagnose", "audit", "report"):
        assert cli.main([verb, *(files if verb == "diagnose" else []), *options]) == 0
    return folder / "out" / "report" / "index.html"


def test_eighty_classes_take_less_than_a_megabyte(many: Path) -> None:
    html = many.read_text("utf-8")
    assert len(re.sub(r'href="data:[^"]*"', "", html).encode()) < 1_000_000
    page = Page(html)
    text = " ".join(page.one("section", id="dataset").text.split())
    assert "80 classes have no box in any split: class number 81, class number 82" in text
    assert "class number 160" not in html


@in_a_browser
def test_at_a_desk_on_a_phone_and_on_paper(many: Path, full: Page, tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text(full.html, "utf-8")
    for place in (many, tmp_path / "full.html"):
        with Browser(tmp_path / "profile") as tab:
            tab.open(place)
            assert tab.run("document.documentElement.scrollWidth <= 1440")
            assert not tab.run("document.getElementById('sheet').offsetHeight")
            tab.resize(390, 800, mobile=True)
            assert tab.run("document.documentElement.scrollWidth") == 390
            assert tab.run("document.documentElement.scrollHeight") < 47_000
            tab.call("Emulation.setEmulatedMedia", media="print")
            tab.resize(PAPER, 1000)
            assert tab.run(TOO_WIDE) == 0  # nothing is cut
            sheet = tab.run("document.getElementById('sheet').offsetHeight")
            assert 0 < sheet < 1016  # A4 between its margins
            assert tab.complaints() == []


@in_a_browser
def test_a_picture_as_large_as_the_screen(full: Page, tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text(full.html, "utf-8")
    with Browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "full.html")
        tab.run("document.querySelector('svg.picture').focus()")
        tab.press("Enter")
        assert tab.run("viewer.open")
        assert tab.run("viewer.querySelector('svg').getBoundingClientRect().height") > 700
        first = tab.run("viewer.innerText + viewer.querySelector('image')?.getAttribute('href').length")
        tab.press("ArrowRight")
        assert tab.run("viewer.innerText + viewer.querySelector('image')?.getAttribute('href').length") != first
        tab.press("End")
        last = tab.run("document.querySelectorAll('svg.picture').length") - 1  # the one in the viewer beside them
        assert f"({last} of {last};" in tab.run("viewer.innerText")
        tab.press("ArrowRight")
        assert f"(1 of {last};" in tab.run("viewer.innerText")
        tab.press("Escape")
        assert not tab.run("viewer.open")
        tab.run("document.querySelectorAll('svg.picture')[1].dispatchEvent(new MouseEvent('click'))")
        assert f"(2 of {last};" in tab.run("viewer.innerText")
        assert tab.complaints() == []


@in_a_browser
def test_eighty_classes_are_painted_at_once(many: Path, tmp_path: Path) -> None:
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    with Browser(tmp_path / "profile") as tab:
        times = []
        for _ in range(5):  # other programs run beside this one
            tab.open(many)
            tab.wait(f"{paint} > 0")
            times.append(tab.run(paint))
        assert min(times) < 500  # ms


@in_a_browser
def test_one_sheet_of_paper(many: Path, full: Page, tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text(full.html, "utf-8")
    for place in (many, tmp_path / "full.html"):
        with Browser(tmp_path / "profile") as tab:
            tab.open(place)
            assert pages(tab) > 3  # the sheet, then the rest
            tab.run("window.print = () => { window.printed = true; }")
            tab.run("document.getElementById('print-sheet').click()")
            assert tab.run("window.printed")
            assert pages(tab) == 1
            tab.run("dispatchEvent(new Event('afterprint'))")
            assert pages(tab) > 3


def pages(tab: Browser) -> int:
    """Sheets of paper that printing takes."""
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@in_a_browser
def test_a_link_to_a_class_that_is_folded_away_unfolds_it(tmp_path: Path) -> None:
    store = write_all(tmp_path)
    (weak,) = [row for row in store.read("diagnoses").to_pylist() if row["rank"] == 1]
    rows = [weak | {"category_id": number, "category_name": f"weak{number}"} for number in range(1, 15)]
    write_stage(store, "diagnose", {"diagnoses": rows, "label_errors": []})
    (tmp_path / "full.html").write_text(make_page(store).html, "utf-8")
    with Browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "full.html")
        folded = "[...document.querySelectorAll('details.diagnosis article')].at(-1)"
        assert not tab.run(f"{folded}.closest('details').open")
        tab.run(f"location.hash = {folded}.id")
        tab.wait(f"{folded}.closest('details').open")
        tab.wait(f"Math.abs({folded}.getBoundingClientRect().top) < 900")  # it scrolls there


def test_the_sheet_says_what_was_wrong_done_gained_and_how_sure_that_is(full: Page) -> None:
    text = " ".join(full.one("section", id="sheet").text.split())
    parts = re.split("What was wrong|What was done|What it gained|How sure that is", text)
    assert "target, AP 0.060: target has 15 of 1,037 training boxes" in parts[1]
    assert "2 × out-of-bounds" in parts[1]
    assert "trainings tried" in parts[2]
    assert "AP 0.060 to 0.134, +0.074 (95% interval +0.021 to +0.120)" in parts[3]
    assert "fresh seeds" in parts[4]
    assert "class imbalance, confidence" in parts[4]


def test_settings_seeds_and_fingerprints_stand_at_the_foot(many: Path) -> None:
    text = " ".join(Page(many.read_text("utf-8")).one("section", id="origin").text.split())
    assert "evaluate bootstrap 0" in text
    assert "gt.json" in text
    assert "bootstrap: 200" in text
    assert "Again, with the same settings: detray" in text
    assert "pyarrow" in text


def test_no_interval_is_empty(tmp_path: Path) -> None:
    store = write_all(tmp_path)
    keep = ("trials", "trial_class_metrics", "class_deltas")
    rows = {name: store.read(name).to_pylist() for name in keep}
    for row in rows["class_deltas"]:
        row["delta_low"] = row["delta_high"] = None
    write_stage(store, "tune", rows)
    html = make_page(store).html
    assert not re.search(r"95%(?: interval)?\s*\)", html)
    assert "interval</span>" not in html


def test_the_epoch_that_is_kept_stands_at_the_curves(full: Page, tmp_path: Path) -> None:
    section = " ".join(full.one("section", id="training").text.split())
    assert "epoch 7, whose weights the model has" in section
    assert "Loss: train 3.00 to 0.43" in section  # of the epoch that is kept
    assert f"AP of 5 classes; the lowest: {CLASSES[0]} 0.140" in section
    store = write_all(tmp_path)
    rows = [row for row in store.read("history").to_pylist() if (row["category_id"] or 0) < 3]
    write_stage(store, "train", {"history": rows})
    section = " ".join(make_page(store).one("section", id="training").text.split())
    assert f"AP: {CLASSES[0]} 0.140, {CLASSES[1]} 0.280" in section
