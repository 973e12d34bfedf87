"""What a program is given and what is read of it: lists, records, a pipeline.config, curves and models."""

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standin
from msgspec.structs import replace
from test_command import RUN, run_tuning

from detray.detectors.runtime import tensorflow
from detray.detectors.settings import DetectorSettings, TrainSettings
from detray.errors import UsageError
from detray.formats.tfrecord.records import framed, map_file, records
from detray.pipeline.read import parse_pipeline, read_pipeline
from detray.store import Store
from detray.tune.command.data import Listed
from detray.tune.command.events import BOX_LOSS, CLASS_LOSS, Curves
from detray.tune.command.pipeline import Pipeline
from detray.tune.command.reports import Reports
from detray.tune.trial import Trial
from detray.verbs.config import Config

SSD = Path(__file__).parents[1] / "pipeline" / "ssd.config"
CLASSES = {3: "red", 7: "blue"}


@pytest.fixture
def listed(store: Store) -> Listed:
    return Listed(store, {name: (store.shards([name]), None) for name in ("train", "val")}, CLASSES)


def test_lists_of_pictures_and_boxes(listed: Listed, tmp_path: Path) -> None:
    listed.write_split("train", tmp_path / "train.json")
    found = json.loads((tmp_path / "train.json").read_text())
    assert (len(found["images"]), len(found["annotations"])) == (12, 24)
    assert found["categories"] == [{"id": 3, "name": "red"}, {"id": 7, "name": "blue"}]
    assert all(Path(image["file_name"]).is_file() for image in found["images"])
    listed.write_pictures(tmp_path / "detect.json", with_proof=True)
    shown = json.loads((tmp_path / "detect.json").read_text())
    assert ([image["id"] for image in shown["images"]], shown["annotations"]) == (list(range(1, 9)), [])


def test_pictures_of_another_split_have_ids_of_their_own(listed: Listed, tmp_path: Path) -> None:
    """Those of train stand for a split test, whose ids are those of val again."""
    parts = dict(listed.parts) | {"proof": listed.parts["train"]}
    both = changed(listed, parts=parts)
    both.write_pictures(tmp_path / "detect.json", with_proof=True)
    ids = [image["id"] for image in json.loads((tmp_path / "detect.json").read_text())["images"]]
    assert len(ids) == len(set(ids)) == 20
    assert sorted(number - both.shift() for number in ids[8:]) == list(range(1, 13))
    part = changed(listed, parts=dict(listed.parts) | {"proof": (listed.parts["val"][0], np.array([2, 3]))})
    assert part.shift() == 0


class InRecords(Listed):
    """The same pictures as if they had been read from a file of records, each with its id as content."""

    def images(self, part: str) -> Any:
        rows = super().images(part)
        place = rows.schema.get_field_index("source_file")
        return rows.set_column(place, "source_file", [[FILE] * len(rows)])


FILE = ""


def test_records_come_as_often_as_their_pictures(listed: Listed, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "train.record"
    file.write_bytes(b"".join(framed(str(number).encode()) for number in range(1, 13)))
    monkeypatch.setitem(globals(), "FILE", str(file))
    source = InRecords(listed.data, listed.parts, CLASSES)
    assert source.write_records(TrainSettings(), ["stated.record"], tmp_path) == ["stated.record"]
    some = TrainSettings(oversample={"blue": 3.0})
    found = source.write_records(some, ["stated.record"], tmp_path)
    assert found == ["stated.record", *[str(tmp_path / "shown-3.record")] * 2]
    assert sorted(read(found[1]), key=int) == [str(number) for number in range(1, 13)]
    few = source.write_records(TrainSettings(undersample={"blue": 0.5, "red": 0.5}), ["stated.record"], tmp_path)
    assert "stated.record" not in few
    shown = Counter(content for place in few for content in read(place))
    assert 0 < len(shown) < 12


def read(path: str) -> list[str]:
    data = map_file(path)
    return [(content or b"").decode() for _, content in records(data, 0, len(data))]


def test_a_pipeline_config_with_a_trials_values() -> None:
    own = Pipeline(read_pipeline(SSD), ("train", "{config}"), has_records=True)
    baseline = own.baseline(TrainSettings())
    assert (baseline.focal_alpha, baseline.focal_gamma, baseline.batch_size) == (0.25, 2.0, 16)
    given = own.text(Trial("a", "search", replace(baseline, seed=5), DetectorSettings()), baseline, {}, [])
    assert given == SSD.read_text()
    settings = replace(baseline, focal_gamma=1.5, batch_size=8, learning_rate=1e-3, augmentation="strong")
    more = {"config.train_config.freeze_variables": ["FeatureExtractor/.*"]}
    more["config.train_config.fine_tune_checkpoint"] = "other/ckpt-0"
    trial = Trial("a", "search", settings, DetectorSettings(), own=more)
    text = own.text(trial, baseline, {}, ["a.record", "b.record", "b.record"])
    found = parse_pipeline(text, "made").config
    assert found.model.ssd.loss.classification_loss.weighted_sigmoid_focal.gamma == 1.5
    train = found.train_config
    assert (train.batch_size, train.num_steps) == (8, 40_000)  # as many pictures as before
    assert train.freeze_variables == ("FeatureExtractor/.*",)
    assert train.fine_tune_checkpoint == "other/ckpt-0"
    assert any(step.random_crop_image for step in train.data_augmentation_options)
    rate = train.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    assert rate.learning_rate_base == pytest.approx(0.01 / 3, rel=1e-2)
    assert found.train_input_reader.tf_record_input_reader.input_path == ("a.record", "b.record", "b.record")
    assert "what fits" in text  # a comment of the file


def test_what_a_pipeline_config_has_no_field_for() -> None:
    own = Pipeline(read_pipeline(SSD), ("train", "{config}"), has_records=False)
    assert own.refusal("focal_gamma", 1.0) is None
    assert "no effect" in str(own.refusal("freeze_units", 2))
    assert "no field" in str(own.refusal("dropout", 0.1))
    assert "not read from TFRecords" in str(own.refusal("oversample", {"blue": 2}))
    assert "config.model" in str(own.refusal("detector.input_height", 320))
    assert own.own("config.train_config.freeze_variables") == []
    with pytest.raises(UsageError, match="no such field"):
        own.own("config.train_config.freeze_variable")


def test_a_pipeline_config_is_tuned(store: Store, config: Config, tmp_path: Path) -> None:
    place = tmp_path / "own.config"
    place.write_text(SSD.read_text())
    command = {"run": [*RUN, "--seed", "{seed}"], "config": str(place)}
    freezing = {"config.train_config.freeze_variables": [["FeatureExtractor/Conv/.*"]]}
    space = {"focal_gamma": [1.5], **freezing}
    outcome = run_tuning(
        store, config, {"trainer": "command", "command": command, "space": space, "trials": 4, "proof_seeds": 2}
    )
    assert outcome.facts["is_win"]
    assert "focal_gamma 1.5" in outcome.facts["sentence"]
    made = parse_pipeline(Path(store.root, "tune/best/model/pipeline.config").read_text(), "best")
    assert made.config.model.ssd.loss.classification_loss.weighted_sigmoid_focal.gamma == 1.5
    logs = [file.read_text() for file in Path(store.root, "tune/logs").glob("search-*.log")]
    assert sum('"frozen": "\\"FeatureExtractor/Conv/.*\\""' in log for log in logs) == 2
    with pytest.raises(UsageError, match=r"freeze_units: the trainer cannot set it to 2: .*no effect"):
        run_tuning(store, config, {"trainer": "command", "command": command, "space": {"freeze_units": [2]}})


def test_curves_are_read_as_they_grow(tmp_path: Path) -> None:
    file = tmp_path / "train" / "events.out.tfevents.1.host"
    file.parent.mkdir()
    curves = Curves(tmp_path)
    curves.look()
    assert curves.last == {}
    first = standin.event("Loss/classification_loss", 0.5, 1)
    file.write_bytes(first + standin.event("Loss/localization_loss", 0.25, 1)[:-3])
    curves.look()
    assert (curves.loss(CLASS_LOSS), curves.loss(BOX_LOSS)) == (0.5, None)
    file.write_bytes(first + standin.event("Loss/localization_loss", math.inf, 2) + standin.event("mAP", 0.1, 2))
    curves.look()
    assert curves.last == {"Loss/classification_loss": (1, 0.5), "Loss/localization_loss": (2, math.inf)}


@pytest.mark.slow  # TensorFlow, which writes what is read
def test_curves_are_read_as_tensorflow_writes_them(tmp_path: Path) -> None:
    tf, _ = tensorflow()

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        tf.summary.write("Loss/classification_loss", tf.constant(0.5), step=3)
        tf.summary.write("Loss/localization_loss", tf.constant(0.25, tf.float64), step=3)
    curves = Curves(tmp_path)
    curves.look()
    assert curves.last == {"Loss/classification_loss": (3, 0.5), "Loss/localization_loss": (3, 0.25)}


MODELS = """
import pathlib, shutil, sys
made, output = map(pathlib.Path, sys.argv[1:3])
for epoch in (1, 2):
    part = output / ("part-%d" % epoch)
    shutil.copytree(made, part)
    part.rename(output / ("model-%d" % epoch))
"""


@pytest.mark.slow  # TensorFlow, which runs the model
def test_an_exported_model_is_run(store: Store, config: Config, tmp_path: Path) -> None:
    """A model that sees the same two boxes in each picture."""
    tf, _ = tensorflow()

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def __call__(self, input_tensor: Any) -> Any:
            return {
                "detection_boxes": tf.constant([[[0.0, 0.0, 0.5, 0.5], [0.0, 0.5, 0.5, 1.0]]]),
                "detection_scores": tf.constant([[0.9, 0.8]]),
                "detection_classes": tf.constant([[3.0, 7.0]]),
                "num_detections": tf.constant([2.0]),
            }

    made = tmp_path / "made"
    model = Two()
    tf.saved_model.save(model, str(made), {"serving_default": model.__call__})
    command = {"run": [sys.executable, "-c", MODELS, str(made), "{output}", "{l2}"], "reports": "models"}
    values = {"trainer": "command", "command": command, "space": {"l2": [0.1]}, "proof_seeds": 1}
    run_tuning(store, config, values)
    trials = store.read("trials").to_pylist()
    assert [(row["status"], row["epochs"]) for row in trials] == [("completed", 2)] * 4
    assert Path(store.root, "tune/best/model/saved_model.pb").is_file()
    best = Path(store.root, "tune/best/config.yaml").read_text()
    assert "kind: saved_model" in best


API = {
    "model_main_tf2.py": """
import sys, pathlib
output = pathlib.Path(sys.argv[2].partition("=")[2])
for number in (1, 2, 3):
    (output / f"ckpt-{number}.index").write_text("index")
    (output / f"ckpt-{number}.data-00000-of-00001").write_text(str(number))
sys.exit(3)
""",
    "exporter_main_v2.py": """
import sys, pathlib
given, output = (pathlib.Path(word.partition("=")[2]) for word in sys.argv[2:4])
name = (given / "checkpoint").read_text().split('"')[1]
assert name != "ckpt-1", "it has no network yet"
(output / "saved_model").mkdir(parents=True)
(output / "saved_model" / "saved_model.pb").write_text((given / f"{name}.data-00000-of-00001").read_text())
""",
}


def test_the_script_of_the_docs_exports_each_checkpoint(tmp_path: Path) -> None:
    """With the API's two programs played."""
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
    (tmp_path / "od_trial.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    folder = tmp_path / "models" / "research" / "object_detection"
    folder.mkdir(parents=True)
    for name, text in API.items():
        (folder / name).write_text(text)
    (tmp_path / "output").mkdir()
    ran = subprocess.run([sys.executable, "od_trial.py", "pipeline.config", "output"], cwd=tmp_path, timeout=60)
    assert ran.returncode == 3  # as the trainer's
    found = Reports(tmp_path / "output", "models").new()
    assert [(number, path.name) for number, path in found] == [(2, "model-2"), (3, "model-3")]
    assert (found[1][1] / "saved_model" / "saved_model.pb").read_text() == "3"
