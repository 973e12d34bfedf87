"""What the class ids of a model mean is tried out on a few pictures, and followed; settings by class name."""

from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from colours import INPUT, Colours
from drawn import draw, ingest
from msgspec.structs import replace
from outputs import run_stage

from detray.detectors import catalogue
from detray.detectors.detector import DetectorKind
from detray.detectors.settings import DetectorSettings, PredictSettings, TilesSettings
from detray.errors import UsageError
from detray.flow.executor import InProcess
from detray.flow.outcome import Outcome
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.store import Store
from detray.verbs import diagnose, evaluate, predict
from detray.verbs.base import Context
from detray.verbs.classes import settled_ids
from detray.verbs.config import ClusterSettings, Config


def _use(monkeypatch: pytest.MonkeyPatch, classes: dict[int, str]) -> None:
    kind = DetectorKind(
        name="saved_model",
        marker="saved_model.pb",
        load=lambda detector, path, predict, *, trust_model: Colours(),
        read_classes=lambda detector, path: classes,
        read_prepare=lambda detector, path: INPUT,
    )
    monkeypatch.setattr(catalogue, "DETECTORS", (kind,))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Five pictures with something red (class 3) and something green (7), and a model without names, ids 0 and 1."""
    _use(monkeypatch, {})
    store = Store(str(tmp_path / "out"))
    ingest(store, [draw(tmp_path / "val", 5, "val")])
    (tmp_path / "names.txt").write_text("Red\ngreens\nblue\n")
    return store


def _config(store: Store, label_map: str | None = None, gpus: float = 0, **settings: object) -> Config:
    root = Path(store.root).parent
    return Config(
        dataset=DatasetSettings(root=str(root), label_map=label_map, splits={"val": SplitSettings(images="val")}),
        detector=DetectorSettings(kind="saved_model", path=str(root / "model")),
        predict=replace(PredictSettings(batch_size=2), **settings),
        cluster=ClusterSettings(gpus_per_actor=gpus),
    )


def _predict(store: Store, label_map: str | None = None, gpus: float = 0, **settings: object) -> Outcome:
    return run_stage(predict.STAGE, Context(_config(store, label_map, gpus, **settings), store, InProcess(1)))


def _rows(store: Store) -> pa.Table:
    return store.read("predictions").drop_columns(["run", "model"])


def _classes(store: Store) -> set[tuple[int, str]]:
    rows = store.read("predictions")
    return set(zip(rows["category_id"].to_pylist(), rows["category_name"].to_pylist(), strict=True))


@pytest.mark.parametrize("key", ["label_map", "category_map"])
def test_a_list_without_ids_is_settled_on_a_few_pictures(store: Store, key: str) -> None:
    path = str(Path(store.root).parent / "names.txt")
    outcome = _predict(store, path) if key == "label_map" else _predict(store, category_map=path)
    assert _classes(store) == {(3, "red"), (7, "green")}
    assert outcome.notes[0].endswith(
        "are read by names.txt counted from 0: so 10 of 10 boxes are hit by a detection of their class; by names.txt"
        " counted from 1 0"
    )
    assert outcome.facts["class_ids"]["val"]["ids"] == {"0": 3, "1": 7}


def test_a_model_without_names_whose_ids_hit_nothing_is_loud(store: Store) -> None:
    outcome = _predict(store)
    assert _classes(store) == {(0, "0"), (1, "1")}
    assert "does not name its classes" in outcome.notes[0]
    assert outcome.notes[1].startswith("split val: NO BOX of 10 in a few pictures is hit by a detection of its class")
    assert "though any class hits 10 of them" in outcome.notes[1]
    assert outcome.notes[2].endswith("mean none of the data's classes: 0, 1; is it a model of these classes?")


def test_ids_that_are_settled_are_no_fault_to_be_diagnosed(store: Store) -> None:
    (Path(store.root).parent / "names.txt").write_text("red\ngreen\n")
    _predict(store, "names.txt", score_thresholds={"green": 1.0})  # of which nothing is found then
    assert settled_ids(store) == {"val": {0: 3, 1: 7}}
    run_stage(diagnose.STAGE, Context(_config(store, "names.txt"), store, InProcess(1)))
    causes = [row["cause"] for row in store.read("diagnoses").to_pylist() if row["category_name"] == "green"]
    assert causes
    assert "label_id_mismatch" not in causes
    _predict(store, category_map={3: 3})
    assert settled_ids(store) == {}


def test_a_class_of_another_name_is_none_of_the_data_s_until_that_is_mapped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, {0: "red", 1: "blue"})
    outcome = _predict(store)
    assert outcome.notes[0] == "split val: the model has no class green"
    assert _classes(store) == {(3, "red"), (1, "blue")}
    context = Context(_config(store), store, InProcess(1))
    for stage in (evaluate.STAGE, diagnose.STAGE):
        run_stage(stage, context)
    metrics = store.read("class_metrics", filters=[("area_range", "=", "all")]).to_pylist()
    assert {row["category_id"]: row["ap50"] for row in metrics if row["n_ground_truth"]} == {3: 1.0, 7: 0.0}
    first = next(row for row in store.read("diagnoses").to_pylist() if row["category_id"] == 7)
    assert first["cause"] == "label_id_mismatch"
    assert yaml.safe_load(first["remedy_config"]) == {"predict": {"category_map": {0: 3, 1: 7}}}
    _predict(store, category_map={0: 3, 1: 7})
    assert _classes(store) == {(3, "red"), (7, "green")}


def test_scores_by_class_name(store: Store) -> None:
    every = {3: 5, 7: 5}
    lowest = _predict(store, category_map={0: 3, 1: 7})
    assert not lowest.notes
    assert _counts(store) == every
    highest = max(row["score"] for row in _rows(store).to_pylist() if row["category_id"] == 7)
    _predict(store, category_map={0: 3, 1: 7}, score_thresholds={"green": highest})
    assert _counts(store) == {3: 5}  # as score_threshold: a score that is no higher does not count
    _predict(store, category_map={0: 3, 1: 7}, score_threshold=1.0, score_thresholds={"green": 0.1})
    assert _counts(store)[7] == 5
    with pytest.raises(UsageError, match="names the class blue but the classes are red, green"):
        _predict(store, score_thresholds={"blue": 0.5})


def _counts(store: Store) -> dict[int, int]:
    counts = store.read("predictions")["category_id"].value_counts()
    return {row["values"]: row["counts"] for row in counts.to_pylist()}


@pytest.mark.parametrize("more", [{"flip": True}, {"tiles": TilesSettings(height=64, width=72)}])
def test_views_give_the_same_where_pictures_are_decoded_elsewhere(store: Store, more: dict[str, object]) -> None:
    _predict(store, category_map={0: 3, 1: 7}, **more)
    here = _rows(store)
    _predict(store, category_map={0: 3, 1: 7}, gpus=1, **more)
    assert here.num_rows >= 10
    assert _rows(store).equals(here)
