"""TensorBoard's event files of a program: its losses, read without TensorBoard or TensorFlow."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detray.detectors.training.events import Event
from detray.errors import DetrayError
from detray.formats.tfrecord.records import map_file, records, spans
from detray.pipeline.fields import from_protobuf, message_class

CLASS_LOSS = ("classification_loss", "class_loss", "cls_loss")
BOX_LOSS = ("localization_loss", "box_loss", "regularization_free_box_loss")
"""In the names of curves: the Object Detection API's first, then what others call them."""
DEPTH = 4
"""Folders below the output in which event files are looked for."""


@dataclass
class Curves:
    """The last point of each curve whose name says that it is a loss, in the event files below a folder."""

    folder: Path
    last: dict[str, tuple[int, float]] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)

    def look(self) -> None:
        """Read what is new."""
        for file in event_files(self.folder):
            with suppress(DetrayError):  # gone meanwhile
                self._look_into(file)

    def _look_into(self, file: Path) -> None:
        data = map_file(str(file))
        start = self._read.get(file, 0)
        (span, *_) = spans(data[start:], len(data), len(data))
        for _, content in records(data[start:], span.start, span.end):
            for tag, step, value in _points(content or b""):
                self.last[tag] = (step, value)
        self._read[file] = start + span.end

    def loss(self, names: tuple[str, ...]) -> float | None:
        """The last value of the first curve that has one of some names."""
        found = (value for name in names for tag, (_, value) in sorted(self.last.items()) if name in tag.lower())
        return next(found, None)


def event_files(folder: Path) -> list[Path]:
    """Event files below a folder, in which others come and go."""
    found: list[Path] = []
    for place, below, names in os.walk(folder, followlinks=True):
        if len(Path(place).relative_to(folder).parts) == DEPTH - 1:
            below.clear()
        found += [Path(place, name) for name in names if "tfevents" in name]
    return sorted(file for file in found if file.is_file())


def _points(content: bytes) -> Iterator[tuple[str, int, float]]:
    from google.protobuf.message import DecodeError

    try:
        read: Any = message_class(Event).FromString(content)
    except DecodeError:
        return
    event: Event = from_protobuf(Event, read)
    for value in event.summary.value if event.summary is not None else ():
        if "loss" in value.tag.lower() and value.number is not None:
            yield value.tag, event.step, value.number
