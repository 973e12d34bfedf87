"""Tunings by the shipped command, and what their tables say."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
from planted.data import Data
from planted.plant import Case, keep_pictures, setting
from planted.runs import Bench

from detray.settings import to_yaml
from detray.store import Store

Json = dict[str, Any]


@dataclass(frozen=True)
class Tuned:
    """The trials of a search in their order, the classes' changes, and the manifest."""

    trials: list[Json]
    deltas: list[Json]
    manifest: Json

    @property
    def epochs(self) -> int:
        """Of all trials."""
        return sum(row["epochs"] for row in self.trials)

    @property
    def best(self) -> Json:
        """The trial with the highest objective."""
        return max(self.trials, key=lambda row: row["objective"] if row["objective"] is not None else -1.0)

    def gain(self, trials: int) -> float:
        """By how much the best of the first trials is above the baseline, on the search's own seed."""
        found = [row["objective"] for row in self.trials[:trials] if row["objective"] is not None]
        return max(found) - self.trials[0]["objective"]


def smaller(case: Case, pictures: int, **train: Any) -> Case:
    """``case`` on so many of its training pictures, half as many of val, and with further settings
    of the training."""
    plants = [keep_pictures("train", pictures), keep_pictures("val", pictures // 2), setting("train", **train)]
    for plant in plants:
        case = plant(case, np.random.default_rng(0))
    return case


def tune(data: Data, case: Case, settings: Json, work: Path, name: str, *, ray: bool = False) -> Tuned:
    """Tune what ``case`` is; stages before it that stand in ``work`` are used again."""
    work.mkdir(parents=True, exist_ok=True)
    config = Bench(work, work).config(data, case, work, tuple(case.documents)) | {"tune": settings}
    config |= {"cluster": {"address": "local"}} if ray else {}
    place, out = work / f"{name}.yaml", work / "out"
    place.write_text(to_yaml(config))
    argv = [sys.executable, "-m", "detray", "tune", "--config", str(place), "--output", str(out)]
    with (work / f"{name}.log").open("w") as stream:
        run([*argv, *([] if ray else ["--serial"])], stdout=stream, stderr=stream, check=True)
    store = Store(str(out))
    trials = [row for row in store.read("trials").to_pylist() if row["phase"] == "search"]
    manifest = store.manifest("tune") or {}
    found = Tuned(trials, store.read("class_deltas").to_pylist(), manifest)
    shutil.copytree(out / "tune", work / f"tune-{name}", dirs_exist_ok=True)
    return found
