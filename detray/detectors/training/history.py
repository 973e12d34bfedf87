"""What each epoch of a training came to: kept in its workspace as it ends, then rows of the table history."""

from collections.abc import Sequence
from time import time
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from detray.arrays import Floats
from detray.detectors.settings import TrainSettings
from detray.detectors.training.events import Point, event, event_file
from detray.errors import UsageError
from detray.flow.epochs import epoch_file
from detray.flow.workspace import Workspace

if TYPE_CHECKING:
    from detray.detectors.training.loop import EpochResult, Learned

TRAIN, VAL = "train", "val"
"""The splits that are learnt from and judged on."""

Row = dict[str, Any]
"""Of the table history."""

EVENTS = "events.out.tfevents.0000000000.detray"
"""In the folder tensorboard: what TensorBoard reads."""


class Epoch(msgspec.Struct, frozen=True):
    """What is kept of an epoch: its rows, the first of them that of the training split, and when it ended."""

    rows: list[Row]
    ended: float


class Judge(Protocol):
    """Judges detections on the validation split."""

    @property
    def class_ids(self) -> Sequence[int]:
        """The classes that have a box there."""
        ...

    def __call__(self, detections: pa.Table, class_ids: Sequence[int]) -> Floats:
        """The AP of each class at each IoU threshold, the first of which is .5, ``[c, t]``; NaN without a box."""
        ...


class History:
    """The epochs of a training in ``workspace``, judged where there is a ``judge``; ``names`` of all classes by id.

    Raises:
        UsageError: a class that epochs are to be judged by has no box.
    """

    def __init__(
        self, workspace: Workspace, settings: TrainSettings, judge: Judge | None, names: dict[int, str]
    ) -> None:
        self._workspace, self._settings, self._judge, self._names = workspace, settings, judge, names
        self._is_told = False
        there = {names[number] for number in judge.class_ids} if judge else set(settings.focus)
        absent = [name for name in settings.focus if name not in there]
        if absent:
            raise UsageError(f"train.focus names {absent[0]}, of which the split {VAL} has no box to judge epochs by")

    def keep(self, result: "EpochResult") -> float | None:
        """Keep an epoch; how good it is, None where it is not judged."""
        fields = ("epoch", "loss", "class_loss", "box_loss", "learning_rate", "seconds")
        rows = [{"split": TRAIN} | {name: getattr(result, name) for name in fields}]
        if self._judge is not None and result.detections is not None:
            rows += _judged(self._judge, result.detections, result.epoch, self._names)
        self._workspace.write_json(epoch_file(result.epoch), Epoch(rows, time()))
        self._tell_tensorboard(result.epoch)
        return _score(rows, self._settings)

    def rows(self, learned: "Learned") -> list[Row]:
        """All rows of the table."""
        epochs = [self._epoch(number) for number in range(1, learned.epochs + 1)]
        return [row | {"is_kept": row["epoch"] == learned.epoch} for epoch in epochs for row in epoch.rows]

    def events(self, epochs: int) -> bytes:
        """TensorBoard's file of the first ``epochs``."""
        return event_file(_point(self._epoch(number)) for number in range(1, epochs + 1))

    def _epoch(self, number: int) -> Epoch:
        epoch = self._workspace.read_json(epoch_file(number), Epoch)
        if epoch is None:
            raise self._workspace.damaged(epoch_file(number), "gone")
        return epoch

    def _tell_tensorboard(self, number: int) -> None:
        """Add an epoch to a file on this machine that may be read meanwhile; the first one writes it anew."""
        if self._workspace.folder is None:
            return
        path = self._workspace.folder / "tensorboard" / EVENTS
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if self._is_told else "wb") as file:
            file.write(event(_point(self._epoch(number))) if self._is_told else self.events(number))
        self._is_told = True


def _score(rows: list[Row], settings: TrainSettings) -> float | None:
    judged = [row for row in rows if row["split"] == VAL and row[settings.best_by] is not None]
    found = [row[settings.best_by] for row in judged if not settings.focus or row["category_name"] in settings.focus]
    return sum(found) / len(found) if found else None


def _point(epoch: Epoch) -> Point:
    """An epoch as TensorBoard shows it: losses, rate, AP by class and their means."""
    first, *judged = epoch.rows
    names = ("loss", "class_loss", "box_loss", "learning_rate", "seconds")
    values = {f"{TRAIN}/{name}": float(first[name]) for name in names}
    for metric in ("ap", "ap50"):
        found = {row["category_name"]: row[metric] for row in judged if row[metric] is not None}
        values |= {f"{VAL}/{metric}/{name}": value for name, value in found.items()}
        if found:
            values[f"{VAL}/mean_{metric}"] = sum(found.values()) / len(found)
    return Point(first["epoch"], epoch.ended, values)


def _judged(judge: Judge, detections: pa.Table, epoch: int, names: dict[int, str]) -> list[Row]:
    """Rows of the table history, one for each class."""
    ids = sorted(names)
    return [
        {
            "epoch": epoch,
            "split": VAL,
            "category_id": number,
            "category_name": names[number],
            "ap": None if np.isnan(ap[0]) else float(ap.mean()),
            "ap50": None if np.isnan(ap[0]) else float(ap[0]),
        }
        for number, ap in zip(ids, judge(detections, ids), strict=True)
    ]


def described(content: bytes, before: bytes | None) -> str:
    """The rows of an epoch in words."""
    first, *judged = msgspec.json.decode(content, type=Epoch).rows
    found = [row["ap50"] for row in judged if row["ap50"] is not None]
    scores = f", mAP50 {sum(found) / len(found):.3f}" if found else ""
    return f"loss {first['loss']:.3f}{scores}, {first['seconds']:.1f} s"
