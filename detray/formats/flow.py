"""Ingest: annotation files of any format into the canonical tables images, annotations and categories.

*plan* divides each split into chunks, *read* keeps the rows of each sorted by image, *classes* gathers the
classes, *rank* counts the images of each range where a format has only names, *write* merges each range of
images from all chunks into a shard. The driver sees counts, sampled keys and names of classes.

What is counted as in: the images and boxes that the files state, and whatever could not be read as
one (a file, a record, a line, a class entry), which is quarantined. In is kept plus quarantined. An
image that is stated again, and what a list leaves out, is not counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from detray.errors import DetrayError
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.formats.label_map import LabelMap
from detray.formats.number import CLASSES, ClassNumbers, DataSet, first_images
from detray.formats.read import read_splits
from detray.formats.source import Source
from detray.formats.splits import ReadSplit, ranges
from detray.formats.write import WRITE, Numbered, Written

TABLES = ("images", "annotations", "categories")
_USUAL = ("info", "licenses")
"""What every COCO file has beside its lists."""
_COLUMNS = ("split", "format", "images", "boxes", "classes", "rows with defects", "quarantined")


def ingest(flow: Flow, sources: Sequence[Source], label_map: LabelMap | None, run: str) -> Outcome:
    """Read the splits of a data set and write its shards.

    Args:
        flow: of the stage ``ingest``.
        sources: the files of each split.
        label_map: numbers and names of classes that a person states.
        run: name of the run.

    Raises:
        DetrayError: a file cannot be read, or no split has a row.
    """
    data = DataSet(run, tuple(read_splits(flow, sources)))
    if not any(split.rows for split in data.splits):
        raise _empty(data.splits)
    shards = ranges(data.splits)
    classes = flow.reduce(CLASSES, data, label_map).facts
    work = Numbered(data, classes, first_images(flow, data, shards))
    written = flow.map(WRITE, work, {f"{item.index:05d}": item for item in shards}).facts
    return _outcome(data.splits, classes, written)


def _empty(splits: Sequence[ReadSplit]) -> DetrayError:
    stated = ", ".join(path for split in splits for path in split.source.annotations)
    why, lost = "", sum(split.lost for split in splits)
    if lost:
        parts = (found.quarantine for split in splits for found in split.chunks)
        first = next(part for part in parts if sum(part.rows)).read().slice(0, 1).to_pylist()[0]
        why = f": of what it holds nothing can be read, {lost} in all, the first {first['source_file']}"
        why += f", row {first['row']}" if first["row"] is not None else ""
        why += f": {first['detail'] or first['reason']}"
    return DetrayError(f"{stated}: the data set is empty{why}; check that the right files are named")


def _outcome(splits: Sequence[ReadSplit], classes: ClassNumbers, written: Sequence[Written]) -> Outcome:
    rows, kept, quarantined = [], 0, 0
    for split in splits:
        name = split.source.split
        own = [shard for shard in written if shard.shard.split == name]
        images, boxes = sum(one.shard.n_images for one in own), sum(one.shard.n_annotations for one in own)
        lost = split.lost + classes.unlisted.get(name, 0)
        defects = sum(shard.defects for shard in own)
        rows.append([name, split.source.format, images, boxes, classes.counts[name], defects, lost])
        kept, quarantined = kept + images + boxes, quarantined + lost
    # every row that a file states is kept or quarantined, save repeats of an image and what a list leaves out
    read = sum(split.rows + split.lost for split in splits) + sum(classes.unlisted.values())
    return Outcome(
        counts={"in": read - sum(shard.left for shard in written), "kept": kept, "quarantined": quarantined},
        facts={
            "shards": [asdict(shard.shard) for shard in written],
            "masks": {
                split.source.split: sum(one.masks for one in written if one.shard.split == split.source.split)
                for split in splits
            },
            "formats": {split.source.split: split.source.format for split in splits},
            "further": {split.source.split: split.further for split in splits},
        },
        summary=[Table("splits", _COLUMNS, rows)],
        notes=[
            *(note for split in splits for note in _notes(split)),
            *(f"{split}: {said}" for split, said in classes.shifted.items()),
        ],
    )


def _notes(split: ReadSplit) -> Iterator[str]:
    """What a person may miss in the tables of a split."""
    source = split.source
    further = [f"{key} ({count:,})" for key, count in sorted(split.further.items()) if key not in _USUAL]
    if further:
        yield f"{source.split}: not read, but counted: {', '.join(further)}"
    if source.images is None and source.format in ("open_images", "yolo"):
        yield (
            f"{source.split}: boxes are fractions of pictures, and no image folder is stated: they have no place and"
            f" size in pixels; state dataset.splits.{source.split}.images"
        )
