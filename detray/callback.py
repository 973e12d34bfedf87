"""A Keras callback that evaluates each epoch class by class."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import pyarrow as pa

from detray import extras, schema
from detray.given import Given
from detray.judge import ClassScores, Judge
from detray.library import Source
from detray.store import Store
from detray.store.parts import encode

extras.require({"ClassTableCallback": ["keras"]})
import keras  # noqa: E402

Predict = Callable[[Any], Given]
"""From a Keras model to its detections in the validation pictures, with the ids of the validation annotations."""


class ClassTableCallback(keras.callbacks.Callback):
    """COCO's AP of every class after each epoch, of any Keras model.

    ::

        table = detray.ClassTableCallback("val.json", predict, parquet="out/epochs")
        stop = keras.callbacks.EarlyStopping("val_AP/Platelets", mode="max", patience=5)
        model.fit(data, epochs=50, callbacks=[table, stop])
        table.table.to_pandas()

    ``logs``, which the callbacks after it and the model's history see, get ``val_AP``, ``val_AP50`` and of each class
    with a box ``val_AP/NAME``. The numbers are those of `detray.evaluate`.

    Attributes:
        table: rows of the table history of the epochs so far, one for each epoch and class.
    """

    def __init__(
        self,
        truth: Source,
        predict: Predict | None = None,
        *,
        images: str | os.PathLike[str] | None = None,
        split: str = "val",
        prefix: str = "val_",
        every: int = 1,
        parquet: str | os.PathLike[str] | None = None,
        verbose: int = 1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Read the validation annotations.

        Args:
            truth: annotations: a file, a folder, or the dictionary that a COCO file holds.
            predict: is given the model and returns what it detects in the validation pictures. None: detray saves the
                model as a ``.keras`` file and runs that, as ``detray predict`` does, over the pictures.
            images: the folder of the pictures, where there is no ``predict``.
            split: of ``truth``, where it has several.
            prefix: of the names in ``logs``.
            every: so many epochs.
            parquet: a folder or URI that gets a Parquet file an epoch, with the columns of the table history; each
                training has a ``run_id`` of its own.
            verbose: 0: no line an epoch.
            settings: keys of the sections detector and predict by dotted name, where there is no ``predict``.

        Raises:
            DetrayError: the annotations cannot be read or have no boxes, or a setting is none.
        """
        super().__init__()
        self._judge = Judge.of(truth, images, split, settings, detects=predict is None)
        self._predict = predict or self._judge.detect
        self._is_ours = predict is None
        self._prefix, self._every, self._verbose = prefix, max(every, 1), verbose
        self._parquet = None if parquet is None else Store(os.fspath(parquet))
        self._run_id = uuid.uuid4().hex
        self.table = schema.empty("history")

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Another training: its rows are of another run_id. A model that detray cannot run is refused."""
        self._run_id = uuid.uuid4().hex
        if self._is_ours:
            self._judge.require_readable(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate, and put the figures into ``logs``."""
        if (epoch + 1) % self._every:
            return
        start = perf_counter()
        found = self._judge.scored(self._predict(self.model))
        seconds = perf_counter() - start
        rows = self._rows(found, epoch + 1, seconds)
        self.table = pa.concat_tables([self.table, rows])
        if self._parquet is not None:
            self._parquet.write_bytes(encode(rows), f"part-{self._run_id[:8]}-{epoch + 1:05d}.parquet")
        if logs is not None:
            logs.update({f"{self._prefix}{name}": value for name, value in found.logs().items()})
        if self._verbose:
            print(f"epoch {epoch + 1}: {found.line()}, {seconds:.1f} s", flush=True)

    def _rows(self, found: ClassScores, epoch: int, seconds: float) -> pa.Table:
        ids = list(found.names)
        columns: dict[str, object] = {
            "run_id": [self._run_id] * len(ids),
            "epoch": [epoch] * len(ids),
            "split": [self._judge.split] * len(ids),
            "category_id": ids,
            "category_name": list(found.names.values()),
            "ap": found.ap.mean(axis=1),
            "ap50": found.ap[:, 0],
            "seconds": [seconds] * len(ids),
        }
        return schema.from_columns("history", columns, run=self._judge.name)
