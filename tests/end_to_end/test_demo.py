"""``detray demo``, its trainings cut short: the planted faults are shown before the tuning begins; and the notebook
docs/analysis.ipynb on what it leaves."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from detray import cli
from detray.demo.draw import draw_dataset
from detray.store import Store
from detray.verbs.catalogue import STAGES

pytestmark = pytest.mark.slow
NOTEBOOK = Path(__file__).parents[2] / "docs" / "analysis.ipynb"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Its output folder, and what it said."""
    place = tmp_path_factory.mktemp("demo")
    short = ("train.epochs=1", "tune.trials=2", "tune.proof_seeds=2", "tune.scheduler=none", "evaluate.bootstrap=20")
    options = [part for setting in short for part in ("--set", setting)]
    told, shown = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown), contextlib.redirect_stderr(told):
        patch.setattr("detray.verbs.demo.draw.draw_dataset", lambda root: draw_dataset(root, 0, 40, 40, 40))
        assert cli.main(["demo", "--serial", "--output", str(place / "out"), *options]) == 0, told.getvalue()
    return place / "out", shown.getvalue()


def test_the_planted_faults_are_shown_first_and_the_faulty_copy_is_cleaned(demo: tuple[Path, str]) -> None:
    output, said = demo
    assert said.index("planted faults found") < said.index("Classes, before and after tuning")
    assert "0 findings of severity error or fatal where nothing was planted" in said
    manifest = json.loads((output / "faulty" / "clean" / "manifest.json").read_text())
    assert manifest["facts"]["edits"] >= 3


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def answers(demo: tuple[Path, str]) -> dict[str, Any]:
    """The names that the notebook's cells leave, run in their order on the demonstration."""
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, pl.Config():
        patch.setenv("DETRAY_OUT", str(demo[0]))
        for cell in code_cells():
            exec("".join(cell["source"]), found)  # noqa: S102 - ours
    return found


def rows(store: Path, table: str, **wanted: object) -> list[dict[str, Any]]:
    found = Store(str(store)).read(table).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def test_which_classes_are_weak_and_which_pictures_come_first(demo: tuple[Path, str], answers: dict[str, Any]) -> None:
    weak, first = answers["weak"].to_dicts(), answers["first"].to_dicts()
    causes = {row["category_name"]: row["cause"] for row in rows(demo[0], "diagnoses", rank=1)}
    metrics = {row["category_name"]: row for row in rows(demo[0], "class_metrics", area_range="all")}
    assert {row["category_name"]: row["cause"] for row in weak} == causes != {}
    for row in weak:
        assert row["ap"] == round(metrics[row["category_name"]]["ap"], 3)
        assert row["n_ground_truth"] == metrics[row["category_name"]]["n_ground_truth"] > 0
    ranked = sorted(rows(demo[0], "image_metrics"), key=lambda row: row["rank"])
    assert [row["file_name"] for row in first] == [row["file_name"] for row in ranked[:8]]
    assert all(row["n_missed"] + row["n_false"] > 0 for row in first)


def test_which_rules_cost_ap_and_how_it_depends_on_size(demo: tuple[Path, str], answers: dict[str, Any]) -> None:
    faulty = demo[0] / "faulty"
    (whole,) = rows(faulty, "summary_metrics", metric="AP")
    assert answers["as_it_is"] == pytest.approx(whole["value"], abs=1e-12)
    costs = {row["rule"]: row for row in answers["costs"].to_dicts()}
    assert {"degenerate-box", "duplicate-box"} <= costs.keys()  # planted
    for rule, row in costs.items():
        found = {one["annotation_row"] for one in rows(faulty, "findings", rule=rule)} - {None}
        assert row["boxes"] == len(found)
        assert row["cost"] == pytest.approx(row["ap_without"] - whole["value"], abs=1e-12)
    sizes = {row["category_name"]: row for row in answers["sizes"].to_dicts()}
    for row in rows(demo[0], "class_metrics"):
        if row["area_range"] in ("small", "medium"):
            assert sizes[row["category_name"]][f"ap_{row['area_range']}"] == row["ap"]
            assert sizes[row["category_name"]][f"n_ground_truth_{row['area_range']}"] == row["n_ground_truth"]


def test_what_changed_and_what_tuning_gained(demo: tuple[Path, str], answers: dict[str, Any]) -> None:
    earlier, later = (
        {row["category_name"]: row for row in rows(place, "class_metrics", area_range="all")}
        for place in (demo[0], demo[0] / "faulty")
    )
    changed = answers["changed"].to_dicts()
    assert {row["category_name"] for row in changed} == earlier.keys() & later.keys() != set()
    for row in changed:
        name = row["category_name"]
        assert (row["boxes_earlier"], row["boxes_later"]) == tuple(
            side[name]["n_ground_truth"] for side in (earlier, later)
        )
        assert row["delta"] == pytest.approx(later[name]["ap"] - earlier[name]["ap"], abs=5.1e-4)
    assert any(row["boxes_earlier"] != row["boxes_later"] for row in changed)  # left-out boxes are planted
    tried, gained = answers["tried"].to_dicts(), answers["gained"].to_dicts()
    assert {row["trial_id"] for row in tried} == {row["trial_id"] for row in rows(demo[0], "trials", phase="search")}
    assert sum(row["is_baseline"] for row in tried) == 1
    assert {row["category_name"]: row["delta"] for row in gained} == {
        row["category_name"]: row["delta"] for row in rows(demo[0], "class_deltas")
    }


def test_every_table_says_which_run_it_is_of(demo: tuple[Path, str]) -> None:
    for output in (demo[0], demo[0] / "faulty", demo[0] / "shifted"):
        own = json.loads((output / "run.json").read_text())["run_id"]
        parts = [part for stage in STAGES for part in (output / stage).glob("*/part-*.parquet")]
        assert len({part.parts[-2] for part in parts}) > 10
        for part in parts:
            assert set(pq.read_table(part, partitioning=None)["run_id"].to_pylist()) <= {own}, part


def test_names_and_the_other_of_a_pair_are_beside_ids(demo: tuple[Path, str]) -> None:
    output, faulty = demo[0], demo[0] / "faulty"
    for row in rows(output, "annotations"):
        assert row["category_name"]
        assert row["file_name"]
    (twice,) = rows(faulty, "findings", rule="duplicate-box")
    other = rows(faulty, "annotations", annotation_row=twice["other_annotation_row"])
    (one,) = rows(faulty, "annotations", annotation_row=twice["annotation_row"])
    assert [row["annotation_id"] for row in other] == [twice["other_annotation_id"]]
    assert all(other[0][name] == one[name] for name in ("image_id", "file_name", "category_name", "x", "y", "width"))
    for row in rows(faulty, "image_metrics"):
        assert (row["category_name"] is not None) == (row["n_missed"] + row["n_false"] > 0)
    for row in rows(output, "trials"):
        assert row["epoch_seconds"] == pytest.approx(row["seconds"] / row["epochs"])
        assert row["epoch_seconds"] > 0


def test_the_notebook_as_it_is_kept_was_run() -> None:
    for number, cell in enumerate(code_cells(), start=1):
        (output,) = cell["outputs"]
        assert output["output_type"] == "execute_result"
        assert cell["execution_count"] == number
        shown = "".join(output["data"]["text/plain"])
        size = re.match(r"shape: \((\d+), \d+\)", shown)
        assert size is not None
        assert int(size[1]) > 0, shown
        assert not re.search(r"[ '\"]/(tmp|home|root|work|Users)/", json.dumps(output))  # no place of a machine
