"""What is known of a tuning while it runs: rows in Parquet at once, and curves for TensorBoard.

Below the stage's ``_partial/work/trials``: ``trial_class_metrics/*.parquet``, a file for each epoch of a trial, and
``tensorboard/TRIAL``. Both go with the commit, which has the whole table and the same curves.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from detray import schema
from detray.detectors.training.events import Point, event, event_file
from detray.detectors.training.history import EVENTS
from detray.tune.bench import Bench

if TYPE_CHECKING:
    from detray.tune.trial import Epoch

TABLE, CURVES = "trial_class_metrics", "tensorboard"


def epoch_rows(bench: Bench, trial_id: str, number: int, epoch: "Epoch", *, is_kept: bool) -> list[dict[str, Any]]:
    """Rows of the table trial_class_metrics, one for each class."""
    return [
        {
            "trial_id": trial_id,
            "epoch": number,
            "is_kept": is_kept,
            "category_id": category,
            "category_name": bench.classes[category],
            "ap": ap,
            "ap50": ap50,
            "ap75": ap75,
            "class_loss": epoch.class_loss,
            "box_loss": epoch.box_loss,
            "seconds": epoch.seconds,
        }
        for category, ap, ap50, ap75 in zip(bench.class_ids, epoch.ap, epoch.ap50, epoch.ap75, strict=True)
    ]


def write(bench: Bench, trial_id: str, number: int, epoch: "Epoch") -> None:
    """An epoch for readers: which of a trial is kept nobody knows yet."""
    rows = schema.from_rows(TABLE, epoch_rows(bench, trial_id, number, epoch, is_kept=False), run=bench.run)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    place = bench.workspace.below(TABLE)
    place.store.write_bytes(sink.getvalue().to_pybytes(), *place.place, f"{trial_id}-{number:05d}.parquet")
    if (folder := bench.workspace.folder) is not None:
        file = folder / CURVES / trial_id / EVENTS
        file.parent.mkdir(parents=True, exist_ok=True)
        is_new = not file.exists()
        with file.open("ab") as stream:
            stream.write((event_file if is_new else _events)([point(bench, number, epoch)]))


def _events(points: Sequence[Point]) -> bytes:
    return b"".join(map(event, points))


def point(bench: Bench, number: int, epoch: "Epoch") -> Point:
    """An epoch as TensorBoard shows it: losses, and AP by class and of the focus classes."""
    losses = {"train/class_loss": epoch.class_loss, "train/box_loss": epoch.box_loss}
    values = {name: value for name, value in losses.items() if value is not None}
    for metric, found in (("ap", epoch.ap), ("ap50", epoch.ap50)):
        known = [(category, value) for category, value in zip(bench.class_ids, found, strict=True) if value is not None]
        values |= {f"val/{metric}/{bench.classes[category]}": value for category, value in known}
        focus = [value for category, value in known if category in bench.focus]
        if focus:
            values[f"val/focus_{metric}"] = sum(focus) / len(focus)
    return Point(number, epoch.ended, values)
