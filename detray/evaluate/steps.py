"""The steps of the evaluation.

*match* matches the detections of a piece of a shard and keeps what the metrics need, sorted by class;
*classes* reads the rows of some classes from all pieces; *images* counts the errors of each image at the
scores found; *ranks* puts images in order; *summary* puts a split together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Ints
from detray.evaluate.against import OtherPredictions
from detray.evaluate.open_images import Rules
from detray.evaluate.protocol import Protocol, protocol_of
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.annotation_ids import AnnotationIds, count_ids
from detray.evaluate.shard.area_counts import AreaCounts, count_areas
from detray.evaluate.shard.box_counts import BoxCounts, count_boxes
from detray.evaluate.shard.confusion import CONFUSION
from detray.evaluate.shard.image_labels import NEGATIVE, NOT_EXHAUSTIVE, image_classes
from detray.evaluate.shard.inputs import TRUTH_COLUMNS
from detray.evaluate.shard.matches import BOXES, DETECTIONS, REPAIRS, ShardMatches, match_shard
from detray.evaluate.shard.repeated_ids import as_pycocotools, rows_of_split
from detray.evaluate.shard.slice_columns import TABLES, Slice, Survey, columns_of, survey
from detray.evaluate.shard.slices import SLICED_BOXES, SLICED_DETECTIONS
from detray.evaluate.shard.sources import SOURCES, source_hashes, told_sources
from detray.evaluate.summary import ClassesShown, CocoNumbers, Line, coco_numbers, of_classes, worst_images
from detray.evaluate.tables import images as image_table
from detray.evaluate.tables.classes import ClassRows
from detray.evaluate.tables.comparisons import Gain, comparison_table, mean_gain
from detray.evaluate.tables.metrics import class_numbers, class_tables
from detray.evaluate.tables.names import Names, frequencies
from detray.evaluate.tables.slices import slice_table
from detray.evaluate.tables.summary import confusion_table, summary_metrics
from detray.flow.account import Account
from detray.flow.data import Data, unseen_images
from detray.flow.kept import Kept
from detray.flow.pieces import Piece
from detray.flow.step import Keep, Output, Step, Tables
from detray.store import ShardKey
from detray.tables import Shard

UNSEEN = "unseen"
UNSEEN_IMAGES = "images whose pictures could not be read"
UNSEEN_BOXES = "annotations of images whose pictures could not be read"
"""What is left out for it."""
BATCH_ROWS = 4096
"""Rows of a table sorted by class that are read in one go."""
REDUCED = (
    Keep("detections", DETECTIONS, batch_rows=BATCH_ROWS),
    Keep("boxes", BOXES, batch_rows=BATCH_ROWS),
    Keep("repairs", REPAIRS, batch_rows=BATCH_ROWS),
)
SLICED = (
    Keep("sliced_detections", SLICED_DETECTIONS, batch_rows=BATCH_ROWS),
    Keep("sliced_boxes", SLICED_BOXES, batch_rows=BATCH_ROWS),
)


@dataclass(frozen=True)
class Work:
    """What all tasks share; ``other`` is the name of the model that is compared."""

    data: Data
    run: str
    model: str
    settings: EvaluateSettings
    slices: tuple[Slice, ...] = ()
    other: str | None = None
    rules: Mapping[str, Rules] = field(default_factory=dict)
    records: bool = False
    """The images are records of TFRecord files."""
    marks: bool = False
    """Marks among the attributes of boxes are looked for."""
    repeated: tuple[Kept, ...] = ()
    """What stands in the place of annotations that share their ids, of `repeats.repeated_ids`."""

    @property
    def protocol(self) -> Protocol:
        """What the settings ask for."""
        return protocol_of(self.settings)

    def names(self, split: str) -> Names:
        """What the rows of a split share."""
        categories = self.data.read("categories", filters=[("split", "=", split)])
        return Names(self.run, split, self.model, tables.class_names(categories), frequencies(categories))

    def boxes(self, shard: Shard) -> Shard:
        """A shard with the boxes that are evaluated: its own, or those that pycocotools takes for them."""
        repeated = rows_of_split([kept.read() for kept in self.repeated], shard.split)
        if repeated is None:
            return shard
        return replace(shard, annotations=as_pycocotools(shard.annotations, shard.images, repeated))

    def columns(self) -> dict[str, list[str]]:
        """The columns of each table that matching reads."""
        masks = ["segmentation"] if self.settings.iou_type == "segm" else []
        labels = ["attributes"] if self.settings.protocol in ("lvis", "open_images") else []
        if self.records:
            labels = ["attributes"]
        groups = ["attributes"] if self.settings.protocol == "open_images" or self.marks else []
        wanted = {
            "images": ["image_id", "file_name", *(["width", "height"] if masks else []), *labels],
            "annotations": [*TRUTH_COLUMNS, "annotation_row", *masks, *groups],
            "predictions": ["image_id", "category_id", "x", "y", "width", "height", "score", "rank", *masks],
        }
        for chosen in self.slices:
            if chosen.table is not None:
                wanted[chosen.table] += columns_of(chosen.table, [chosen.name])
        return {table: list(dict.fromkeys(columns)) for table, columns in wanted.items()}


@dataclass(frozen=True)
class OtherWork:
    """What tasks about the other model share: as for the first one, and its predictions."""

    work: Work
    predictions: OtherPredictions


class PartOfSplit(msgspec.Struct, frozen=True):
    """What a task says that is about one split."""

    split: str


# which columns slice


def look_for_slices(work: Work, key: ShardKey) -> Output[Survey]:
    """What a shard tells of the columns that slice."""
    names = work.settings.slices
    images, annotations = (work.data.read_range(table, key, columns_of(table, names)) for table in TABLES)
    return Output(survey(images, annotations, names))


COLUMNS: Step[Work, ShardKey, Survey] = Step("columns", look_for_slices, Survey, label="find slices")


# match


class Matched(PartOfSplit, frozen=True):
    """What became of the detections of a piece.

    Attributes:
        detections: that are scored.
        left_out: rows that take no part, by reason.
        beyond: boxes that the cap on detections alone loses, by class.
        ids: of classes with detections or boxes, rising.
        held: rows of each of these in the kept tables that are sorted by class.
        account: of the rows of a file.
        annotation_ids: of the boxes, for what pycocotools makes of them.
        boxes: how many, and their flags; ``areas``: their sizes by stated area and by sides.
        labelled: images that say for which classes they were looked through, where the protocol is LVIS's.
    """

    detections: int
    left_out: dict[str, int]
    beyond: dict[int, int]
    ids: list[int]
    held: dict[str, list[int]]
    account: Account
    annotation_ids: AnnotationIds = AnnotationIds()
    labelled: int = 0
    boxes: BoxCounts = BoxCounts()
    areas: AreaCounts = AreaCounts()


def read_piece(work: Work, piece: Piece) -> Tables:
    """The tables of a piece, and the images that the detector has not seen."""
    columns, key = work.columns(), piece.key(work.data)
    found = work.boxes(piece.read(work.data, columns))
    return {
        UNSEEN: unseen_images(work.data, key),
        "images": found.images,
        "annotations": found.annotations,
        "categories": found.categories,
        "predictions": work.data.read_range("predictions", key, columns["predictions"]),
    }


def match_piece(work: Work, piece: Piece, rows: Tables) -> Output[Matched]:
    """Match the detections of a piece: the match table, and what the steps that follow need."""
    given = Shard(piece.shard.split, **{name: table for name, table in rows.items() if name != UNSEEN})
    shard = given.without(rows[UNSEEN]["image_id"])
    found = match_shard(shard, work.settings, work.slices, work.rules.get(shard.split), run=work.run, model=work.model)
    found.left_out.update(_left_out(given, shard))
    kept = {"confusion": found.confusion}
    kept["sources"] = source_hashes(shard.images) if work.records else SOURCES.empty_table()
    output = match_facts(piece, found, (*REDUCED, *SLICED), {"matches": found.matches}, kept)
    labelled = 0
    if work.settings.protocol == "lvis":
        labelled = len(image_classes(shard.images, (*NEGATIVE, *NOT_EXHAUSTIVE)).stated)
    ids = count_ids(shard.annotations)
    about = {"annotation_ids": ids, "labelled": labelled, "boxes": count_boxes(shard.annotations)}
    about["areas"] = count_areas(shard.annotations, work.protocol)
    return replace(output, facts=msgspec.structs.replace(output.facts, **about))


def _left_out(given: Shard, seen: Shard) -> dict[str, int]:
    """What is not judged since the detector could not look at it; nothing where it has seen all."""
    lost = (given.images.num_rows - seen.images.num_rows, given.annotations.num_rows - seen.annotations.num_rows)
    return dict(zip((UNSEEN_IMAGES, UNSEEN_BOXES), lost, strict=True)) if lost[0] else {}


def match_other(other: OtherWork, piece: Piece) -> Output[Matched]:
    """Match the other model's detections of a piece."""
    work = other.work
    predictions, quarantine, account = other.predictions.of(work.data, piece)
    given = replace(work.boxes(piece.read(work.data, work.columns())), predictions=predictions)
    shard = given.without(unseen_images(work.data, piece.key(work.data))["image_id"])
    found = match_shard(shard, work.settings, rules=work.rules.get(shard.split), run=work.run, model=work.model)
    return match_facts(piece, found, REDUCED, {"quarantine": quarantine}, {}, account)


def match_facts(
    piece: Piece,
    found: ShardMatches,
    keeps: Sequence[Keep],
    written: Tables = MappingProxyType({}),
    kept: Tables = MappingProxyType({}),
    account: Account | None = None,
) -> Output[Matched]:
    """The output of a piece that is matched: its rows by class, and what they come to."""
    by_class = {keep.name: getattr(found, keep.name) for keep in keeps}
    columns = {name: tables.numpy(rows, "category_id") for name, rows in by_class.items()}
    classes = np.union1d(columns["detections"], columns["boxes"])
    held = {
        name: (np.searchsorted(column, classes, side="right") - np.searchsorted(column, classes)).tolist()
        for name, column in columns.items()
    }
    n = found.detections.num_rows
    facts = Matched(
        piece.shard.split,
        n,
        found.left_out,
        found.beyond,
        classes.tolist(),
        held,
        account or Account(),
    )
    return Output(facts, written, by_class | dict(kept))


MATCH: Step[Work, Piece, Matched] = Step(
    "match",
    match_piece,
    Matched,
    (*REDUCED, *SLICED, Keep("confusion", CONFUSION), Keep("sources", SOURCES)),
    read_piece,
    streams=True,
)
OTHER: Step[OtherWork, Piece, Matched] = Step("other", match_other, Matched, REDUCED, label="match other", streams=True)


# classes


@dataclass(frozen=True)
class Held:
    """The rows of some classes in a table that each of several pieces kept, sorted by class."""

    kept: Sequence[Kept]
    """By piece; tasks share it."""
    ends: Ints
    """``[pieces, 2]`` the first row of these classes, and the end."""

    def read(self) -> pa.Table:
        """These rows; no others are read but in whole batches."""
        ends = self.ends.tolist()
        return pa.concat_tables([kept.slice(low, high) for kept, (low, high) in zip(self.kept, ends, strict=True)])


@dataclass(frozen=True)
class ClassGroup:
    """Some classes of a split, by rising id, and their rows by table, of either model."""

    split: str
    ids: tuple[int, ...]
    held: Mapping[str, Held]
    other: Mapping[str, Held]


class ClassesReduced(PartOfSplit, frozen=True):
    """Some classes of a split: how many, and what the summary may show of them."""

    n_classes: int
    shown: ClassesShown


def reduce_classes(work: Work, group: ClassGroup) -> Output[ClassesReduced]:
    """The tables about some classes, from the rows of all pieces."""
    ids, names, protocol = np.array(group.ids, np.int64), work.names(group.split), work.protocol
    rows = {name: held.read() for name, held in group.held.items()}
    found = class_tables(ClassRows.of(ids, protocol, *(rows[keep.name] for keep in REDUCED)), names, work.settings)
    written = {
        "class_metrics": found.class_metrics,
        "pr_curves": found.pr_curves,
        "errors": found.errors,
        "slices": slice_table(rows["sliced_detections"], rows["sliced_boxes"], names, protocol),
    }
    every = found.class_metrics.filter(pc.equal(found.class_metrics["area_range"], "all"))
    thresholds = pa.table([every[name] for name in image_table.THRESHOLDS.names], schema=image_table.THRESHOLDS)
    kept = {"numbers": found.numbers, "thresholds": thresholds}
    compared = schema.empty("comparisons")
    if work.other is not None:
        others = ClassRows.of(ids, protocol, *(group.other[keep.name].read() for keep in REDUCED))
        kept["other_numbers"] = class_numbers(others, names, work.settings)
        compared = comparison_table(found.numbers, kept["other_numbers"], names, work.other, protocol.main)
    shown = of_classes(found.class_metrics, found.errors, written["slices"], compared)
    return Output(ClassesReduced(group.split, len(ids), shown), written | {"comparisons": compared}, kept)


CLASSES: Step[Work, ClassGroup, ClassesReduced] = Step(
    "classes",
    reduce_classes,
    ClassesReduced,
    (Keep("numbers"), Keep("thresholds", image_table.THRESHOLDS), Keep("other_numbers")),
)


# images


@dataclass(frozen=True)
class Counting:
    """A piece whose images are counted, and the scores of its split's classes at which they are."""

    piece: Piece
    detections: Kept
    boxes: Kept
    thresholds: Sequence[Kept]


class ImagesCounted(PartOfSplit, frozen=True):
    """How many images of a piece have how many errors."""

    histogram: image_table.Histogram


def count_images(work: Work, task: Counting) -> Output[ImagesCounted]:
    """Count the errors of images at the scores found for the classes."""
    split, key = task.piece.shard.split, task.piece.key(work.data)
    images = work.data.read_range("images", key, ("image_id", "file_name"))
    unseen = unseen_images(work.data, key)["image_id"]
    rows, histogram = image_table.image_rows(
        images.filter(pc.invert(pc.is_in(images["image_id"], value_set=unseen))),
        work.names(split),
        task.detections.read(image_table.DETECTION_COLUMNS),
        task.boxes.read(image_table.BOX_COLUMNS),
        pa.concat_tables([kept.read() for kept in task.thresholds]),
        work.protocol.bit50,
    )
    return Output(ImagesCounted(split, histogram), kept={"images": rows})


IMAGES: Step[Work, Counting, ImagesCounted] = Step("images", count_images, ImagesCounted, (Keep("images"),))


@dataclass(frozen=True)
class Ranking:
    """Counted images of a split, and the rank of the first with each number of errors."""

    split: str
    counted: Kept
    first: image_table.Histogram


class ImagesRanked(PartOfSplit, frozen=True):
    """The worst images of some."""

    worst: list[Line]


def rank_images(work: Work, task: Ranking) -> Output[ImagesRanked]:
    """The rows of ``image_metrics``: counted images with their ranks in the split."""
    rows = image_table.ranked(task.counted.read(), task.first)
    return Output(ImagesRanked(task.split, worst_images(rows)), {"image_metrics": rows})


RANKS: Step[Work, Ranking, ImagesRanked] = Step("ranks", rank_images, ImagesRanked)


# summary


@dataclass(frozen=True)
class WholeSplit:
    """What all pieces and all groups of classes of a split kept."""

    split: str
    confusion: Sequence[Kept]
    sources: Sequence[Kept]
    numbers: Sequence[Kept]
    other_numbers: Sequence[Kept]


class SplitSummary(PartOfSplit, frozen=True):
    """The numbers of a split for each model, what the other one gains, and what there is to say of its records."""

    numbers: list[CocoNumbers]
    gain: Gain | None
    told: list[str]


def summarise(work: Work, whole: WholeSplit) -> Output[SplitSummary]:
    """Put a split together."""
    names = work.names(whole.split)
    numbers = pa.concat_tables([kept.read() for kept in whole.numbers])
    found = summary_metrics(numbers, names, work.protocol)
    shown, gain = [coco_numbers(work.model, found)], None
    if work.other is not None:
        other_numbers = pa.concat_tables([kept.read() for kept in whole.other_numbers])
        shown.append(coco_numbers(work.other, summary_metrics(other_numbers, names, work.protocol)))
        gain = mean_gain(numbers, other_numbers, work.protocol.main)
    confusion = confusion_table([kept.read() for kept in whole.confusion], names, work.settings)
    told = told_sources(whole.split, [kept.read() for kept in whole.sources])
    return Output(SplitSummary(whole.split, shown, gain, told), {"summary_metrics": found, "confusion": confusion})


SUMMARY: Step[Work, WholeSplit, SplitSummary] = Step("summary", summarise, SplitSummary)
