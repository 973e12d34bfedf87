"""The stages train and predict on real files, in one process."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from drawn import CLASSES, DETECTOR, draw, ingest
from msgspec import structs
from outputs import run_stage
from tiny import eagerly

from detray import schema, tables
from detray.console import Bar
from detray.detectors import flow as inference
from detray.detectors.retinanet.model import RetinaNet, load_retinanet
from detray.detectors.retinanet.network import build_network
from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.flow import COLUMNS, Training, Work, learn
from detray.detectors.training.history import History
from detray.detectors.training.loop import EpochResult
from detray.errors import DetrayError, UsageError
from detray.evaluate.kernel import Detections, GroundTruth, class_average_precision
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.flow import epochs
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.flow.keeper import MemoryKeeper
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.store import Store
from detray.tables import Shard
from detray.tune import prepare
from detray.verbs import predict, train
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config

CONFIG = Config(
    name="shapes",
    dataset=DatasetSettings(splits={split: SplitSettings(images=split) for split in ("train", "val")}),
    detector=DETECTOR,
    train=TrainSettings(epochs=2, batch_size=3, augmentation="none"),
    predict=PredictSettings(batch_size=4, max_detections=10),
)


def _config(**sections: object) -> Config:
    return Config(**{name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__} | sections)


def _run(stage: StageDefinition, store: Store, config: Config, fingerprint: str = "f") -> Outcome:
    return run_stage(stage, Context(config, store, InProcess()), fingerprint)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Outcome]:
    """A training on six pictures, one of them cut in half, and four to be judged on."""
    folder = tmp_path_factory.mktemp("stage")
    store = Store(str(folder / "out"))
    shards = [draw(folder / "train", 6), draw(folder / "val", 4, "val", seed=1)]
    broken = folder / "train" / "train-002.png"
    broken.write_bytes(broken.read_bytes()[:150])
    ingest(store, shards)
    with eagerly():
        return store, _run(train.STAGE, store, CONFIG)


def test_train_writes_history_model_and_quarantine(trained):
    store, outcome = trained
    history = store.read("history").to_pylist()
    assert [(row["epoch"], row["split"], row["category_name"]) for row in history] == [
        (epoch, *rest) for epoch in (1, 2) for rest in (("train", None), ("val", "red"), ("val", "green"))
    ]
    assert all(row["loss"] > 0 and row["seconds"] > 0 for row in history if row["split"] == "train")
    assert all(0 <= row["ap"] <= row["ap50"] <= 1 for row in history if row["split"] == "val")
    quarantine = store.read("quarantine", "train").to_pylist()
    assert [(row["reason"], Path(row["source_file"]).name) for row in quarantine] == [("truncated", "train-002.png")]
    assert outcome.counts == {"in": 10, "kept": 9, "quarantined": 1}
    assert outcome.notes == ["boxes not trained on: 2 (no picture)"]
    model = load_retinanet(CONFIG.detector, store.path("train", "model"), CONFIG.predict)
    assert model.classes == CLASSES
    assert not Path(store.path("train", "_partial")).exists()


def test_history_says_which_epoch_is_kept(trained):
    """The first of the best by mean AP; the summary shows it."""
    store, outcome = trained
    history = store.read("history").to_pylist()
    means = {
        epoch: np.mean([row["ap"] for row in history if row["epoch"] == epoch and row["split"] == "val"])
        for epoch in (1, 2)
    }
    best = max(means, key=means.get)
    assert {row["epoch"] for row in history if row["is_kept"]} == {best}
    assert outcome.facts["epoch"] == best
    which = "last" if best == 2 else "best"
    assert outcome.summary[0].title == f"epoch {best} of 2, the {which}, on the split val"
    shown = {row[0]: row[1:] for row in outcome.summary[0].rows}
    assert shown == {
        row["category_name"]: [row["ap"], row["ap50"]] for row in history if row["split"] == "val" and row["is_kept"]
    }


def test_tensorboard_finds_every_epoch(trained):
    from tensorflow.core.util.event_pb2 import Event

    store, _ = trained
    (path,) = Path(store.path("train", "tensorboard")).iterdir()
    assert "tfevents" in path.name
    events = [
        Event.FromString(record) for record in tensorflow()[0].data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert events[0].file_version == "brain.Event:2"
    assert [event.step for event in events[1:]] == [1, 2]
    shown = {value.tag: value.simple_value for value in events[2].summary.value}
    rows = [row for row in store.read("history").to_pylist() if row["epoch"] == 2]
    assert shown["train/loss"] == pytest.approx(rows[0]["loss"])
    assert shown["val/ap50/red"] == pytest.approx(rows[1]["ap50"])
    assert shown["val/mean_ap"] == pytest.approx((rows[1]["ap"] + rows[2]["ap"]) / 2)


def test_anchors_are_fitted_and_the_model_is_exported(tmp_path):
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "train", 4)])
    config = _config(
        detector=structs.replace(DETECTOR, anchors="auto"), train=TrainSettings(epochs=1, export="saved_model")
    )
    with eagerly():
        outcome = _run(train.STAGE, store, config)
    (note,) = outcome.notes
    assert re.fullmatch(r"anchors overlap \d+\.\d% of the training boxes by half at their best .* ones \d+\.\d%", note)
    assert outcome.facts["anchors_reach"] >= outcome.facts["default_anchors_reach"] > 0.5
    folder = Path(store.path("train", "model"))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"model.keras", "model.json", "label_map.pbtxt", "saved_model/saved_model.pb"} <= files


def test_weights_of_another_backbone_end_it_before_a_picture_is_read(trained, tmp_path):
    store, _ = trained
    weights = store.path("train", "model")
    config = _config(detector=structs.replace(DETECTOR, backbone="mobilenet_v3_small", weights=weights))
    other = Store(str(tmp_path / "out"))
    ingest(other, [draw(tmp_path / "train", 1)])
    for picture in (tmp_path / "train").iterdir():
        picture.unlink()
    with pytest.raises(DetrayError, match=r"train/model: not of the backbone mobilenet_v3_small: 0 of its 86 layers"):
        _run(train.STAGE, other, config)


def test_predict_covers_every_image_of_its_splits(trained):
    store, _ = trained
    outcome = _run(predict.STAGE, store, _config(predict=PredictSettings(splits=("train", "val"), batch_size=4)))
    assert outcome.counts == {"in": 10, "kept": 9, "quarantined": 1}
    assert outcome.facts == {"model": "retinanet"}
    rows = store.read("predictions")
    assert set(zip(rows["split"].to_pylist(), rows["image_id"].to_pylist(), strict=True)) == {
        *(("train", number) for number in (1, 3, 4, 5, 6)),
        *(("val", number) for number in (1, 2, 3, 4)),
    }
    assert set(rows["category_name"].to_pylist()) <= set(CLASSES.values())
    assert store.read("quarantine", "predict")["reason"].to_pylist() == ["truncated"]


def test_the_cut_does_not_change_the_predictions(trained, monkeypatch):
    store, _ = trained
    found = []
    for number, size in enumerate((1, 3, 256)):
        monkeypatch.setattr(inference, "CHUNK_IMAGES", size)
        _run(predict.STAGE, store, CONFIG, f"cut {number}")
        found.append(store.read("predictions"))
    assert found[0].num_rows > 4
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_what_the_history_says_is_what_predict_and_evaluate_find(trained):
    """The kept epoch's AP comes from the very detections that the saved model makes."""
    store, _ = trained
    _run(predict.STAGE, store, _config(predict=PredictSettings()), "defaults")
    (key,) = store.shards(["val"])
    truth = read_scene(store.read_shard(key), EvaluateSettings()).gt
    last = [row for row in store.read("history").to_pylist() if row["is_kept"] and row["split"] == "val"]
    assert last
    for row in last:
        own = truth.category == row["category_id"]
        gt = GroundTruth(truth.image[own], truth.category[own], truth.box[own], truth.area[own], truth.crowd[own])
        found = store.read("predictions", filters=[("category_id", "=", row["category_id"]), ("split", "=", "val")])
        columns = (tables.numpy(found, name) for name in ("image_id", "category_id", "score", "rank"))
        image, category, score, rank = columns
        ap = class_average_precision(gt, Detections(image, category, tables.boxes(found), score, rank.astype(np.int64)))
        assert row["ap"] == pytest.approx(ap.mean(), abs=1e-12)


def test_boxes_of_pictures_that_cannot_be_read_are_not_judged(tmp_path):
    shards = [draw(tmp_path / "train", 2), draw(tmp_path / "val", 4, "val", seed=1)]
    (tmp_path / "val" / "val-002.png").write_bytes(b"")
    judged = []

    def judge(shard: Shard) -> None:
        judged.append(shard)
        raise KeyboardInterrupt

    data = MemoryData(shards)
    work = Work(data, "t", DETECTOR, CONFIG.train, judge, 0.01)
    task = Training(data.shards(["train"]), data.shards(["val"]), MemoryKeeper().workspace("train"))
    with pytest.raises(KeyboardInterrupt):
        learn(work, task)
    assert set(judged[0].annotations["image_id"].to_pylist()) == {1, 3, 4}
    preparing = prepare.Work(data, "t", DETECTOR, CLASSES, 0.01, COLUMNS)
    kept = prepare.prepare(preparing, prepare.Split("val", data.shards(["val"]), (64, 96), is_first=True)).kept
    assert set(kept["truth"]["image_id"].to_pylist()) == {1, 3, 4}


def test_a_training_that_was_cut_off_goes_on(tmp_path, monkeypatch, eager):
    import detray.detectors.training.loop as training

    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "train", 3), draw(tmp_path / "val", 2, "val")])
    config = _config(train=TrainSettings(epochs=3, batch_size=3, augmentation="none"))
    whole, epochs = training.detections, []

    def killed(model: RetinaNet, data: object) -> pa.Table:
        raise KeyboardInterrupt

    calls = iter([whole, whole, killed])
    monkeypatch.setattr(training, "detections", lambda *given: next(calls)(*given))
    with pytest.raises(KeyboardInterrupt):
        _run(train.STAGE, store, config)
    assert store.manifest("train") is None

    def counted(model: RetinaNet, data: object) -> pa.Table:
        epochs.append(1)
        return whole(model, data)

    monkeypatch.setattr(training, "detections", counted)
    _run(train.STAGE, store, config)
    assert len(epochs) == 1
    assert store.read("history")["epoch"].to_pylist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.fixture
def untrained(tmp_path: Path) -> str:
    """A model folder; nothing is learned yet."""
    model = RetinaNet(build_network(DETECTOR, 2), CLASSES, DETECTOR, PredictSettings(), (), 0)
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in model.files().items():
        (folder / name).write_bytes(data)
    return str(folder)


def test_a_model_from_elsewhere_needs_no_training(tmp_path, untrained):
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "val", 3, "val")])
    config = _config(detector=DetectorSettings(path=untrained))
    assert predict.STAGE.needs(config) == ("ingest",)
    assert predict.STAGE.inputs(config) == (untrained,)
    assert _run(predict.STAGE, store, config).facts == {"model": "mine"}
    assert predict.STAGE.needs(CONFIG) == ("ingest", "train")


def _of_classes(tmp_path, classes):
    store = Store(str(tmp_path / "out"))
    shard = draw(tmp_path / "val", 2, "val")
    rows = [{"split": "val", "category_id": k, "category_name": name, "source": "annotations"} for k, name in classes]
    ingest(store, [replace(shard, categories=schema.from_rows("categories", rows, run="t"))])
    return store


def test_classes_are_the_same_by_name_and_those_that_either_side_lacks_are_named(tmp_path, untrained):
    store = _of_classes(tmp_path, [(3, "Greens"), (9, "blue"), (11, "grey")])
    settings = PredictSettings(score_threshold=0.0)
    outcome = _run(predict.STAGE, store, _config(detector=DetectorSettings(path=untrained), predict=settings))
    assert outcome.notes == [
        "split val: the model has no class blue, grey; it has 2 classes, the data 3",
        f"split val: {untrained}: the model's classes that the data lacks: red",
    ]
    rows = store.read("predictions")
    assert set(zip(*(rows[name].to_pylist() for name in ("category_id", "category_name")), strict=True)) == {
        (3, "Greens"),
        (1_000_003, "red"),  # 3 is another class here
    }


def test_a_model_of_other_classes_is_refused_whatever_its_ids(tmp_path, untrained):
    store = _of_classes(tmp_path, [(3, "cat"), (7, "dog")])
    detector = DetectorSettings(path=untrained)
    with pytest.raises(UsageError, match=r"classes are red, green, and the data's cat, dog.*predict\.category_map"):
        _run(predict.STAGE, store, _config(detector=detector))
    stated = _config(detector=detector, predict=PredictSettings(category_map={3: 7, 7: 3}))
    assert _run(predict.STAGE, store, stated).facts["class_ids"]["val"]["ids"] == {"3": 7, "7": 3}


def test_class_ids_of_a_model_are_mapped_to_those_of_the_data(tmp_path, untrained):
    def predicted(name: str, ids: list[int], category_map: dict[int, int] | None) -> tuple[list[str], pa.Table]:
        store = Store(str(tmp_path / name))
        shard = draw(tmp_path / f"{name}-val", 2, "val")
        place = shard.categories.column_names.index("category_id")
        categories = shard.categories.set_column(place, "category_id", pa.array(ids, pa.int64()))
        ingest(store, [replace(shard, categories=categories)])
        settings = PredictSettings(category_map=category_map, score_threshold=0.0)
        outcome = _run(predict.STAGE, store, _config(detector=DetectorSettings(path=untrained), predict=settings))
        return outcome.notes, store.read("predictions")

    plain, given = predicted("plain", [3, 7], None)
    mapped, found = predicted("mapped", [4, 8], {3: 4, 7: 8})
    assert plain == mapped == []
    assert given.num_rows
    assert found["category_id"].to_pylist() == [{3: 4, 7: 8}[k] for k in given["category_id"].to_pylist()]
    assert found["category_name"].equals(given["category_name"])


def test_what_is_missing_is_said_before_work_starts(tmp_path, untrained):
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "val", 2, "val")])
    nowhere = DatasetSettings(splits={"val": SplitSettings()})
    with pytest.raises(UsageError, match=r"dataset\.splits\.val\.images"):
        _run(predict.STAGE, store, _config(detector=DetectorSettings(path=untrained), dataset=nowhere))
    with pytest.raises(UsageError, match=r"predict\.splits names test"):
        _run(predict.STAGE, store, _config(predict=PredictSettings(splits=("test",))))
    with pytest.raises(UsageError, match=r"dataset\.splits\.train"):
        _run(train.STAGE, store, _config(dataset=DatasetSettings(splits={"val": SplitSettings()})))
    with pytest.raises(UsageError, match="cannot train; training needs"):
        _run(train.STAGE, store, _config(detector=DetectorSettings(kind="predictions")))
    with pytest.raises(DetrayError, match=r"model\.json: not there"):
        _run(predict.STAGE, store, _config(detector=DetectorSettings(path=str(tmp_path))))


def test_a_file_of_detections_is_of_one_split(tmp_path):
    nowhere = Store(str(tmp_path))
    for path, splits, words in (("d.json", ("train", "val"), "names 2"), (None, ("val",), r"detector\.path")):
        detector = DetectorSettings(kind="predictions", path=path)
        config = _config(detector=detector, predict=PredictSettings(splits=splits))
        with pytest.raises(UsageError, match=words):
            predict.check(Context(config, nowhere, InProcess()))


def test_model_names():
    names = {None: "retinanet", "out/a/tune/best/model": "best", "x/mine": "mine", "s3://b/run/model/": "run"}
    assert {path: inference.model_name(DetectorSettings(path=path)) for path in names} == names


def test_only_a_validation_split_tells_the_best_epoch(tmp_path):
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "train", 2)])
    alone = DatasetSettings(splits={"train": SplitSettings(images="train")})
    for name, value in {"patience": 2, "focus": ("red",)}.items():
        with pytest.raises(UsageError, match=rf"train\.{name} asks which epoch is best"):
            _run(train.STAGE, store, _config(dataset=alone, train=TrainSettings(**{name: value})))


def test_classes_that_are_not_there_are_refused_before_a_picture_is_read(tmp_path):
    shard = draw(tmp_path / "train", 2)
    for path in (tmp_path / "train").iterdir():
        path.unlink()  # reading would fail
    data = MemoryData([shard])
    work = Work(data, "t", DETECTOR, TrainSettings(undersample={"blue": 0.5}), train.judge, 0.01)
    with pytest.raises(UsageError, match=r"train\.undersample names the class blue but the classes are red, green"):
        learn(work, Training(data.shards(["train"]), (), MemoryKeeper().workspace("train")))


def test_a_focus_class_without_a_box_is_refused(tmp_path):
    shards = [draw(tmp_path / "train", 2), draw(tmp_path / "val", 2, "val", seed=1)]
    only_red = shards[1].annotations.filter(pc.equal(shards[1].annotations["category_id"], 3))
    data = MemoryData([shards[0], replace(shards[1], annotations=only_red)])
    settings = TrainSettings(epochs=1, focus=("green",))
    work = Work(data, "t", DETECTOR, settings, train.judge, 0.01)
    task = Training(data.shards(["train"]), data.shards(["val"]), MemoryKeeper().workspace("train"))
    with pytest.raises(UsageError, match=r"train\.focus names green, of which the split val has no box"):
        learn(work, task)


def test_the_score_of_an_epoch_is_that_of_the_focus():
    scores = []
    for changes in ({}, {"focus": ("green",)}, {"best_by": "ap50", "focus": ("red",)}):
        history = History(MemoryKeeper().workspace("train"), TrainSettings(**changes), _Judge(), {3: "red", 7: "green"})
        result = EpochResult(1, 1.0, 0.6, 0.4, 0.003, 0.1, 0.0, 0, pa.table({"image_id": [1]}))
        scores.append(history.keep(result))
    assert scores == pytest.approx([0.35, 0.6, 0.2])


class _Judge:
    """Says .2 at IoU .5 and 0 beyond for red, .6 for green."""

    class_ids = (3, 7)

    def __call__(self, detections: pa.Table, class_ids: list[int]) -> np.ndarray:
        return np.array([[0.2, 0.0], [0.6, 0.6]])


def test_each_epoch_is_told(tmp_path, monkeypatch, eager, capsys):
    """Where there is no terminal: a line each, with the time left as soon as one is known."""
    monkeypatch.setattr(epochs, "EVERY", 0.01)
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "train", 3), draw(tmp_path / "val", 2, "val", seed=1)])
    run_stage(train.STAGE, Context(CONFIG, store, InProcess(), progress=Bar()), "f")
    lines = [line for line in capsys.readouterr().err.splitlines() if "epoch" in line]
    assert len(lines) == CONFIG.train.epochs
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf"  epoch {number}/2: loss \d\.\d+, mAP50 \d\.\d{{3}}, \d+\.\d s", line), line
