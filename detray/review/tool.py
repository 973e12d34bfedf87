"""What a tool is: how an export is written for it, and how what comes back is read."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from detray.errors import UsageError
from detray.files import RECORD
from detray.review.answer import Answer
from detray.review.canvas import Canvas, Labels
from detray.review.key import Mark

Put = Callable[[str, Iterable[bytes]], None]
"""Writes a file of the export, by its name, piece by piece."""


@dataclass(frozen=True)
class Export:
    """What all files of an export share.

    Attributes:
        name: of its own, eight hexadecimal digits, the same for the same results.
        run: the configuration's name.
        classes: by split, what the tools call its classes.
        prefix: what stands before a picture's file_name where the tool looks for it, in place of its path.
        has_detections: whether canvases have a detector's boxes.
    """

    name: str
    run: str
    classes: Mapping[str, Labels]
    prefix: str | None = None
    has_detections: bool = False

    @property
    def labels(self) -> list[str]:
        """The classes of all splits."""
        return sorted({label for known in self.classes.values() for label in known.values()})

    def named(self, canvas: Canvas) -> str:
        """What a tool that finds pictures by name calls one."""
        return (self.prefix or "") + canvas.name

    def mark(self, number: int) -> str:
        return str(Mark(self.name, number))


class Tool(Protocol):
    """A program that people look at boxes with. ``name`` is how ``--to`` calls it."""

    name: str
    opening: str
    """How a person opens the files, and what they save: a line or more for the terminal."""
    by_share: bool
    """Whether it states boxes in shares of the picture, so that its size must be known."""
    with_detections: bool
    """Whether it shows the detector's boxes."""

    def picture(self, export: Export, canvas: Canvas) -> str:
        """What the tool calls a picture.

        Raises:
            UsageError: it cannot open it where it lies.
        """
        ...

    def write(self, export: Export, canvases: Iterable[Canvas], put: Put) -> None:
        """Write the files, split by split, in one pass over the canvases."""
        ...

    def recognises(self, path: str) -> bool:
        """Whether a file may be one that the tool saves."""
        ...

    def read(self, path: str) -> Iterator[Answer]:
        """The pictures of such a file.

        Raises:
            DetrayError: it cannot be read.
        """
        ...


def file_of(tool: str, export: Export, canvas: Canvas) -> str:
    """The file that a tool opens a picture from, or its address.

    Raises:
        UsageError: there is none.
    """
    if export.prefix is not None:
        return export.prefix + canvas.name
    if canvas.path is None:
        raise UsageError(f"{tool} opens pictures, and no image folder is known: state --pictures PREFIX")
    if canvas.path.startswith(RECORD):
        raise UsageError(
            f"{tool} opens pictures in files of their own, and these lie within TFRecords: write them to a folder, and"
            " state it with --pictures"
        )
    return canvas.path
