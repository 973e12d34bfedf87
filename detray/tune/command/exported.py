"""A program's exported model, run on the pictures that its trial is judged on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from detray.detectors.catalogue import recognise
from detray.detectors.inference import Inference
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.detectors.training.history import VAL
from detray.errors import DetrayError
from detray.meaning.hits import BOX_COLUMNS, Hits, count_hits
from detray.meaning.settle import Stated, settle_model
from detray.tune.command.reports import COLUMNS


class Known(Protocol):
    """What a model's class ids are compared with."""

    @property
    def classes(self) -> Mapping[int, str]:
        """category_id to name."""
        ...

    def annotations(self, part: str) -> pa.Table:
        """The boxes of a part of the data set."""
        ...


@dataclass(frozen=True)
class Runner:
    """How models are run: ``detector.io`` says what they do not tell, ``stated`` what a person says of class ids."""

    detector: DetectorSettings
    predict: PredictSettings
    stated: Stated
    trust_model: bool

    def detect(self, path: Path, listed: Known, images: pa.Table) -> pa.Table:
        """The detections of the model at ``path`` on some images, with the columns of an `EpochResult`.

        Raises:
            DetrayError: it cannot be run, or nobody can tell what its classes are.
        """
        recognised = recognise(str(path))
        if recognised is None:
            raise DetrayError(f"{path.name}: no model that detray runs")
        kind, place = recognised
        detector = replace(self.detector, kind=kind.name, path=place)
        loaded = kind.load(detector, place, self.predict, trust_model=self.trust_model)
        inference = Inference(loaded, {}, path.name, "", "tune", kind.batch_size(self.predict.batch_size), self.predict)
        found = inference.unnamed(images)
        layout = None if kind.read_layout is None else kind.read_layout(detector, place)

        def ask() -> Hits:
            return count_hits(listed.annotations(VAL).select(BOX_COLUMNS), found)

        base = None if layout is None else layout.class_base
        meaning = settle_model(place, dict(loaded.classes), listed.classes, self.stated, ask, base)
        return _meant(found, meaning.labels(listed.classes)).select(COLUMNS)


def _meant(found: pa.Table, labels: Mapping[int, tuple[int, str]]) -> pa.Table:
    """Detections with the data set's class ids; those of other classes are left out."""
    ids = found["category_id"].to_numpy()
    known = np.isin(ids, list(labels))
    meant = np.array([labels[number][0] for number in ids[known].tolist()], np.int64)
    found = found.filter(pa.array(known))
    return found.set_column(found.schema.get_field_index("category_id"), "category_id", pa.array(meant))
