"""Ingest: whole and the same however it is cut."""

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from outputs import run_stage
from PIL import Image

from detray.errors import DetrayError, UsageError
from detray.flow.executor import InProcess, Job
from detray.flow.receipt import Receipt, decode
from detray.formats import canonical, listing
from detray.formats.csv import lines as csv_lines
from detray.formats.flow import TABLES
from detray.formats.json import lists as json_lists
from detray.formats.plain import dataset_from_files
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.store import Store
from detray.verbs import ingest
from detray.verbs.base import Context, Outcome
from detray.verbs.config import Config

Ingest = Callable[[DatasetSettings], Store]
CLASSES = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


@pytest.fixture
def ingested(tmp_path: Path) -> Callable[..., tuple[Store, Outcome]]:
    """Run the stage and commit it."""
    number = 0

    def run(dataset: DatasetSettings) -> tuple[Store, Outcome]:
        nonlocal number
        number += 1
        config = Config(name="t", output=str(tmp_path / f"out{number}"), dataset=dataset)
        store = Store(config.output)
        return store, run_stage(ingest.STAGE, Context(config, store, InProcess(1)))

    return run


def write_coco(folder: Path, name: str = "val.json", **lists: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": CLASSES} | lists))
    return path


def image(number: int, name: str | None = None) -> dict[str, Any]:
    return {"id": number, "file_name": name or f"{number}.jpg", "width": 9, "height": 9}


def box(number: int, image_id: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": [0, 0, 2, 3]}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["bccd"], {"train": (205, 2805, 3), "val": (87, 1138, 3), "test": (72, 945, 3)}),
        (["coco_val2014_100/instances_val2014_100.json"], {"val": (100, 839, 80)}),
        (["taco/annotations.json"], {"val": (1500, 4784, 60)}),
        (["visdrone50/annotations.json"], {"val": (50, 3326, 2)}),
    ],
)
def test_real_data_is_read_whole(shared: Path, ingested, files: list[str], expected: dict) -> None:
    store, outcome = ingested(dataset_from_files([str(shared / file) for file in files]))
    assert {row[0]: tuple(row[2:5]) for row in outcome.summary[0].rows} == expected
    n_images, n_boxes = (sum(counts[place] for counts in expected.values()) for place in (0, 1))
    assert outcome.counts == {"in": n_images + n_boxes, "kept": n_images + n_boxes, "quarantined": 0}
    assert store.read("annotations")["defects"].null_count == n_boxes


def test_taco_keeps_rows_whose_ids_collide(shared: Path, ingested) -> None:
    store, _ = ingested(dataset_from_files([str(shared / "taco" / "annotations.json")]))
    found = store.read("annotations", columns=["annotation_id", "annotation_row"])
    counts = found.group_by("annotation_id").aggregate([("annotation_row", "count_distinct")])
    twice = counts.filter(pc.equal(counts["annotation_row_count_distinct"], 2))
    assert sorted(twice["annotation_id"].to_pylist()) == [309, 4040]
    assert 0 in store.read("images", columns=["image_id"])["image_id"].to_pylist()


def test_bccd_is_numbered_by_name_and_finds_its_pictures(shared: Path, ingested) -> None:
    store, _ = ingested(dataset_from_files([str(shared / "bccd")]))
    images = store.read("images", filters=[("split", "=", "val")])
    assert images["image_id"].to_pylist() == list(range(1, 88))
    assert images["file_name"].to_pylist() == sorted(images["file_name"].to_pylist())
    assert all(Path(path).is_file() for path in images["path"].to_pylist())
    categories = store.read("categories", filters=[("split", "=", "val")])
    assert categories.select(["category_id", "category_name"]).to_pylist() == [
        {"category_id": number, "category_name": name} for number, name in enumerate(("Platelets", "RBC", "WBC"), 1)
    ]
    boxes = store.read("annotations", filters=[("split", "=", "val")])
    counts = {v["values"]: v["counts"] for v in pc.value_counts(boxes["category_id"]).to_pylist()}
    assert sum(counts.values()) == 1138
    assert max(counts, key=lambda number: counts[number]) == 2


@pytest.mark.parametrize("name", ["bccd", "coco_val2014_100/instances_val2014_100.json"])
def test_any_cut_gives_the_same_rows(shared: Path, ingested, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_from_files([str(shared / name)])
    whole, _ = ingested(dataset)
    monkeypatch.setattr(json_lists, "PART_BYTES", 20_000)
    monkeypatch.setattr(listing, "FILES_PER_CHUNK", 10)
    monkeypatch.setattr(canonical, "SHARD_ROWS", 200)
    monkeypatch.setattr(canonical, "BATCH_ROWS", 7)
    cut, _ = ingested(dataset)
    keys = cut.shards()
    assert len(keys) > 4
    for table in TABLES:
        assert cut.read(table).equals(whole.read(table))
    for split in {key.split for key in keys}:
        own = [key for key in keys if key.split == split]
        assert (own[0].low, own[-1].high) == (None, None)
        assert [key.high for key in own[:-1]] == [key.low for key in own[1:]]
    for key in keys:
        shard = cut.read_shard(key)
        assert (shard.images.num_rows, shard.annotations.num_rows) == (key.n_images, key.n_annotations)
        for rows in (shard.images, shard.annotations):
            ids = rows["image_id"].to_pylist()
            assert ids == sorted(ids)
            assert all((key.low is None or key.low <= n) and (key.high is None or n < key.high) for n in ids)


def test_rows_without_an_image_come_last(tmp_path: Path, ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "SHARD_ROWS", 4)
    monkeypatch.setattr(canonical, "BATCH_ROWS", 2)
    boxes = [box(n, n if n % 5 else None) for n in range(20)]
    path = write_coco(tmp_path, images=[image(n) for n in range(10)], annotations=boxes)
    store, _ = ingested(dataset_from_files([str(path)]))
    last = store.read_shard(store.shards()[-1]).annotations
    assert last["annotation_row"].to_pylist()[-4:] == [0, 5, 10, 15]
    assert sorted(store.read("annotations")["annotation_row"].to_pylist()) == list(range(20))


def test_an_image_may_have_more_boxes_than_a_part(tmp_path: Path, ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detray.store.stage.MAX_PART_ROWS", 10)
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]} for n in range(25)]
    store, _ = ingested(dataset_from_files([str(write_coco(tmp_path, images=[image(1)], annotations=boxes))]))
    (key,) = store.shards()
    assert store.read_shard(key).annotations["annotation_id"].to_pylist() == list(range(25))


def test_a_split_without_boxes_has_a_shard(tmp_path: Path, ingested) -> None:
    val = write_coco(tmp_path, images=[image(1)], annotations=[box(1, 1)])
    train = write_coco(tmp_path, "train.json")
    store, _ = ingested(dataset_from_files([str(val)], train=str(train)))
    assert [(key.split, key.n_images) for key in store.shards()] == [("train", 0), ("val", 1)]


def test_an_empty_data_set_is_refused(tmp_path: Path, ingested) -> None:
    with pytest.raises(DetrayError, match="the data set is empty"):
        ingested(dataset_from_files([str(write_coco(tmp_path))]))


@pytest.mark.parametrize("with_pictures", [True, False])
def test_names_that_lead_out_are_defects(tmp_path: Path, ingested, with_pictures: bool) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    path = write_coco(tmp_path / "data", images=[image(1, "../../x.jpg"), image(2, "in.jpg"), image(3, "/etc/x")])
    pictures = str(tmp_path / "data" / "images")
    store, outcome = ingested(dataset_from_files([str(path)], images=pictures if with_pictures else None))
    images = store.read("images")
    assert images["path"].to_pylist() == [None, f"{pictures}/in.jpg" if with_pictures else None, None]
    field = "path" if with_pictures else "file_name"
    assert images["defects"].to_pylist() == [
        [{"rule": "path-outside-root", "field": field, "observed": "../../x.jpg"}],
        None,
        [{"rule": "path-outside-root", "field": field, "observed": "/etc/x"}],
    ]
    assert outcome.counts == {"in": 3, "kept": 3, "quarantined": 0}


def test_a_name_with_a_zero_byte_is_one_defect(tmp_path: Path, ingested) -> None:
    path = write_coco(tmp_path, images=[image(1, "a\0.jpg"), image(2)])
    store, _ = ingested(dataset_from_files([str(path)], images=str(tmp_path)))
    assert [row and [one["rule"] for one in row] for row in store.read("images")["defects"].to_pylist()] == [
        ["wrong-type"],
        None,
    ]


def test_unreadable_files_are_quarantined_and_counted(tmp_path: Path, ingested) -> None:
    (tmp_path / "good.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    (tmp_path / "bad.xml").write_text("<annotation>")
    store, outcome = ingested(dataset_from_files([str(tmp_path)]))
    assert store.read("quarantine", "ingest")["reason"].to_pylist() == ["unreadable-annotation-file"]
    assert outcome.counts["quarantined"] == 1
    assert store.read("images").num_rows == 1


def test_images_stated_by_two_files_are_one(tmp_path: Path, ingested) -> None:
    for name in ("ann", "bob"):
        write_coco(tmp_path, f"{name}.json", images=[image(1), image(1)], annotations=[box(1, 1)])
    files = [str(tmp_path / "ann.json"), str(tmp_path / "bob.json")]
    store, _ = ingested(dataset_from_files(files))
    assert store.read("images")["image_row"].to_pylist() == [0, 1]  # twice within one file is the data's fault
    found = store.read("annotations").select(["annotator", "annotation_row"]).to_pylist()
    assert found == [{"annotator": name, "annotation_row": 0} for name in ("ann", "bob")]
    assert store.read("categories").num_rows == 2


def test_a_list_limits_a_coco_split(tmp_path: Path, ingested) -> None:
    boxes = [box(1, 1), box(2, 2), box(3, 99)]
    write_coco(tmp_path, images=[image(1), image(2)], annotations=boxes)
    (tmp_path / "list.txt").write_text("2\n")
    split = SplitSettings(annotations="val.json", list="list.txt")
    store, _ = ingested(DatasetSettings(root=str(tmp_path), splits={"val": split}))
    assert store.read("images")["image_id"].to_pylist() == [2]
    assert store.read("annotations")["image_id"].to_pylist() == [2, 99]


def test_a_label_map_numbers_names_and_is_listed(shared: Path, tmp_path: Path, ingested) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 5 name: 'WBC' display_name: 'white' } item { id: 2 name: 'cell' display_name: 'RBC' }")
    store, _ = ingested(dataset_from_files([str(shared / "bccd")], label_map=str(path)))
    rows = store.read("categories", filters=[("split", "=", "val")])
    found = set(zip(*(rows[name].to_pylist() for name in ("source", "category_id", "category_name")), strict=True))
    assert found == {
        ("annotations", 5, "WBC"),
        ("annotations", 2, "RBC"),
        ("annotations", 6, "Platelets"),
        ("label_map", 5, "WBC"),
        ("label_map", 2, "RBC"),
    }


def test_a_run_that_died_goes_on(tmp_path: Path, ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_coco(tmp_path, images=[image(n) for n in range(9)], annotations=[box(n, n % 9) for n in range(90)])
    dataset = dataset_from_files([str(path)])
    monkeypatch.setattr(canonical, "SHARD_ROWS", 20)
    whole, _ = ingested(dataset)

    class Dies(InProcess):
        """Ends the run before the last shard is written."""

        def run(self, job: Job, keys: Sequence[str], *rest: Any) -> Iterator[Receipt]:
            if job.step.name == "write":
                yield from super().run(job, keys[:-1], *rest)
                raise KeyboardInterrupt
            yield from super().run(job, keys, *rest)

    class GoesOn(InProcess):
        """Says what is left to do."""

        def run(self, job: Job, keys: Sequence[str], *rest: Any) -> Iterator[Receipt]:
            left.update({f"{job.step.name}-{key}": None for key in keys})
            return super().run(job, keys, *rest)

    left: dict[str, None] = {}
    config = Config(name="t", output=str(tmp_path / "out"), dataset=dataset)
    store = Store(config.output)
    with pytest.raises(KeyboardInterrupt):
        run_stage(ingest.STAGE, Context(config, store, Dies(1)))
    run_stage(ingest.STAGE, Context(config, store, GoesOn(1)))
    assert list(left) == [f"write-{len(store.shards()) - 1:05d}"]
    for table in TABLES:
        assert store.read(table).equals(whole.read(table))


class Elsewhere(InProcess):
    """Work, tasks and receipts travel as between processes."""

    def run(self, job: Job, keys: Sequence[str], *rest: Any) -> Iterator[Receipt]:
        for key in keys:
            receipt = pickle.loads(pickle.dumps(job))(key)  # noqa: S301 - made in this line
            yield decode(receipt.encode())


def test_tasks_run_in_other_processes(shared: Path, tmp_path: Path) -> None:
    found = []
    for executor in (InProcess(1), Elsewhere(1)):
        config = Config(
            output=str(tmp_path / type(executor).__name__), dataset=dataset_from_files([str(shared / "bccd")])
        )
        store = Store(config.output)
        outcome = run_stage(ingest.STAGE, Context(config, store, executor))
        found.append((outcome, [store.read(table).to_pylist() for table in TABLES]))
    assert found[0] == found[1]


def test_every_row_is_accounted_for_across_wrong_cuts(
    tmp_path: Path, ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lists, "PART_BYTES", 300)
    nested = [{"id": 900, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}] * 4
    boxes = [{"id": n, "parts": nested, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]} for n in range(40)]
    store, _ = ingested(dataset_from_files([str(write_coco(tmp_path, images=[image(1)], annotations=boxes))]))
    found = store.read("annotations")
    assert found["annotation_id"].to_pylist() == found["annotation_row"].to_pylist() == list(range(40))
    assert pa.types.is_string(found.schema.field("source_file").type)


OPEN_IMAGES = "ImageID,LabelName,XMin,XMax,YMin,YMax\n"


def test_names_are_numbered_across_chunks(tmp_path: Path, ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 60)
    monkeypatch.setattr(canonical, "SHARD_ROWS", 10)
    monkeypatch.setattr(canonical, "BATCH_ROWS", 2)
    names = [f"{(7 * n) % 12:02d}" for n in range(40)]  # every picture in several chunks, in no order
    lines = [f"{name},/m/{n % 3},0,1,0,1\n" for n, name in enumerate(names)]
    (tmp_path / "boxes.csv").write_text(OPEN_IMAGES + "".join(lines) + "a line that is none\n")
    (tmp_path / "classes.csv").write_text("/m/2,Cat\n/m/0,Dog\n")
    label_map = str(tmp_path / "classes.csv")
    store, outcome = ingested(dataset_from_files([str(tmp_path / "boxes.csv")], label_map=label_map))
    assert len(store.shards()) > 2
    images = store.read("images")
    assert images["image_id"].to_pylist() == list(range(1, 13))
    assert images["file_name"].to_pylist() == [f"{n:02d}.jpg" for n in range(12)]
    boxes = store.read("annotations").to_pylist()
    assert sorted((row["annotation_row"], row["image_id"]) for row in boxes) == [
        (n, int(name) + 1) for n, name in enumerate(names)
    ]
    assert {row["annotation_row"] % 3: row["category_id"] for row in boxes} == {2: 1, 0: 2, 1: 3}
    for key in store.shards():
        shard = store.read_shard(key)
        assert set(shard.annotations["image_id"].to_pylist()) <= set(shard.images["image_id"].to_pylist())
    assert store.read("quarantine", "ingest")["row"].to_pylist() == [40]
    assert outcome.counts["quarantined"] == 1


def test_yolo_classes_keep_their_index(tmp_path: Path, ingested) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (100, 100)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.2\n7 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("val: images\nnames: [zebra, ant]\n")
    store, _ = ingested(dataset_from_files([str(tmp_path)]))
    assert store.read("annotations")["category_id"].to_pylist() == [2, 8]
    assert store.read("categories").select(["category_id", "category_name"]).to_pylist() == [
        {"category_id": 1, "category_name": "zebra"},
        {"category_id": 2, "category_name": "ant"},
    ]
    assert store.read("images")["path"].to_pylist() == [str(tmp_path / "images" / "a.png")]


def test_names_of_a_list_that_no_image_has_are_counted(tmp_path: Path, ingested) -> None:
    write_coco(tmp_path, images=[image(1), image(2, "deep/2.png")], annotations=[box(1, 1), box(2, 2)])
    (tmp_path / "list.txt").write_text("zzz\n2\n\n../x\nzzz\n")
    split = SplitSettings(annotations="val.json", list="list.txt")
    store, outcome = ingested(DatasetSettings(root=str(tmp_path), splits={"val": split}))
    assert outcome.counts == {"in": 4, "kept": 2, "quarantined": 2}
    lost = store.read("quarantine", "ingest").select(["split", "source_file", "row", "reason", "detail"]).to_pylist()
    assert [(one["row"], one["detail"]) for one in lost] == [
        (0, "no image is called zzz"),
        (2, "no image is called ../x"),
    ]
    of_list = {"split": "val", "source_file": str(tmp_path / "list.txt"), "reason": "listed-image-missing"}
    assert all(one.items() >= of_list.items() for one in lost)


def test_a_list_that_names_nothing_is_refused(tmp_path: Path, ingested) -> None:
    write_coco(tmp_path, images=[image(1)])
    (tmp_path / "list.txt").write_text("\n \n")
    split = SplitSettings(annotations="val.json", list="list.txt")
    with pytest.raises(UsageError, match=r"list\.txt: names no image"):
        ingested(DatasetSettings(root=str(tmp_path), splits={"val": split}))


@pytest.mark.parametrize(
    ("other", "rows"),
    [
        ({}, [0]),
        ({"width": 50}, [0, 0]),
        ({"id": 7}, [0, 0]),
        ({"note": "not to be lost"}, [0, 0]),
    ],
)
def test_an_image_of_two_files_is_one_only_where_they_say_the_same(
    tmp_path: Path, ingested, other: dict[str, Any], rows: list[int]
) -> None:
    for name, entry in (("a.json", image(1)), ("b.json", image(1) | other)):
        write_coco(tmp_path, name, images=[entry])
    split = SplitSettings(annotations=("a.json", "b.json"))
    store, outcome = ingested(DatasetSettings(root=str(tmp_path), splits={"val": split}))
    images = store.read("images")
    assert images["image_row"].to_pylist() == rows
    assert outcome.counts["kept"] == len(rows)
    if "note" in other:
        assert images["attributes"].to_pylist() == [None, '{"note": "not to be lost"}']


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path, ingested) -> None:
    write_coco(tmp_path, images=[image(1)])
    (tmp_path / "link.json").symlink_to("val.json")
    split = SplitSettings(annotations=("val.json", "link.json"))
    with pytest.raises(UsageError, match=r"link\.json is named twice"):
        ingested(DatasetSettings(root=str(tmp_path), splits={"val": split}))
