"""The stage folds, and clean by its suspects: on small pictures that are really learnt from, one epoch a fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from outputs import run_stage, write_stage
from tiny import eagerly, make_config, make_store

from detray import schema
from detray.detectors.training import loop
from detray.errors import UsageError
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.flow.outcome import Silent
from detray.folds.pictures import Pictures
from detray.settings import convert
from detray.store import Store
from detray.verbs import clean, folds, runner
from detray.verbs.base import Context
from detray.verbs.config import Config

COPIES = {("train", 1): ("val", 3), ("train", 2): ("train", 5)}


def configured(store: Store, **clean_settings: Any) -> Config:
    config = make_config(store)
    return structs.replace(
        config,
        train=structs.replace(config.train, epochs=1, focus=(), patience=None),
        clean=structs.replace(config.clean, folds=2, **clean_settings),
    )


def audited(folder: Path) -> Store:
    """Twelve pictures for training and eight for validation, two of which are copies of others; one cannot be read."""
    store = make_store(folder)
    broken = folder / "train" / "7.png"
    broken.write_bytes(broken.read_bytes()[:100])
    images = store.read("images").to_pylist()
    random = np.random.default_rng(0)
    rows = []
    for row in images:
        key = (row["split"], row["image_id"])
        rows.append(
            {name: row[name] for name in ("split", "image_id", "file_name")}
            | {"is_decoded": True, "perceptual_hash": int(random.integers(1 << 62)), "content_hash": str(key)}
        )
    by = {(row["split"], row["image_id"]): row for row in rows}
    for one, other in COPIES.items():
        by[other]["content_hash"] = by[one]["content_hash"]
    write_stage(
        store,
        "audit",
        {"image_stats": schema.from_rows("image_stats", rows, run="t"), "findings": schema.empty("findings")},
    )
    return store


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, name: str, total: int) -> None:
        self.lines.append(f"{name} {total}")

    def note(self, text: str) -> None:
        self.lines.append(text)

    def tell(self, text: str, left: float | None = None) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Store, Mapping[str, Any]]:
    """The output, and what was said: outcome, progress and the sizes of the trainings, of which the second died."""
    folder = tmp_path_factory.mktemp("folds")
    store = audited(folder)
    config = configured(store)
    seen: list[int] = []
    real, heard = loop.train, Heard()

    def train(data, *arguments, **named):
        seen.append(len(data))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(data, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr(loop, "train", train)
        context = Context(config, store, InProcess(), heard)
        with pytest.raises(KeyboardInterrupt):
            run_stage(folds.STAGE, context)
        outcome = run_stage(folds.STAGE, context)
    return store, {"outcome": outcome, "trainings": seen, "told": heard.lines}


def test_a_run_that_was_cut_off_goes_on_with_the_fold_it_was_at(judged):
    _, said = judged
    assert len(said["trainings"]) == 3
    assert said["told"].count("train folds 2") == 2
    assert any(line.startswith("fold 2 of 2, epoch 1/1: loss ") for line in said["told"])


def test_every_picture_is_judged_once_and_no_copy_is_learnt_from(judged):
    store, said = judged
    assert said["outcome"].counts == {"in": 20, "kept": 19, "quarantined": 1}
    assert sum(said["outcome"].facts["folds"]) == 20
    parts = [
        {
            (row["split"], row["image_id"])
            for row in store.read_files([part], "predictions", ("split", "image_id")).to_pylist()
        }
        for part in store.files("predictions", "folds")
    ]
    one, other = (part for part in parts if part)
    assert not one & other
    for first, second in COPIES.items():
        assert any({first, second} <= part for part in (one, other))
    assert "4 pictures look like another: such are in one fold" in said["outcome"].notes


def test_a_picture_that_cannot_be_read_is_set_aside_and_suspects_nothing(judged):
    store, _ = judged
    (row,) = store.read("quarantine", "folds").to_pylist()
    assert (row["split"], row["image_id"]) == ("train", 7)
    suspects = {(row["split"], row["image_id"]) for row in store.read("label_errors", "folds").to_pylist()}
    assert suspects
    assert ("train", 7) not in suspects


def test_clean_follows_the_suspects_of_the_folds_and_not_of_diagnose(tmp_path: Path) -> None:
    store = audited(tmp_path)
    box = store.read("annotations").slice(0, 1).to_pylist()[0]
    suspect = {name: box[name] for name in ("split", "image_id", "annotation_id", "annotation_row", "category_id")} | {
        "model": "m", "kind": "wrong_class", "score": 0.99, "suggested_category_id": 7,
    }  # fmt: skip
    write_stage(store, "folds", {"label_errors": schema.from_rows("label_errors", [suspect], run="t")})
    config = structs.replace(configured(store, format="coco"), predict=make_config(store).predict)
    outcome = run_stage(clean.STAGE, Context(config, store, InProcess()))
    assert outcome.facts["edits"] == 1
    (edit,) = store.read("edits").to_pylist()
    assert (edit["action"], edit["annotation_id"]) == ("relabel", box["annotation_id"])
    assert clean.STAGE.needs(config) == ("audit", "folds")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"detector": {"kind": "predictions", "path": "d.json"}}, "which detray cannot train; clean.folds needs"),
        ({"clean": {"folds": 0}}, "clean.folds is 0"),
        ({"dataset": {"splits": {"test": {"annotations": "t.json"}}}}, "neither"),
    ],
)
def test_what_cannot_be_judged_fold_by_fold_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    values = {"dataset": {"splits": {"train": {"annotations": "t.json"}}}, "clean": {"folds": 3}} | changes
    config = convert(values, Config, "test")
    with pytest.raises(UsageError, match=says):
        folds.STAGE.check(Context(config, Store(str(tmp_path)), InProcess()))


def test_more_folds_than_pictures_are_refused(tmp_path: Path) -> None:
    store = audited(tmp_path)
    config = configured(store)
    config = structs.replace(config, clean=structs.replace(config.clean, folds=20))
    with pytest.raises(UsageError, match="the 20 pictures, copies counted once, are 18: at least one a fold"):
        run_stage(folds.STAGE, Context(config, store, InProcess()))


def test_one_fold_is_no_fold() -> None:
    with pytest.raises(UsageError, match="one of folds leaves nothing to learn from"):
        convert({"clean": {"folds": 1}}, Config, "test")


def test_detray_run_trains_folds_where_they_are_asked_for() -> None:
    values = {"dataset": {"splits": {"train": {"annotations": "t.json"}}}, "clean": {"folds": 3}}
    assert "folds" in runner.stages_of(convert(values, Config, "test"))
    assert "folds" not in runner.stages_of(convert(values | {"clean": {}}, Config, "test"))


def test_splits_without_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match=r"clean\.folds: there are no pictures in train and val"):
        Pictures.read(MemoryData(()), ("train", "val"), {})
