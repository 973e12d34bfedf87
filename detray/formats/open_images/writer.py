"""Open Images CSV written back."""

from collections.abc import Iterator, Mapping

from detray.changes import Change, Changes
from detray.files import PICTURE_SUFFIXES
from detray.formats.csv.lines import header
from detray.formats.csv.rewriting import Fields, Writing, rewrite_lines, select_lines

_SIDES = ("XMin", "YMin", "XMax", "YMax")


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its lines changed, piece by piece."""
    return rewrite_lines(path, changes, Writing(header(path), "ImageID", _values, _name))


def select(path: str, taken: Mapping[str, bool]) -> Iterator[bytes]:
    """The lines of images that are taken."""
    return select_lines(path, taken, Writing(header(path), "ImageID", _values))


def _values(change: Change, was: Fields) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    if change.category_name is not None:
        values["LabelName"] = change.category_name.encode()
    if change.box is not None:
        x, y, width, height = change.box
        across, down = change.size or (1, 1)
        corners = x / across, y / down, (x + width) / across, (y + height) / down
        values |= {side: f"{corner:.12g}".encode() for side, corner in zip(_SIDES, corners, strict=True)}
    return values


def _name(change: Change, first: Fields) -> str:
    """With the suffix where the file names pictures so."""
    name = change.file_name or ""
    with_suffix = (
        first.get("ImageID", b"")
        .strip()
        .strip(b'"')
        .lower()
        .endswith(tuple(suffix.encode() for suffix in PICTURE_SUFFIXES))
    )
    return name if with_suffix else name.rpartition(".")[0]
