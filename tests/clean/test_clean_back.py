"""A data set is written back in its own format: what is edited is mended, and nothing else is touched."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from data_files import FORMATS, Scene
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from outputs import write_stage
from test_clean_reaudit import found, run

from detray import schema
from detray.store import Store
from detray.tables import boxes

RIGHT = [
    [(0, (10.0, 10.0, 20.0, 20.0)), (1, (40.0, 30.0, 24.0, 16.0))],
    [(1, (5.0, 6.0, 30.0, 40.0))],
    [],
    [(0, (50.0, 20.0, 25.0, 32.0)), (0, (2.0, 4.0, 10.0, 12.0)), (1, (60.0, 8.0, 20.0, 16.0))],
]


def cleaned(folder: Path, dataset: dict[str, Any], **settings: Any) -> tuple[Store, Store, dict[str, Any]]:
    """The data set before and after, and the section dataset that was written."""
    first = run("clean", folder / "first", dataset, **({"clean": settings} if settings else {}))
    again = yaml.safe_load((folder / "first" / "clean" / "dataset.yaml").read_text())["dataset"]
    return first, run("audit", folder / "second", again), again


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    """A canonical table, without what names the run and the folder that its files lie in."""
    read = store.read(table).to_pylist()
    for row in read:
        row.pop("path", None)
        row.pop("run_id")
        row["source_file"] = row["source_file"] and Path(row["source_file"]).name
    return read


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sides(dataset: Path, name: str, scene: Scene) -> dict[str, Any]:
    dataset.mkdir()
    return FORMATS[name](dataset, scene)


@pytest.mark.parametrize("name", FORMATS)
def test_with_nothing_to_do_the_files_are_the_same_bytes(tmp_path: Path, name: str) -> None:
    dataset = sides(tmp_path / "in", name, RIGHT)
    first, second, again = cleaned(tmp_path, dataset)
    assert again["splits"]["val"]["format"] == name
    written = files(tmp_path / "first" / "clean" / "data")
    assert written
    before = files(tmp_path / "in")
    assert {path: before[path] for path in written} == written
    assert set(before) - set(written) == {path for path in before if path.endswith((".png", ".jpg"))}
    for table in ("images", "annotations", "categories"):
        assert rows(first, table) == rows(second, table)


FAULTY = [
    [(0, (30.0, 30.0, -20.0, -20.0)), (1, (40.0, 30.0, 24.0, 16.0))],  # corners exchanged
    [(1, (5.0, 6.0, 30.0, 40.0)), (1, (80.0, 6.0, 30.0, 40.0))],  # over the edge
    [(0, (120.0, 6.0, 10.0, 10.0))],  # outside, the only one
    [(0, (50.0, 20.0, 25.0, 32.0)), (0, (2.0, 4.0, 0.0, 12.0)), (1, (60.0, 8.0, 20.0, 16.0))],  # without area
    [(1, (15.0, 6.0, 30.0, 40.0))],
]
MENDED = [
    [(10, 10, 20, 20), (40, 30, 24, 16)],
    [(5, 6, 30, 40), (80, 6, 20, 40)],
    [],
    [(50, 20, 25, 32), (60, 8, 20, 16)],
    [(15, 6, 30, 40)],
]


@pytest.mark.parametrize("name", FORMATS)
def test_planted_faults_are_mended_and_nothing_else_is_touched(tmp_path: Path, name: str) -> None:
    dataset = sides(tmp_path / "in", name, FAULTY)
    first, second, _ = cleaned(tmp_path, dataset)
    moves = {} if name == "labelme" else {"move": 1}  # whose corners are any two opposite ones
    assert Counter(first.read("edits")["action"].to_pylist()) == moves | {"clip": 1, "drop": 2}
    gone = {"degenerate-box", "out-of-bounds", "fully-outside", "swapped-corners"}
    assert not gone & set(found(second))
    drawn = second.read("annotations")
    pictures = {row["image_id"]: row["file_name"] for row in rows(second, "images")}
    of_image: dict[str, list[Any]] = {}
    for image, box in zip(drawn["image_id"].to_pylist(), boxes(drawn), strict=True):
        of_image.setdefault(pictures[image].partition(".")[0], []).append(box)
    for k, wanted in enumerate(MENDED):
        assert np.allclose(
            np.array(of_image.get(str(k), [])).reshape(-1, 4), np.array(wanted).reshape(-1, 4), atol=1e-5
        )
    names = ("category_id", "attributes", "segmentation", "is_crowd", "annotator")
    edited = {(row["source_file"], row["annotation_row"]) for row in rows(first, "edits")}
    kept = [row for row in rows(first, "annotations") if (row["source_file"], row["annotation_row"]) not in edited]
    left = Counter(str([row[name] for name in names]) for row in rows(second, "annotations"))
    assert not Counter(str([row[name] for name in names]) for row in kept) - left
    before, written = files(tmp_path / "in"), files(tmp_path / "first" / "clean" / "data")
    if name in ("voc", "yolo"):  # a file of one image: the last one has no edit
        assert [path for path in written if before[path] == written[path] and path.endswith(("4.xml", "4.txt"))]
        assert len([path for path in written if before[path] != written[path]]) == 4
    if name == "coco":
        made, given = json.loads(written["val.json"]), json.loads(before["val.json"])
        assert list(made) == list(given)
        assert {key: made[key] for key in made if key != "annotations"} == {
            key: given[key] for key in given if key != "annotations"
        }
        assert made["annotations"][0] == given["annotations"][0] | {"bbox": [10, 10, 20, 20]}
        assert list(made["annotations"][0]) == list(given["annotations"][0])
        assert made["annotations"][-1] == given["annotations"][-1]
    if name == "open_images":
        same = set(before["boxes.csv"].splitlines()) & set(written["boxes.csv"].splitlines())
        assert len(same) == 1 + 9 - 4
        assert b'0,xclick,"cat",1.0,0.1,0.3,0.125,0.375,-1' in written["boxes.csv"]


@pytest.mark.parametrize("name", FORMATS)
def test_classes_are_changed_and_boxes_are_added(tmp_path: Path, name: str) -> None:
    dataset = sides(tmp_path / "in", name, RIGHT)
    run("audit", tmp_path / "first", dataset)
    store = Store(str(tmp_path / "first"))
    annotations, images = store.read("annotations").to_pylist(), store.read("images").to_pylist()
    place = "0" if name in ("open_images", "tf_csv") else "2"  # where a picture without boxes is in no file
    empty = next(row for row in images if row["file_name"].startswith(f"{place}."))
    wrong = next(row for row in annotations if row["width"] == pytest.approx(30))
    told = {name: wrong[name] for name in ("image_id", "annotation_id", "annotation_row", "source_file", "category_id")}
    added = {"suggested_x": 70, "suggested_y": 50, "suggested_width": 20, "suggested_height": 10}
    suspects = [told | {"kind": "wrong_class", "suggested_category_id": 1}]
    for image in (empty["image_id"], wrong["image_id"]):
        suspects.append({"image_id": image, "category_id": 2, "kind": "missing", "suggested_category_id": 2} | added)
    suspects = [row | {"model": "m", "split": "val", "score": 1.0} for row in suspects]
    write_stage(
        store, "diagnose", {"label_errors": schema.from_rows("label_errors", suspects, run="r")}, created="9999"
    )
    _, second, _ = cleaned(tmp_path, dataset, actions=["relabel", "add"])
    pictures = {row["image_id"]: row["file_name"][0] for row in rows(second, "images")}
    made = {
        (pictures[row["image_id"]], row["category_id"], *(round(row[side]) for side in ("x", "y", "width", "height")))
        for row in rows(second, "annotations")
    }
    wanted = {(str(k), 1 + label, *map(round, box)) for k, image in enumerate(RIGHT) for label, box in image}
    wanted -= {("1", 2, 5, 6, 30, 40)}
    assert made == wanted | {("1", 1, 5, 6, 30, 40), ("1", 2, 70, 50, 20, 10), (place, 2, 70, 50, 20, 10)}
    assert not found(second)


side = st.integers(-20, 110)
scene = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.tuples(side, side, side, side)), max_size=4), min_size=1, max_size=5
)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(scene, st.sampled_from(sorted(FORMATS)))
def test_of_any_data_set_only_what_is_edited_changes(images: Any, name: str) -> None:
    drawn = [[(0, (10.0, 10.0, 20.0, 20.0))]] + [
        [(label, tuple(map(float, box))) for label, box in rows_] for rows_ in images
    ]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        dataset = sides(folder / "in", name, drawn)
        # with no action allowed nothing is to do
        first, second, _ = cleaned(folder, dataset, actions=[])
        for table in ("images", "annotations", "categories"):
            assert rows(first, table) == rows(second, table)
        shutil.rmtree(folder / "first")
        shutil.rmtree(folder / "second")
        first, second, _ = cleaned(folder, dataset)
        edits = rows(first, "edits")
        edited = {(row["source_file"], row["annotation_row"]) for row in edits}
        dropped = sum(row["action"] == "drop" for row in edits)
        before, after = rows(first, "annotations"), rows(second, "annotations")
        assert len(after) == len(before) - dropped
        names = ("category_id", "x", "y", "width", "height", "area", "attributes", "defects")
        kept = Counter(
            str([row[name] for name in names])
            for row in before
            if (row["source_file"], row["annotation_row"]) not in edited
        )
        assert not kept - Counter(str([row[name] for name in names]) for row in after)


def test_a_label_map_that_disagrees_is_written_as_the_annotations_have_it(tmp_path: Path) -> None:
    dataset = sides(tmp_path / "in", "coco", RIGHT)
    (tmp_path / "in" / "map.pbtxt").write_text("item { id: 1 name: 'dog' }\nitem { id: 2 name: 'cat' }\n")
    first, second, again = cleaned(tmp_path, dataset | {"label_map": "map.pbtxt"})
    assert "label-map-mismatch" in first.read("findings")["rule"].to_pylist()
    assert "label-map-mismatch" not in second.read("findings")["rule"].to_pylist()
    assert Path(again["label_map"]).read_text().count("item") == 2


def test_that_nothing_was_edited_is_said_with_its_reason(tmp_path: Path) -> None:
    def notes(drawn: Scene, folder: str, actions: list[str]) -> list[str]:
        dataset = sides(tmp_path / folder, "coco", drawn)
        run("clean", tmp_path / f"{folder}-out", dataset, clean={"actions": actions})
        said: list[str] = json.loads((tmp_path / f"{folder}-out" / "clean" / "manifest.json").read_text())["notes"]
        return said

    assert any("nothing was edited: no finding" in note for note in notes(RIGHT, "right", ["drop", "clip", "move"]))
    said = notes(FAULTY, "faulty", ["relabel"])
    assert any("nothing was edited: what asks for an edit, 4 in all" in note for note in said)
    assert any("drop is not in clean.actions" in note for note in said)


def test_a_link_that_leads_out_of_the_data_set_is_not_copied(tmp_path: Path) -> None:
    dataset = sides(tmp_path / "in", "voc", RIGHT)
    (tmp_path / "secret.xml").write_text("<annotation><filename>s.jpg</filename></annotation>")
    (tmp_path / "in" / "Annotations" / "9.xml").symlink_to(tmp_path / "secret.xml")
    dataset["splits"]["val"]["list"] = None
    cleaned(tmp_path, dataset)
    written = files(tmp_path / "first" / "clean" / "data")
    assert sorted(written) == [f"Annotations/{k}.xml" for k in range(4)]
