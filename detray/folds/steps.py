"""The steps of the folds: who learns from what; a fold's training and its detections; suspects of some classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from detray import schema
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.flow import columns
from detray.detectors.training.history import History
from detray.diagnose.evidence.unlabelled import LIKELY
from detray.diagnose.label_errors import label_errors
from detray.diagnose.observation.counts import ClassCounts
from detray.diagnose.observation.image_set import read_detections
from detray.diagnose.steps.classes import with_files
from detray.diagnose.steps.look import ShardRows, rows_of_classes
from detray.diagnose.steps.sources import DETECTION_COLUMNS, DetectionSource
from detray.diagnose.steps.work import Work
from detray.errors import UsageError
from detray.evaluate.kernel import Detections
from detray.flow.data import Data, names_of
from detray.flow.kept import Kept
from detray.flow.step import Keep, Output, Step
from detray.flow.workspace import Workspace
from detray.folds.pictures import Pictures, own_ids
from detray.store import ShardKey
from detray.tables import numpy

FOLD = pa.schema([("fold", pa.int64())])
UNREAD = pa.schema([("split", pa.string()), ("image_id", pa.int64())])


@dataclass(frozen=True)
class FoldsWork:
    """Settings and data: pictures of ``splits`` in ``n`` folds. ``max_unreadable`` is the share of pictures that may be
    unreadable."""

    data: Data
    run: str
    splits: tuple[str, ...]
    n: int
    detector: DetectorSettings
    settings: TrainSettings
    max_unreadable: float

    @property
    def training(self) -> TrainSettings:
        """How each fold is trained: nothing is left to choose the best epoch by, so the last one is kept."""
        return structs.replace(self.settings, keep="last", patience=None, focus=(), export=None)


class Cut(msgspec.Struct, frozen=True):
    """How many pictures there are, how many of them have a copy, and the number in each fold."""

    pictures: int
    copies: int
    folds: list[int]


def cut(work: FoldsWork, task: None) -> Output[Cut]:
    """Share the pictures out; the fold of each is kept.

    Raises:
        UsageError: too few pictures, or too many of them alike, for so many folds.
    """
    pictures = Pictures.read(
        work.data, work.splits, {"images": _IMAGES, "annotations": ("image_id", "category_id", "is_crowd")}
    )
    fold, groups = pictures.folds(work.data, work.splits, work.n)
    sizes = np.bincount(fold, minlength=work.n)
    if not sizes.all():
        raise UsageError(
            f"clean.folds is {work.n}, and the {len(fold)} pictures, copies counted once, are"
            f" {len(np.unique(groups))}: at least one a fold is needed"
        )
    copies = int((np.bincount(groups)[groups] > 1).sum()) if len(groups) else 0
    return Output(Cut(len(fold), copies, sizes.tolist()), kept={"fold": pa.table({"fold": fold}, schema=FOLD)})


_IMAGES = ("split", "image_id", "file_name", "path")
CUT: Step[FoldsWork, None, Cut] = Step("cut", cut, Cut, (Keep("fold", FOLD),), label="cut folds")


@dataclass(frozen=True)
class Fold:
    """The fold that is left out: its number, the fold of each picture, and where epochs are kept."""

    number: int
    fold: Kept
    workspace: Workspace


class Told(msgspec.Struct, frozen=True):
    """Pictures of a fold that were judged, those that could not be read, and the detections in them."""

    images: int
    unread: int
    detections: int


@dataclass(frozen=True)
class Ready:
    """What a worker keeps: the table of all pictures."""

    work: FoldsWork
    pictures: Pictures

    @staticmethod
    def of(work: FoldsWork) -> "Ready":
        return Ready(work, Pictures.read(work.data, work.splits, columns(work.training)))


def tell(ready: Ready, task: Fold) -> Output[Told]:
    """Train on all folds but one, and detect in the pictures of that one."""
    from detray.detectors.data import load  # these read pictures and learn, which other verbs need not wait for
    from detray.detectors.training.loop import detections, train

    work, pictures = ready.work, ready.pictures
    is_judged = task.fold.read()["fold"].to_numpy() == task.number
    read = partial(
        load,
        detector=work.detector,
        classes=pictures.classes,
        run=work.run,
        stage="folds",
        max_unreadable=work.max_unreadable,
    )
    learned = train(
        read([pictures.shard(~is_judged)]),
        None,
        work.detector,
        work.training,
        pictures.classes,
        predict=PredictSettings(),
        on_epoch=History(task.workspace, work.training, None, {}).keep,
        checkpoint=task.workspace,
    )
    judged = read([pictures.shard(is_judged)])
    found = _predictions(work, pictures, detections(learned.model, judged))
    rows = judged.quarantine["image_id"]
    unread = pictures.images.take(rows).select(UNREAD.names).cast(UNREAD)
    named = judged.quarantine.column_names.index("image_id")
    quarantine = judged.quarantine.set_column(named, judged.quarantine.schema.field(named), unread["image_id"])
    quarantine = quarantine.set_column(
        quarantine.column_names.index("split"), quarantine.schema.field("split"), unread["split"]
    )
    return Output(
        Told(len(judged), unread.num_rows, found.num_rows),
        {"predictions": found, "quarantine": quarantine},
        {"found": found.select(_FOUND.names), "unread": unread},
    )


def _predictions(work: FoldsWork, pictures: Pictures, found: pa.Table) -> pa.Table:
    """Detections in pictures by number as rows of the table predictions, those of each split in order."""
    taken = pictures.images.take(found["image_id"])
    parts = [schema.empty("predictions")]
    for split in work.splits:
        mine = pc.equal(taken["split"], split)
        rows, names = found.filter(mine), names_of(work.data, split)
        ids = own_ids(names, pictures.classes)
        number = pc.index_in(rows["category_id"], value_set=pa.array(list(ids), pa.int64()))
        category = pa.array(list(ids.values()), pa.int64()).take(number.combine_chunks())
        own = {name: rows[name] for name in rows.column_names} | {
            "model": pa.repeat(pa.scalar(work.detector.kind), rows.num_rows),
            **{name: taken.filter(mine)[name] for name in ("split", "image_id", "file_name")},
            "category_id": category,
            "category_name": [names.get(one) for one in category.to_pylist()],
        }
        parts.append(schema.from_columns("predictions", _without(own, category.is_null()), run=work.run))
    return pa.concat_tables(parts)


def _without(rows: Mapping[str, object], which: pa.Array) -> dict[str, pa.ChunkedArray]:
    """Columns without the rows of a class that the split does not have."""
    kept = pa.table(dict(rows)).filter(pc.invert(which))
    return {name: kept[name] for name in kept.column_names}


_FOUND = pa.schema([schema.schema("predictions").field(name) for name in ("split", *DETECTION_COLUMNS)])
TELL: Step[FoldsWork, Fold, Told] = Step(
    "fold",
    tell,
    Told,
    (Keep("found", _FOUND), Keep("unread", UNREAD)),
    setup=Ready.of,
    label="train folds",
)
"""One after the other in each worker: a training takes all that its process has."""


@dataclass(frozen=True)
class FoldSource(DetectionSource):
    """The detections of all folds in a split's pictures."""

    found: tuple[Kept, ...] = ()
    unread: tuple[Kept, ...] = ()

    def of(self, key: ShardKey) -> Detections:
        """Those of a shard's images."""
        parts = [_within(kept.read(), key) for kept in self.found]
        return read_detections(pa.concat_tables([_FOUND.empty_table(), *parts]))

    def unseen(self, key: ShardKey) -> pa.ChunkedArray:
        """The images of a shard that could not be read."""
        parts = [_within(kept.read(), key) for kept in self.unread]
        return pa.concat_tables([UNREAD.empty_table(), *parts])["image_id"]


def _within(rows: pa.Table, key: ShardKey) -> pa.Table:
    ids = numpy(rows, "image_id")
    own = np.asarray(pc.equal(rows["split"], key.split).to_numpy())
    own &= (ids >= (-np.inf if key.low is None else key.low)) & (ids < (np.inf if key.high is None else key.high))
    return rows.filter(pa.array(own))


@dataclass(frozen=True)
class Suspecting:
    """What suspecting labels of a split takes: the counts of all its shards, and these."""

    work: Work
    counts: ClassCounts
    keys: tuple[ShardKey, ...]


@dataclass(frozen=True)
class SomeClasses:
    """Some classes, by rising id, and the rows of all shards."""

    classes: tuple[int, ...]
    shards: tuple[ShardRows, ...]


class SuspectCount(msgspec.Struct, frozen=True):
    """How many labels of a class are suspected of an error, and are likelier wrong than right."""

    split: str
    category_name: str | None
    kind: str
    suspects: int
    likely: int


class Suspected(msgspec.Struct, frozen=True):
    """The suspects of some classes."""

    counts: list[SuspectCount]


def suspect(known: Suspecting, task: SomeClasses) -> Output[Suspected]:
    """Write the label errors of some classes."""
    work = known.work
    rows = rows_of_classes(task.shards, task.classes)
    found = label_errors(*rows, known.counts, work.names, run=work.run, split=work.split, model=work.model)
    return Output(Suspected(_counted(found)), {"label_errors": with_files(work.data, found, known.keys)})


def _counted(found: pa.Table) -> list[SuspectCount]:
    likely = pc.cast(pc.greater_equal(found["score"], LIKELY), pa.int64())
    by: Sequence[str] = ("split", "category_name", "kind")
    counted = found.append_column("likely", likely).group_by(list(by)).aggregate([([], "count_all"), ("likely", "sum")])
    return [SuspectCount(*row.values()) for row in counted.select([*by, "count_all", "likely_sum"]).to_pylist()]


SUSPECT: Step[Suspecting, SomeClasses, Suspected] = Step("suspects", suspect, Suspected, label="suspect labels")
