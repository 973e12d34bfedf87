"""The CSV of the TensorFlow tutorials written back.

An image whose last box is dropped is in it no more: the tools that read it want a box in each line.
"""

from collections.abc import Iterator, Mapping

from detray.changes import Change, Changes
from detray.formats.csv.lines import header
from detray.formats.csv.rewriting import Fields, Writing, corner_fields, rewrite_lines, select_lines

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its lines changed, piece by piece."""
    return rewrite_lines(path, changes, Writing(header(path), "filename", _values))


def select(path: str, taken: Mapping[str, bool]) -> Iterator[bytes]:
    """The lines of images that are taken."""
    return select_lines(path, taken, Writing(header(path), "filename", _values))


def _values(change: Change, was: Fields) -> dict[str, bytes]:
    values = corner_fields(change, was, _CORNERS)
    if change.category_name is not None:
        values["class"] = change.category_name.encode()
    if not was and change.size is not None:
        values |= {side: b"%d" % length for side, length in zip(("width", "height"), change.size, strict=True)}
    return values
