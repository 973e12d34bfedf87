"""The review page in a browser, and what it is made from."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from browser import CHROMIUM, Browser
from PIL import Image
from report_sample import write_all
from test_page import HOSTILE

from detray import cli
from detray.clean.decisions import About, read_decisions
from detray.report.reader import Reader
from detray.report.review import items, page, thumbnails
from detray.report.review.items import Item, Picture, Review
from detray.store import Store

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

BIG = 2**62 + 1
"""No number that JavaScript has."""

BOXES = [
    (1, 1, [4, 4, 20, 20]),
    (1, 1, [4, 4, 20, 20]),  # twice the same
    (2, 1, [50, 10, 40, 20]),  # out of a picture of 64 by 48
    (2, 2, [10, 10, 12, 12]),
    (2, 1, [10, 10, 12, 12]),  # and of two classes
    (3, 2, [5, 5, 20, 30]),
    (BIG, 2, [5, 5, 20, 30]),  # its picture stands there twice
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small COCO data set with faults."""
    folder = tmp_path_factory.mktemp("review")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        pixels = rng.integers(0, 255, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(folder / "pictures" / f"{name}.png")
    (folder / "pictures" / "d.png").write_bytes((folder / "pictures" / "c.png").read_bytes())
    ids = {1: "a", 2: "b", 3: "c", BIG: "d"}
    coco = {
        "images": [{"id": n, "file_name": f"{name}.png", "width": 64, "height": 48} for n, name in ids.items()],
        "annotations": [
            {"id": n, "image_id": image, "category_id": number, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for n, (image, number, box) in enumerate(BOXES, 1)
        ],
        "categories": [{"id": 1, "name": "<b>cat</b>"}, {"id": 2, "name": "dog"}],
    }
    (folder / "gt.json").write_text(json.dumps(coco))
    return folder


def detray(verb: str, *arguments: str) -> None:
    assert cli.main([verb, *arguments, "--serial"]) == 0


def rules(output: Path) -> set[str]:
    return set(Store(str(output)).read("findings")["rule"].to_pylist())


@in_a_browser
def test_decide_reload_export_clean_and_audit_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    detray("report", str(data / "gt.json"), "--images", str(data / "pictures"), "--output", str(out))
    detray("audit", "--output", str(out))
    detray("report", "--output", str(out))
    assert {"duplicate-box", "out-of-bounds", "same-box-two-classes", "exact-duplicate-image"} <= rules(out)
    with Browser(tmp_path / "profile") as tab:
        tab.open(out / "report" / "review.html")
        tab.wait("document.querySelectorAll('.cell').length > 4")
        choose(tab, "kind", "duplicate-box")
        assert tab.run("shown.length") == 1
        tab.press("a")
        choose(tab, "kind", "out-of-bounds")
        tab.press("r")
        choose(tab, "kind", "same-box-two-classes")
        tab.press("Enter")
        tab.wait("document.getElementById('viewer').open")
        assert tab.run("document.querySelectorAll('#stages .mark.other').length") == 1
        tab.press("a", "Escape")
        choose(tab, "kind", "exact-duplicate-image")
        assert tab.run("shown.length") == 2
        tab.press("s", "Enter")
        tab.wait("document.querySelectorAll('#stages figure').length === 2")  # the pair, side by side
        assert tab.run("document.querySelectorAll('#stages .mark.drawn').length") == 2  # what is drawn on either
        assert tab.run("document.body.querySelector('b')") is None
        assert tab.complaints() == []
        assert all(address.startswith("file://") for address in tab.requests())
    with Browser(tmp_path / "profile") as tab:  # another day
        tab.open(out / "report" / "review.html")
        assert tab.run("document.getElementById('states').textContent") == "2 accepted, 1 rejected, 1 skipped"
        tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        tab.run("document.getElementById('export').click()")
        file = tmp_path / "decisions.json"
        tab.wait(file.exists)
        assert tab.complaints() == []
    found = read_decisions(str(file))
    assert {(one.decision, one.about.kind) for one in found} == {
        ("accept", "duplicate-box"), ("accept", "same-box-two-classes"), ("reject", "out-of-bounds"),
    }  # fmt: skip
    detray("clean", "--decisions", str(file), "--output", str(out))
    edits = Store(str(out)).read("edits").to_pylist()
    assert [(row["annotation_row"], row["action"]) for row in edits] == [(1, "drop"), (4, "drop")]
    again = tmp_path / "again"
    (fixed,) = (out / "clean" / "data").rglob("*.json")
    detray("audit", str(fixed), "--images", str(data / "pictures"), "--output", str(again))
    assert rules(out) - rules(again) >= {"duplicate-box", "same-box-two-classes"}
    assert "out-of-bounds" in rules(again)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on pictures that stand there twice: within a split and in two, the same file and nearly."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 255, (6, 8, 3), np.uint8).repeat(20, 0).repeat(20, 1) for name in "abcd"}
    near = {name: np.clip(pixels[name].astype(int) + 3, 0, 255).astype(np.uint8) for name in "cd"}
    files = {
        "train": {"a1": pixels["a"], "a2": pixels["a"], "b": pixels["b"]}
        | {"c1": pixels["c"], "c2": near["c"], "d1": pixels["d"]},
        "val": {"b2": pixels["b"], "d2": near["d"]},
    }
    for split, pictures in files.items():
        rows = []
        for number, (name, picture) in enumerate(pictures.items(), 1):
            Image.fromarray(picture).save(folder / "pictures" / f"{name}.png")
            rows.append({"id": number, "file_name": f"{name}.png", "width": 160, "height": 120})
        boxes = [
            {"id": 9 * row["id"] + k, "image_id": row["id"], "category_id": 1, "iscrowd": 0, "area": 400}
            | {"bbox": [10 + 40 * k + 4 * row["id"], 20, 20, 20]}
            for row in rows
            for k in range(3)
        ]
        coco = {"images": rows, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
        (folder / f"{split}.json").write_text(json.dumps(coco))
    options = ["--images", str(folder / "pictures"), "--output", str(folder / "out")]
    detray("audit", str(folder / "val.json"), "--train", str(folder / "train.json"), *options)
    detray("report", "--output", str(folder / "out"))
    return folder / "out"


PAIRS = {
    "exact-duplicate-image": [("a1.png (train)", "a2.png (train)")],
    "near-duplicate-image": [("c1.png (train)", "c2.png (train)")],
    "split-leakage": [("b.png (train)", "b2.png (val)"), ("d1.png (train)", "d2.png (val)")],
    "duplicate-disagreement": [("a1.png (train)", "a2.png (train)"), ("b.png (train)", "b2.png (val)")],
}
"""Pairs that each rule shows side by side, among others."""


@in_a_browser
def test_pairs_stand_side_by_side(twins: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as tab:
        for rule, pairs in PAIRS.items():
            tab.open(twins / "report" / "index.html")
            tab.open(twins / "report" / "review.html", f"kind={rule}")
            assert tab.run("form.kind.value") == rule
            found = []
            for place in range(tab.run("shown.length")):
                tab.run(f"go({place}); open()")
                captions = tab.run("[...document.querySelectorAll('#stages figcaption')].map(e => e.textContent)")
                assert tab.run("document.querySelectorAll('#stages figure').length") == 2, rule
                assert tab.run("document.querySelectorAll('#stages .mark.drawn').length") == 6, rule
                found.append(tuple(sorted(captions)))
                alone = tab.run("document.querySelectorAll('#stages .mark.alone').length")
                assert alone == (6 if rule == "split-leakage" else 0 if "a1.png (train)" in captions else alone)
                tab.press("Escape")
            for pair in pairs:
                assert pair in found, rule
        assert tab.complaints() == []


@in_a_browser
def test_the_report_leads_to_what_is_reviewed_of_a_rule(twins: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as tab:
        tab.open(twins / "report" / "index.html")
        tab.resize(390, 800, mobile=True)
        assert tab.run("document.documentElement.scrollWidth") == 390
        links = tab.run("[...document.querySelectorAll('#findings a')].map(link => link.getAttribute('href'))")
        assert "review.html#kind=split-leakage" in links
        tab.open(twins / "report" / "review.html", "kind=split-leakage")
        tab.wait("typeof shown === 'object' && shown.length > 0")
        assert tab.run("new Set(shown.map(item => item.kind)).size") == 1
        assert 0 < tab.run("shown.length") < tab.run("items.length")
        tab.run("location.hash = 'kind=no-such-rule&score=0.5&__proto__=x'")
        tab.wait("form.score.value === '0.5'")
        assert tab.run("form.kind.value") == "split-leakage"  # what is not there changes nothing
        tab.resize(1440, 900)
        assert tab.run("scroller.scrollWidth <= scroller.clientWidth")
        assert tab.complaints() == []


def choose(tab: Browser, name: str, value: str) -> None:
    tab.run(f"form['{name}'].value = {json.dumps(value)}; filter(); document.activeElement.blur()")
    assert tab.run(f"form['{name}'].value") == value


def many(n: int, path: str | None) -> tuple[Review, page.Album, pa.Table]:
    """A page of ``n`` suspects."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(n):
        picture = Picture("val", BIG - k, f"{k:05d}.png", path, 64, 48)
        about = About(
            "wrong_class", "val", BIG - k, picture.file_name, "gt.json", k, 1, (4.0, 4.0, 20.0, 20.5), "relabel", 2
        )
        score = float(rng.random())
        found.append(
            Item("suspect", about, "m", "cat", score, picture, (4.0, 4.0, 20.0, 20.5), suggested_category="dog")
        )
    album = page.album(found)
    row = {"problem": None, "x": 0.0, "y": 0.0, "width": 64.0, "height": 48.0, "full_width": 64.0, "full_height": 48.0}
    places = pa.Table.from_pylist([{"number": k} | row for k in range(n)], thumbnails.PLACES)
    return Review(found), album, places


@in_a_browser
def test_five_thousand_suspects_stay_smooth(data: Path, tmp_path: Path) -> None:
    n = 5000
    review, album, places = many(n, str(data / "pictures" / "a.png"))
    (tmp_path / "review.html").write_bytes(page.render("sample", "d", review, album, places))
    (tmp_path / "review").mkdir()
    pack = thumbnails.draw(album.thumbnails[:24])[1]["review/pack-00000.jpg"]
    for k in range(0, n, 24):
        (tmp_path / thumbnails.pack_name(k)).write_bytes(pack)
    with Browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "review.html")
        assert tab.run("items.length") == n
        assert tab.run("document.querySelectorAll('.cell').length") < 100
        assert len([address for address in tab.requests() if "pack-" in address]) < 10  # those that are seen
        slow = tab.run(
            "(async () => { const times = []; for (let k = 0; k < 60; k++) { scroller.scrollTop += 1500;"
            " const start = performance.now(); show(); times.push(performance.now() - start);"
            " await new Promise(requestAnimationFrame); } return times.sort((a, b) => a - b)[30]; })()"
        )
        assert slow < 50  # ms of work for a jump of 1500 px, which replaces all that is seen
        assert tab.run("document.querySelectorAll('.cell').length") < 100
        filtering = tab.run(
            "(() => { const start = performance.now(); form.score.value = .5; filter();"
            " return performance.now() - start; })()"
        )
        assert filtering < 300
        tab.run("for (let k = 0; k < 20; k++) decide('accept')")
        text = tab.run("exported()")
        assert tab.complaints() == []
    (tmp_path / "decisions.json").write_text(text)
    decided = read_decisions(str(tmp_path / "decisions.json"))
    assert len(decided) == 20
    assert all(one.about.image_id > 2**60 for one in decided)
    by_id = {item.about.image_id: item for item in review.items}
    assert all(by_id[one.about.image_id].about == one.about for one in decided)


@in_a_browser
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    store = write_all(tmp_path, HOSTILE)
    found = items.collect(Reader(store), 100)
    album = page.album(found.items)
    places = pa.concat_tables([thumbnails.draw(part)[0] for part in page.packs(album.thumbnails).values()])
    html = page.render(HOSTILE[4], "d", found, album, places)
    assert b"<script>alert" not in html
    assert len(re.findall(rb"<script", html)) == 2
    (tmp_path / "review.html").write_bytes(html)
    with Browser(tmp_path / "profile") as tab:
        tab.open(tmp_path / "review.html")
        assert tab.run("typeof items.length") == "number"
        for _ in found.items[:30]:
            tab.press("Enter", "ArrowRight")
        assert tab.run("document.querySelectorAll('#stages script, #stages img, .cell script, .cell img').length") == 0
        assert "\u202e" not in tab.run("document.body.innerText")
        assert [line for line in tab.complaints() if "Content Security" in line or "exception" in line] == []


def test_of_each_group_what_is_most_suspicious(store: Store) -> None:
    every = items.collect(Reader(store), 1000)
    groups = [item.group for item in every.items]
    assert set(groups) == {"suspect", "finding", "miss"}
    few = items.collect(Reader(store), 9)
    assert [item.group for item in few.items].count("finding") == 3
    assert sum(few.left_out.values()) == sum(every.left_out.values()) + len(every.items) - 9
    assert items.collect(Reader(store), 0).items == []


def test_items_say_what_accepting_does(store: Store) -> None:
    found: dict[str, list[Item]] = {}
    for item in items.collect(Reader(store), 1000).items:
        found.setdefault(item.about.kind, []).append(item)
    assert found["wrong_class"][0].about.action == "relabel"
    assert found["wrong_class"][0].about.suggested_category_id is not None
    assert {item.about.action for item in found["missed"]} == {"drop"}
    assert {item.about.action for item in found["corrupt-image"]} == {None}
    out = found["out-of-bounds"][-1]
    assert out.box is not None
    assert out.suggested is None or out.suggested != out.box
    keys = [item.key for group in found.values() for item in group]
    assert len(set(keys)) == len(keys)


def test_pictures_that_no_browser_opens_are_copied_once(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.tif")
    review, album, _ = many(3, str(tmp_path / "a.tif"))
    (wanted,) = page.packs(album.thumbnails).values()
    places, files = thumbnails.draw(wanted)
    (copy,) = [name for name in files if "picture-" in name]
    shown: list[dict[str, Any]] = json.loads(
        re.findall(r'id="data">(.*?)</script>', page.render("r", "d", review, album, places).decode())[0]
    )["items"]
    assert [item["picture"]["large"] for item in shown] == [copy] * 3
    assert shown[0]["picture"]["size"] == [40, 30]
