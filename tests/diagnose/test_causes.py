"""Contract of the catalogue of causes, and the pages and remedies that come of it."""

import itertools
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import in_memory
import numpy as np
import pyarrow as pa
import pytest
import scenes
import suite
import yaml
from in_memory import diagnoses

from detray import schema
from detray.diagnose import docs
from detray.diagnose.catalogue import CAUSES
from detray.diagnose.cause import GROUPS, Cause
from detray.diagnose.causes.training_data.forgetting import Forgetting
from detray.diagnose.costliest import CONFIDENCE
from detray.diagnose.evidence.inputs import Inputs, Training, TrainingSeen
from detray.diagnose.observation.counts import ClassCounts
from detray.diagnose.observation.shapes import Shapes
from detray.diagnose.rank import not_looked_for, ranked
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps import classes
from detray.docs import causes_page
from detray.settings import convert
from detray.verbs.config import Config


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_docstring_says_what_tells_source_example_and_remedy(cause: Cause) -> None:
    text = docs.parts(cause)
    assert set(text) == {"What", *docs.SECTIONS}
    assert all(len(part) > 10 for part in text.values())


def test_names_are_unique_and_groups_known() -> None:
    names = [cause.name for cause in CAUSES]
    assert len(set(names)) == len(names)
    assert {cause.group for cause in CAUSES} <= set(GROUPS)
    assert {name for cause in CAUSES for name in cause.explains} <= set(names)


def test_every_cause_is_planted() -> None:
    assert set(scenes.PLANTS) == {cause.name for cause in CAUSES}


def test_every_threshold_has_a_source() -> None:
    stated = [value for module in docs.modules() for value in docs.criteria(module).values()]
    assert len(stated) > 80
    assert all(len(value.source) > 10 for value in stated)


def test_a_cause_lies_in_the_folder_of_its_group() -> None:
    folders = {cause.group: type(cause).__module__.split(".")[-2] for cause in CAUSES}
    assert len(set(folders.values())) == len(GROUPS)
    assert all(type(cause).__module__.split(".")[-2:] == [folders[cause.group], cause.name] for cause in CAUSES)


def test_a_cause_is_not_looked_for_without_what_it_needs() -> None:
    [line] = not_looked_for(Inputs())
    assert line.startswith("not looked for: noisy_boxes (no audit and no training detections); ")
    assert line.endswith("; undertrained, overfit (no training detections)")
    assert "; train_eval_shift (no training annotations and no audit); " in line
    assert "few_examples" not in line
    given = Inputs(
        training=Training(Shapes(), {}), trained=TrainingSeen(ClassCounts(), {}, 0, 0), base_aps={}, findings={}
    )
    assert not_looked_for(given) == []
    assert not any("train_eval_shift" in line for line in not_looked_for(Inputs(findings={})))


def test_the_page_is_current() -> None:
    written = (Path(__file__).parents[2] / "docs" / "causes.md").read_text(encoding="utf-8")
    assert written == causes_page(), "run: make docs"


def test_empty_tables_give_nothing() -> None:
    empty = {name: schema.empty(name) for name in ("images", "annotations", "categories", "predictions")}
    assert all(rows.num_rows == 0 for rows in in_memory.run(empty).tables.values())


def test_every_config_is_run_as_it_is_by_tune_or_clean() -> None:
    seen = set()
    for place, name in enumerate(scenes.PLANTS):
        world = _broken(place, (name,))
        for row in _diagnose(world):
            if row["remedy_config"] is None:
                continue
            fragment = yaml.safe_load(row["remedy_config"])
            config = convert(fragment, Config, row["cause"])
            if row["cause"] == "label_id_mismatch":
                assert isinstance(config.predict.category_map, dict)
                continue
            assert config.tune.focus or fragment.keys() == {"clean"}
            seen.add(row["cause"])
    assert len(seen) >= 10


def test_rows_say_what_and_how_much() -> None:
    rows = _diagnose(_broken(3, ("class_confusion",)))
    row = next(row for row in rows if row["cause"] == "class_confusion")
    numbers = json.loads(row["evidence"])
    assert str(numbers["covered"]) in row["sentence"]
    assert row["category_name"] in row["sentence"]
    assert 0 < row["d_ap"] <= 1 - row["ap"]
    assert 0.5 <= row["confidence"] <= 1


@pytest.mark.parametrize("sides", [(1e300, 1e300), (1e308, 1e-9), (1.7e308, 1.7e308)])
def test_boxes_near_the_largest_float_are_boxes_like_others(sides: tuple[float, float]) -> None:
    world = _broken(0, ("missing_labels",))
    usual = scenes.tables_of(world)
    huge = usual["annotations"]
    for side, value in zip(("width", "height"), sides, strict=True):
        place = huge.column_names.index(side)
        given = huge[side].to_numpy().copy()
        given[::9] = value
        huge = huge.set_column(place, huge.schema.field(place), pa.array(given))
    place = huge.column_names.index("area")
    huge = huge.set_column(place, huge.schema.field(place), pa.nulls(len(huge), pa.float64()))
    rows = diagnoses(usual | {"annotations": huge}, DiagnoseSettings(weak_below=1.0)).to_pylist()
    assert {row["category_name"] for row in rows} == set(world.names.values())
    assert all("inf" not in row["sentence"].split() and "Infinity" not in row["evidence"] for row in rows)


@pytest.mark.parametrize("plant", ["score_threshold", "max_detections", "localization", "bad_ranking", "forgetting"])
def test_what_a_training_or_unwritten_detections_would_regain_is_told_as_a_ceiling(plant: str) -> None:
    found = [row for row in _diagnose(_broken(5, (plant,))) if row["cause"] == plant]
    assert found
    assert all(row["d_ap"] > 0 and row["d_ap_is_ceiling"] is True for row in found)


@pytest.mark.parametrize("plant", ["label_id_mismatch", "box_format", "missing_labels"])
def test_what_the_files_hold_is_regained_as_computed(plant: str) -> None:
    found = [row for row in _diagnose(_broken(5, (plant,))) if row["cause"] == plant]
    assert found
    assert all(row["d_ap"] > 0 and row["d_ap_is_ceiling"] is False for row in found)


def test_an_unknown_ap_is_no_ceiling() -> None:
    rows = _diagnose(_broken(5, ("absent_in_training",)))
    assert any(row["d_ap"] is None for row in rows)
    assert all((row["d_ap"] is None) == (row["d_ap_is_ceiling"] is None) for row in rows)


def test_a_model_that_forgot_in_ap50_alone_regains_no_negative_ap() -> None:
    view = SimpleNamespace(ap=0.42, ap50=0.6)
    around = SimpleNamespace(inputs=SimpleNamespace(base_aps={1: (0.4, 0.9)}))
    verdict = Forgetting().judge(
        SimpleNamespace(category=1, name="cat", label="`cat` (id 1)", result=view, split=around)
    )
    assert verdict is not None
    assert verdict.d_ap == 0
    assert "0.90" in verdict.sentence
    assert "0.60" in verdict.sentence


def test_verdicts_do_not_depend_on_the_order_of_rows_and_inputs_stay_as_they_are() -> None:
    for place, name in enumerate(("missing_labels", "box_format", "label_id_mismatch", "duplicates", "localization")):
        world = _broken(place, (name,))
        tables = scenes.tables_of(world)
        before = {key: table.slice(0) for key, table in tables.items()}
        rng = np.random.default_rng(0)
        shuffled = {key: table.take(rng.permutation(table.num_rows)) for key, table in tables.items()}
        results = [diagnoses(given) for given in (tables, shuffled)]
        assert results[0].equals(results[1])
        assert results[0].num_rows
        assert all(tables[key].equals(before[key]) for key in tables)


def test_a_healthy_class_gets_no_diagnosis_unless_it_is_named() -> None:
    rng = np.random.default_rng(5)
    world = scenes.detect(rng, scenes.uniform(rng, 80, 4), scenes.Quality())
    assert _diagnose(world) == []
    named = diagnoses(scenes.tables_of(world), DiagnoseSettings(classes=("class1",)))
    assert set(named["category_name"].to_pylist()) <= {"class1"}


def test_where_no_cause_passes_the_costliest_error_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tuple(
        SimpleNamespace(name=cause.name, group=cause.group, inputs=(), explains=(), judge=lambda case: None)
        for cause in CAUSES
    )
    monkeypatch.setattr(classes, "ranked", partial(ranked, causes=silent))
    rows = _diagnose(_broken(3, ("localization",)))
    assert [row["cause"] for row in rows] == ["localization"]
    assert rows[0]["confidence"] == CONFIDENCE
    assert rows[0]["d_ap"] > 0.01
    assert "No single cause is proven" in rows[0]["sentence"]


def _broken(seed: int, plants: tuple[str, ...]) -> scenes.World:
    tried = (suite.run_trial(seed + more, plants, "uniform", None) for more in itertools.count(0, 100))
    return next(trial.world for trial in tried if trial is not None)


def _diagnose(world: scenes.World) -> list[dict]:
    return suite.diagnosed(world, DiagnoseSettings()).to_pylist()
