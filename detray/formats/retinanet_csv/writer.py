"""keras-retinanet's CSV written back. An image whose last box is dropped stays, as one without boxes."""

from collections.abc import Iterator, Mapping

from detray.changes import Change, Changes
from detray.formats.csv.rewriting import Fields, Writing, corner_fields, rewrite_lines, select_lines
from detray.formats.retinanet_csv.reader import CORNERS, NAMES


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its lines changed, piece by piece."""
    how = Writing(NAMES, NAMES[0], _values, has_header=False, keeps_images=True)
    return rewrite_lines(path, changes, how)


def select(path: str, taken: Mapping[str, bool]) -> Iterator[bytes]:
    """The lines of images that are taken."""
    return select_lines(path, taken, Writing(NAMES, NAMES[0], _values, has_header=False))


def _values(change: Change, was: Fields) -> dict[str, bytes]:
    values = corner_fields(change, was, CORNERS)
    if change.category_name is not None:
        values["class"] = change.category_name.encode()
    return values
