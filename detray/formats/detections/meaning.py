"""What the class ids and names in a file of detections mean, settled before anything is scored."""

from dataclasses import dataclass

from detray.flow.data import Data, names_of
from detray.flow.flow import Flow
from detray.flow.step import Output, Step
from detray.formats.detections.file import DetectionsFile
from detray.meaning.hits import BOX_COLUMNS, Hits, count_hits
from detray.meaning.settle import Meaning, Stated, settle_file

ENOUGH_BOXES = 2000
"""Boxes after which no further shard is looked at."""


@dataclass(frozen=True)
class Compared:
    """A file, and the split whose boxes it is compared with."""

    data: Data
    split: str


def compare(work: Compared, file: DetectionsFile) -> Output[Hits]:
    """What those detections hit that do not name their class."""
    parts: list[Hits] = []
    for key in work.data.shards([work.split]):
        if sum(part.boxes for part in parts) < ENOUGH_BOXES:
            rows = file.of(key, unnamed=False)
            boxes = work.data.read_range("annotations", key, BOX_COLUMNS)
            parts.append(count_hits(boxes, rows.filter(rows["category_name"].is_null())))
    return Output(Hits.sum(parts))


COMPARE: Step[Compared, DetectionsFile, Hits] = Step("class-ids", compare, Hits, label="compare class ids")


def meaning_of(flow: Flow, path: str, file: DetectionsFile, split: str, stated: Stated, prefix: str = "") -> Meaning:
    """What class ids and names in a file of detections of ``split`` mean; ``prefix`` starts the task's key.

    Raises:
        UsageError, DetrayError: as `settle_file`.
    """

    def ask() -> Hits:
        return flow.reduce(COMPARE, Compared(flow.data, split), file, f"{prefix}{split}").facts

    return settle_file(path, file.names, names_of(flow.data, split), stated, ask)
