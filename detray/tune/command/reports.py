"""What a program has written of an epoch: detections, or a model that makes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints
from detray.detectors.catalogue import recognise
from detray.errors import DetrayError
from detray.formats.detections.rows import read_all
from detray.tables import numpy

DETECTIONS = re.compile(r"detections-(\d+)\.json")
MODEL = re.compile(r"model-(\d+)(\.\w+)?")
MAX_BYTES = 2 << 30
"""Of a file of detections, which is read at once: some twenty million."""
COLUMNS = ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")


@dataclass
class Reports:
    """The reports below a program's output, each once and by their numbers, of epochs or steps; ``kind``: detections
    or models."""

    folder: Path
    kind: str
    _seen: dict[int, Path] = field(default_factory=dict)

    def new(self) -> list[tuple[int, Path]]:
        """Those that were not there before and come after them."""
        pattern = DETECTIONS if self.kind == "detections" else MODEL
        found = {
            int(match[1]): path
            for path in self.folder.iterdir()
            if (match := pattern.fullmatch(path.name)) and (pattern is DETECTIONS or recognise(str(path)))
        }
        last = max(self._seen, default=-1)
        return sorted((number, path) for number, path in found.items() if number > last)

    def take(self, number: int, path: Path) -> int:
        """See that one was read; which it is, from 1."""
        self._seen[number] = path
        return len(self._seen)

    def number(self, epoch: int) -> int:
        """The number of an epoch's report."""
        return list(self._seen)[epoch - 1]

    def require_kept(self, epoch: int) -> None:
        """Refuse to go by an epoch whose report is gone.

        Raises:
            DetrayError: naming it.
        """
        if not (path := self._seen[self.number(epoch)]).exists():
            raise DetrayError(f"{path.name}, the epoch that is kept, is gone; what is reported must stay in {{output}}")

    def model(self, epoch: int) -> Path | None:
        """The model of an epoch, if there is one."""
        number = self.number(epoch)
        if self.kind == "models":
            return self._seen[number]
        found = ((MODEL.fullmatch(path.name), path) for path in sorted(self.folder.iterdir()))
        return next((path for match, path in found if match and int(match[1]) == number), None)


def read_detections(path: Path, classes: Mapping[int, str]) -> pa.Table:
    """A file of detections, with the columns of an `EpochResult`; classes by id or by name.

    Raises:
        DetrayError: it is none, is larger than `MAX_BYTES`, or some of its numbers are not finite.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise DetrayError(f"{path.name}: larger than {MAX_BYTES >> 30} GiB; write only the best of each picture")
    raw = read_all(path)
    ids = pc.index_in(raw["category_name"], value_set=pa.array(list(classes.values()), pa.string()))
    by_name = pa.array(list(classes), pa.int64()).take(ids.combine_chunks())
    raw = raw.set_column(
        raw.schema.get_field_index("category_id"), "category_id", pc.coalesce(raw["category_id"], by_name)
    )
    found = raw.select(COLUMNS)
    for name in COLUMNS:
        if lacking := found[name].null_count:
            raise DetrayError(f"{path.name}: {name} is no finite number in {lacking} of {len(found)} detections")
    return found


def require_known(found: pa.Table, images: Ints, name: str) -> None:
    """Refuse detections on other pictures than those to detect on.

    Raises:
        DetrayError: naming one.
    """
    strange = np.setdiff1d(numpy(found, "image_id"), images)
    if len(strange):
        raise DetrayError(f"{name}: the image_id {strange[0]} is none of the pictures to detect on")
