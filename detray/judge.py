"""The AP of every class by detections in memory, as often as one likes: annotations are read once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace
from numpy.typing import NDArray

from detray.arrays import Floats
from detray.detectors.keras.model import check_keras
from detray.errors import DetrayError, UsageError
from detray.evaluate.kernel import GroundTruth
from detray.evaluate.scores import class_scores
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.inputs import read_scene
from detray.given import SIDES, Given, arrays, columns
from detray.library import Source, ingested
from detray.tables import Shard, class_names
from detray.tune.command.exported import Runner
from detray.verbs.classes import stated

SHOWN = 5
"""Classes that the line of an epoch names, the weakest first."""


@dataclass(frozen=True)
class ClassScores:
    """``ap``: ``[c, 10]`` by class and IoU threshold, NaN without a box; ``left_out``: detections, by reason."""

    names: Mapping[int, str]
    ap: Floats
    left_out: Mapping[str, int]

    def logs(self) -> dict[str, float]:
        """Figures by name; of classes without a box there are none, and of classes of one name only the last's own."""
        there = ~np.isnan(self.ap[:, 0])
        total = {"AP": float(self.ap[there].mean()), "AP50": float(self.ap[there, 0].mean())}
        names = np.array(list(self.names.values()), object)[there]
        return total | {f"AP/{name}": float(ap.mean()) for name, ap in zip(names, self.ap[there], strict=True)}

    def line(self) -> str:
        """In words."""
        logs = self.logs()
        classes = sorted((value, name[3:]) for name, value in logs.items() if name.startswith("AP/"))
        told = ", ".join(f"{name} {value:.3f}" for value, name in classes[:SHOWN])
        more = f", {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
        lost = "".join(
            f", {count:,} detections left out ({reason})" for reason, count in self.left_out.items() if count
        )
        return f"AP {logs['AP']:.3f}, AP50 {logs['AP50']:.3f} ({told}{more}){lost}"


@dataclass(frozen=True)
class Judge:
    """The validation annotations, and who detects in their pictures."""

    name: str
    split: str
    shard: Shard
    truth: GroundTruth
    classes: Mapping[int, str]
    runner: Runner

    @staticmethod
    def of(
        truth: Source,
        images: str | os.PathLike[str] | None,
        split: str,
        settings: Mapping[str, Any] | None,
        *,
        detects: bool,
    ) -> Judge:
        """Read annotations; the arguments are those of `detray.callback.ClassTableCallback`.

        Raises:
            DetrayError: as there.
        """
        config, found = ingested(truth, images, settings)
        splits = found["images"]["split"].unique().to_pylist()
        if split not in splits:
            if len(splits) != 1:
                raise UsageError(f"split: there is none called {split}; the annotations have {', '.join(splits)}")
            split = splits[0]
        own = [
            found[name].filter(pc.equal(found[name]["split"], split))
            for name in ("images", "annotations", "categories")
        ]
        shard = Shard(split, *own)
        if detects and not len(shard.images["path"].drop_null()):
            raise UsageError("predict is not given, so images must name the folder of the pictures")
        gt = read_scene(shard, EvaluateSettings()).gt
        if not (~gt.ignored()[:, 0]).any():
            raise UsageError(f"split {split}: no annotation has a box to judge by")
        runner = Runner(config.detector, config.predict, stated(config), trust_model=False)
        return Judge(config.name, split, shard, gt, class_names(shard.categories), runner)

    def annotations(self, part: str) -> pa.Table:
        """All, whatever they are compared for."""
        return self.shard.annotations

    def require_readable(self, model: Any) -> None:
        """Refuse a model that detray cannot run.

        Raises:
            UsageError: why not.
        """
        with _saved(model) as path:
            check_keras(replace(self.runner.detector, kind="keras"), str(path), trust_model=False)

    def detect(self, model: Any) -> pa.Table:
        """What a model that detray reads detects in the pictures."""
        with _saved(model) as path:
            return self.runner.detect(path, self, self.shard.images)

    def scored(self, detections: Given) -> ClassScores:
        """The AP of all classes; detections of other images or without a finite box and score take no part.

        Raises:
            UsageError: they are not such as `detray.given` takes.
        """
        found = arrays(columns(detections))
        known = np.isin(found["image_id"], self.shard.images["image_id"].to_numpy())
        finite = np.isfinite(found["bbox"]).all(axis=1) & np.isfinite(found["score"])
        left_out = {"of unknown images": int((~known).sum()), "not finite": int((known & ~finite).sum())}
        kept = _canonical(found).filter(pa.array(known & finite))
        return ClassScores(self.classes, class_scores(self.truth, kept, list(self.classes)).ap, left_out)


@contextmanager
def _saved(model: Any) -> Iterator[Path]:
    """A file of a Keras model, which errors call by its name alone."""
    with tempfile.TemporaryDirectory(prefix="detray-") as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        try:
            yield path
        except DetrayError as error:
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from None


def _canonical(columns: Mapping[str, NDArray]) -> pa.Table:
    """Columns of `given.arrays` as those of the table predictions."""
    sides = {side: columns["bbox"][:, place] for place, side in enumerate(SIDES)}
    ids = {name: columns[name] for name in ("image_id", "category_id")}
    return pa.table({**ids, **sides, "score": columns["score"], "rank": np.arange(1, len(columns["score"]) + 1)})
