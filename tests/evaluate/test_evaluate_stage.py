"""The flow of the evaluation: the same tables however the data set is cut, in memory and over files."""

import json
from pathlib import Path

import outputs
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from coco_oracle import as_tables
from evaluation import Tables, evaluate_tables, run_evaluation, shards_of
from outputs import write_data_set, write_stage

from detray import console
from detray.errors import DetrayError, UsageError
from detray.evaluate import flow, steps
from detray.evaluate.flow import TABLES
from detray.flow import pieces
from detray.flow.executor import InProcess
from detray.settings import convert
from detray.store import Store
from detray.verbs.base import Context, Outcome
from detray.verbs.config import Config
from detray.verbs.evaluate import STAGE

CONFIG = convert({"name": "test", "evaluate": {"bootstrap": 8}}, Config, "test")


def coco(shared: Path) -> Tables:
    folder = shared / "coco_val2014_100"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    return as_tables(truth, json.loads((folder / "fakebbox100_results.json").read_text()))


def prepared(root: Path, tables: Tables, n_shards: int, model: str = "a") -> Store:
    """An output folder whose ingest and predict stages hold ``tables``, cut into shards."""
    store, shards = Store(str(root)), shards_of(tables, n_shards)
    write_data_set(store, shards)
    predictions = [shard.predictions for shard in shards]
    write_stage(store, "predict", {"predictions": predictions, "quarantine": []}, {"model": model})
    return store


def run_stage(store: Store, config: Config = CONFIG) -> Outcome:
    return outputs.run_stage(STAGE, Context(config, store, InProcess()))


def in_order(table: pa.Table) -> pa.Table:
    keys = [field.name for field in table.schema if field.name not in ("n", "d_ap", "d_ap50")]
    return table.combine_chunks().sort_by([(key, "ascending") for key in keys])


@pytest.mark.parametrize(
    ("n_shards", "piece_rows", "group_rows"), [(1, 10_000, 10_000), (3, 100, 50), (10, 10_000, 1), (1, 3, 10_000)]
)
def test_the_tables_depend_neither_on_shards_nor_on_pieces_nor_on_groups(
    shared: Path, tmp_path: Path, n_shards: int, piece_rows: int, group_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = coco(shared)
    expected = evaluate_tables(*tables, CONFIG.evaluate)  # in one piece and one group
    monkeypatch.setattr(pieces, "PIECE_ROWS", piece_rows)
    monkeypatch.setattr(flow, "MIN_GROUP_ROWS", group_rows)
    monkeypatch.setattr(flow, "MAX_GROUP_ROWS", group_rows)
    store = prepared(tmp_path, tables, n_shards)
    run_stage(store)
    for name in TABLES:
        assert in_order(store.read(name)).equals(in_order(expected[name])), name


def test_no_row_of_a_shard_falls_between_its_pieces(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, annotations, categories, predictions = coco(shared)
    changes = pa.array([None, -5, 10**9, *annotations["image_id"].to_pylist()[3:]], pa.int64())
    place = annotations.column_names.index("image_id")
    annotations = annotations.set_column(place, annotations.schema.field(place), changes)
    found = []
    for piece_rows in (10_000, 50):
        monkeypatch.setattr(pieces, "PIECE_ROWS", piece_rows)
        store = prepared(tmp_path / str(piece_rows), (images, annotations, categories, predictions), 1)
        found.append((run_stage(store).facts["left_out"], in_order(store.read("class_metrics"))))
    (whole, metrics), (cut, metrics_of_cut) = found
    assert whole == cut
    assert cut["annotations of an unknown image"] == 3
    assert metrics.equals(metrics_of_cut)


def test_a_run_that_stopped_goes_on_from_its_whole_shards(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = coco(shared)
    store = prepared(tmp_path, tables, 3)
    expected = evaluate_tables(*tables, CONFIG.evaluate)

    def fail(*args: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "class_tables", fail)
        with pytest.raises(RuntimeError):
            run_stage(store)
    monkeypatch.setattr(steps, "match_shard", fail)  # they are whole already
    run_stage(store)
    assert in_order(store.read("class_metrics")).equals(in_order(expected["class_metrics"]))


def test_detections_of_other_images_end_the_stage_with_a_sentence(shared: Path, tmp_path: Path) -> None:
    images, annotations, categories, predictions = coco(shared)
    shifted = pc.add(predictions["image_id"], 10_000_000)
    predictions = predictions.set_column(
        predictions.column_names.index("image_id"), predictions.schema.field("image_id"), shifted
    )
    store = prepared(tmp_path, (images, annotations, categories, predictions), 2)
    with pytest.raises(DetrayError, match="none of the 734 detections names an image of the split val"):
        run_stage(store)


def test_detections_that_cannot_be_scored_are_not_called_strangers() -> None:
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}],
    }
    found = [{"image_id": image, "category_id": 1, "score": 0.5} for image in (1, 2)]  # without boxes
    run = run_evaluation(as_tables(truth, found))
    assert run.outcome.counts == {"in": 2, "kept": 0, "quarantined": 0}
    notes = ["1 detections of an unknown image take no part", "1 detections without a box take no part"]
    assert [note for note in run.outcome.notes if "take no part" in note] == notes
    with pytest.raises(DetrayError, match="none of the 1 detections names an image of the split val"):
        run_evaluation(as_tables(truth, found[1:]))


def test_a_split_without_classes_has_its_tables() -> None:
    run = run_evaluation(as_tables({"images": [{"id": 1}], "categories": [], "annotations": []}, []))
    assert run.tables["summary_metrics"]["value"].null_count == 12
    assert run.tables["image_metrics"].num_rows == 1


def test_no_detections_at_all_are_no_error(shared: Path, tmp_path: Path) -> None:
    *tables, predictions = coco(shared)
    outcome = run_stage(prepared(tmp_path, (*tables, predictions.slice(0, 0)), 2))
    store = Store(str(tmp_path))
    ap = store.read("class_metrics", filters=[("area_range", "=", "all")])["ap"]
    assert ap.null_count == 10
    assert pc.sum(ap).as_py() == 0
    assert outcome.counts["kept"] == 0


def worse(predictions: pa.Table) -> pa.Table:
    """The detections of a model that finds fewer people."""
    is_person = pc.equal(predictions["category_id"], 1)
    lost = pc.and_(is_person, pc.equal(pc.bit_wise_and(predictions["rank"], 3), 0))
    kept = predictions.filter(pc.invert(lost))
    return kept.set_column(kept.column_names.index("model"), kept.schema.field("model"), pa.array(["b"] * len(kept)))


def test_another_model_is_compared_from_a_file_and_from_a_folder(shared: Path, tmp_path: Path) -> None:
    tables = coco(shared)
    other = worse(tables[-1])
    expected = evaluate_tables(*tables, CONFIG.evaluate, other)["comparisons"]
    assert pc.unique(expected["verdict"].drop_null()).to_pylist() == ["worse", "unclear"]

    prepared(tmp_path / "other", (*tables[:3], other), 2, "b")
    written(tmp_path / "b.json", other)
    for number, name in enumerate(("b.json", "other")):
        store = prepared(tmp_path / f"out{number}", tables, 3)
        outcome = run_stage(store, against(str(tmp_path / name)))
        assert in_order(store.read("comparisons")).equals(in_order(expected)), name
        table = outcome.summary[-1]  # no row is left out
        assert table.title.startswith("Against b: 1 of 70 measured classes differ")
        everything, person = table.rows
        assert (everything[0], person[0], person[-1]) == ("all of val", "person", "worse")
        assert everything[2] - everything[1] == pytest.approx(everything[3]) == pytest.approx(person[3] / 70)
        assert everything[-1] in ("worse", "unclear")


def written(path: Path, predictions: pa.Table, *further: object) -> str:
    """A COCO results file of ``predictions`` and ``further`` rows."""
    rows: list[object] = [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "bbox": [row[side] for side in ("x", "y", "width", "height")],
            "score": row["score"],
        }
        for row in predictions.to_pylist()
    ]
    path.write_text(json.dumps([*rows, *further]))
    return str(path)


def against(path: str, **settings: object) -> Config:
    return convert({"name": "test", "evaluate": {"bootstrap": 8, "against": path, **settings}}, Config, "test")


@pytest.mark.parametrize(("n_shards", "piece_rows"), [(1, 10_000), (3, 10_000), (2, 100)])
def test_bad_rows_of_the_other_file_are_counted_and_named(
    shared: Path, tmp_path: Path, n_shards: int, piece_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_ROWS", piece_rows)
    tables = coco(shared)
    images, predictions = tables[0], tables[-1]
    good = {"image_id": images["image_id"][0].as_py(), "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    bad = {
        "unknown-image": [{"image_id": 10**9}, {"image_id": "nobody.jpg"}],
        "unknown-category": [{"category_id": 4242}],
        "nan-score": [{"score": float("nan")}],
        "score-out-of-range": [{"score": 7}],
        "negative-size": [{"bbox": [1, 2, -3, 4]}],
        "unreadable-row": [{"bbox": [1]}, {"image_id": None}],
    }
    named = good | {"image_id": images["file_name"][0].as_py()}
    further = [named, *(good | change for changes in bad.values() for change in changes)]
    path = written(tmp_path / "b.json", predictions, *further)
    outcome = run_stage(prepared(tmp_path / "out", tables, n_shards), against(path))

    expected = {reason: len(changes) for reason, changes in bad.items()}
    _, rows = summary_of(outcome, "Detections of b left out")
    assert {row[0]: row[1] for row in rows} == expected
    assert outcome.counts == {"in": 2 * 734 + 9, "kept": 2 * 734 + 1, "quarantined": 8}
    assert "b: 1 detections name their image by its file name" in outcome.notes
    found = Store(str(tmp_path / "out")).read("quarantine", "evaluate")
    assert pc.unique(found["source_file"]).to_pylist() == [path]
    assert sorted(found["row"].to_pylist()) == list(range(735, 735 + 8))
    counts = found["reason"].value_counts().to_pylist()
    assert {count["values"]: count["counts"] for count in counts} == expected


def test_rows_of_the_other_model_that_take_no_part_are_named(shared: Path, tmp_path: Path) -> None:
    *tables, predictions = coco(shared)
    store = prepared(tmp_path / "out", (*tables, predictions.slice(0, 0)), 2)
    outcome = run_stage(store, against(written(tmp_path / "b.json", predictions), max_detections=1))
    (note,) = (note for note in outcome.notes if note.startswith("b: "))
    assert note.endswith("detections over max_detections of an image and class are left out")
    assert outcome.counts["in"] == predictions.num_rows == outcome.counts["kept"] + int(note.split()[1])


def test_another_file_of_which_nothing_is_left_says_so(shared: Path, tmp_path: Path) -> None:
    *tables, predictions = coco(shared)
    place = predictions.column_names.index("score")
    score = predictions.set_column(place, predictions.schema.field(place), pa.array([7.0] * len(predictions)))
    store = prepared(tmp_path / "out", (*tables, predictions), 2)
    outcome = run_stage(store, against(written(tmp_path / "b.json", score)))
    assert "b: nothing is left to score: all 734 detections were left out before" in outcome.notes


def test_another_file_of_other_images_ends_with_its_name(shared: Path, tmp_path: Path) -> None:
    tables = coco(shared)
    path = written(tmp_path / "b.json", tables[-1].slice(0, 0), {"image_id": 10**9, "category_id": 1, "score": 0.5})
    with pytest.raises(DetrayError, match=r"b\.json: none of the 1 detections names an image of the split val"):
        run_stage(prepared(tmp_path / "out", tables, 2), against(path))


def test_another_file_is_of_one_split(shared: Path, tmp_path: Path) -> None:
    tables = coco(shared)
    path = written(tmp_path / "b.json", tables[-1])
    settings = {"name": "test", "evaluate": {"against": path}, "predict": {"splits": ["val", "test"]}}
    with pytest.raises(UsageError, match=r"b\.json: a file of detections is of one split, but predict.splits names 2"):
        run_stage(prepared(tmp_path / "out", tables, 2), convert(settings, Config, "test"))


def test_another_model_of_the_same_name_is_told_by_its_path(shared: Path, tmp_path: Path) -> None:
    tables = coco(shared)
    (tmp_path / "a.json").write_text("[]")
    config = convert({"name": "test", "evaluate": {"against": str(tmp_path / "a.json")}}, Config, "test")
    run_stage(prepared(tmp_path / "out", tables, 1), config)
    names = pc.unique(Store(str(tmp_path / "out")).read("comparisons")["other_model"]).to_pylist()
    assert names == [str(tmp_path / "a.json")]


def summary_of(outcome: Outcome, start: str) -> tuple[tuple[str, ...], list[list]]:
    (table,) = (table for table in outcome.summary if table.title.startswith(start))
    return table.columns, table.rows


def test_the_summary_says_what_a_person_wants_to_know_first(shared: Path, tmp_path: Path) -> None:
    outcome = run_stage(prepared(tmp_path, coco(shared), 2))
    columns, rows = summary_of(outcome, "Classes of val, the weakest 40 of 70")
    metrics = {row["category_name"]: row for row in Store(str(tmp_path)).read("class_metrics").to_pylist()[::-1]}
    shown = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    assert list(shown)[:2] == ["umbrella", "pizza"]
    assert shown["pizza"]["costliest error"] == shown["umbrella"]["costliest error"] == "all missed"
    assert shown["airplane"]["costliest error"].startswith("classification +0.5")
    for row in shown.values():
        stored = metrics[row["class"]]
        assert (row["AP"], row["AP75"], row["prec."]) == (stored["ap"], stored["ap75"], stored["best_f1_precision"])
        if stored["ap_low"] is None:
            assert row["95% interval"] is None
        else:
            assert row["95% interval"] == f"{stored['ap_low']:.3f} to {stored['ap_high']:.3f}"
    assert "val: 10 classes without boxes and so without AP" in outcome.notes
    assert [note for note in outcome.notes if note.endswith("with boxes in too few images (under 5) for an interval")]
    assert len(summary_of(outcome, "Worst images of val")[1]) == 5
    assert len(summary_of(outcome, "Slices of val whose AP is 0.05 or more below")[1]) >= 2
    for table in outcome.summary:
        lines = console.table(table.title, table.columns, table.rows).splitlines()
        assert max(len(line) for line in lines) <= 120, table.title


def test_a_split_without_boxes_says_so(shared: Path, tmp_path: Path) -> None:
    images, annotations, *rest = coco(shared)
    outcome = run_stage(prepared(tmp_path, (images, annotations.slice(0, 0), *rest), 1))
    assert "val: there are no boxes to find, so no class has an AP" in outcome.notes


def test_detections_without_masks_cannot_be_scored_by_masks(shared: Path, tmp_path: Path) -> None:
    config = convert({"name": "test", "evaluate": {"iou_type": "segm"}}, Config, "test")
    with pytest.raises(DetrayError, match="none of the 734 detections has a mask"):
        run_stage(prepared(tmp_path, coco(shared), 2), config)


def with_attributes(table: pa.Table, values: list[dict | None]) -> pa.Table:
    place = table.column_names.index("attributes")
    texts = pa.array([value and json.dumps(value) for value in values], pa.string())
    return table.set_column(place, table.schema.field(place), texts)


def sliced_by(tables: Tables, root: Path, *names: str, n_shards: int = 3) -> dict[str, list[str]]:
    """The values of each slice, as the stage has them and as they are in memory."""
    config = convert({"name": "test", "evaluate": {"bootstrap": 0, "slices": list(names)}}, Config, "test")
    store = prepared(root, tables, n_shards)
    run_stage(store, config)
    found = store.read("slices")
    assert in_order(found).equals(in_order(evaluate_tables(*tables, config.evaluate)["slices"]))
    pairs = sorted(set(zip(found["slice"].to_pylist(), found["value"].to_pylist(), strict=True)))
    return {name: [value for slice_, value in pairs if slice_ == name] for name in names}


def test_few_whole_numbers_are_slices_and_many_fall_into_intervals(shared: Path, tmp_path: Path) -> None:
    images, annotations, *rest = coco(shared)
    n = images.num_rows
    hours = [{"hour": row % 3, "frame": row - 50, "night": row % 2 == 0, "heat": row / 8} for row in range(n)]
    occluded = [{"occluded": row % 3} if row % 4 else None for row in range(annotations.num_rows)]
    tables = (with_attributes(images, hours), with_attributes(annotations, occluded), *rest)
    found = sliced_by(tables, tmp_path, "hour", "frame", "night", "images.heat", "occluded")
    assert found["hour"] == found["occluded"] == ["0", "1", "2"]
    assert found["night"] == ["false", "true"]
    assert {"(-64, -32]", "(-2, -1]", "0", "[1, 2)", "[32, 64)"} <= set(found["frame"])
    assert {"0", "[0.125, 0.25)", "[8, 16)"} <= set(found["images.heat"])


def test_whole_numbers_without_bound_and_half_a_character_make_slices(shared: Path, tmp_path: Path) -> None:
    images, *rest = coco(shared)
    marks = [{"frame": 10**25 + row, "\ud83d": row, "word": "\ud83d"} for row in range(images.num_rows)]
    tables = (with_attributes(images, marks), *rest)
    found = sliced_by(tables, tmp_path, "frame", "word")
    assert found == {"frame": ["[9.67141e+24, 1.93428e+25)"], "word": ["?"]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camra", "'camera'"),
        ("annotations.ocluded", "'annotations.occluded'"),
        ("siez", "'size'"),
        ("tags", "lists"),
        ("uuid", "'uuid' of the annotations makes more than 50 slices"),
        ("annotations.far", "more than 50 slices"),
    ],
)
def test_a_slice_that_no_table_has_is_refused(shared: Path, tmp_path: Path, name: str, words: str) -> None:
    images, annotations, *rest = coco(shared)
    images = with_attributes(images, [{"camera": "a", "tags": ["x"]}] * images.num_rows)
    marks = [{"occluded": 1, "uuid": f"{row:x}", "far": 2.0 ** (row % 60)} for row in range(annotations.num_rows)]
    annotations = with_attributes(annotations, marks)
    config = convert({"name": "test", "evaluate": {"slices": [name]}}, Config, "test")
    with pytest.raises(UsageError, match=words):
        run_stage(prepared(tmp_path, (images, annotations, *rest), 2), config)
