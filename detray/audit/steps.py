"""The steps of the audit: what each reads, which plain functions it calls, and what it keeps for later ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray.audit import collisions, drawn_twice, findings, likeness, pictures, tally
from detray.audit.augmented import Augment, Rehearsal
from detray.audit.catalogue import RULES
from detray.audit.collisions import COLLISIONS, KEYS
from detray.audit.drawings import BOXES
from detray.audit.drawings import PICTURES as PICTURES_DRAWN
from detray.audit.examine import examine, examine_pictures, look_again, needs_another_look
from detray.audit.findings import RAW
from detray.audit.likeness import LIKE, PRINTS
from detray.audit.pictures import STATS, PictureView
from detray.audit.quarantine import unreadable
from detray.audit.rule import Active, DrawnRule, Suspects, activate
from detray.audit.rules.schema import unreadable_annotation_file
from detray.audit.sentences import Said, said_of_rows
from detray.audit.settings import AuditSettings
from detray.audit.summary import GROUPS
from detray.audit.tally import TALLY, Tally
from detray.audit.view import ANNOTATION_COLUMNS, View
from detray.boxes import Reach
from detray.flow.data import Data
from detray.flow.exchange import Bucket
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step, Tables
from detray.pipeline.geometry import Resize
from detray.store import Json, ShardKey
from detray.tables import Shard

TRAIN = "train"
"""The split that the training augmentation is tried on."""

FOUND = (Keep("raw", RAW), Keep("groups", GROUPS))
"""What every step keeps that judges rows: its raw findings, and how many each group has."""


@dataclass(frozen=True)
class AuditWork:
    """What every task needs.

    Attributes:
        data: what ingest wrote.
        run: for the column run.
        settings: which rules judge.
        reach: what the configured detector sees.
        augment: makes the training augmentation; None: it is not tried.
        tried_share: the share of the training images that it is tried on.
        split_of: the split of each shard, by name.
        at_input: how a pipeline.config resizes pictures, where one is stated.
    """

    data: Data
    run: str
    settings: AuditSettings
    reach: Reach | None
    augment: Callable[[], Augment] | None
    tried_share: float
    split_of: Mapping[str, str]
    at_input: Resize | None = None

    @property
    def active(self) -> Active:
        """The rules that run."""
        return activate(RULES, self.settings.rules, self.settings.disable)

    def rehearsal(self) -> Rehearsal | None:
        """How the training augmentation is tried, if it is."""
        if self.augment is None or self.reach is None:
            return None
        return Rehearsal(self.augment(), self.reach.input_width, self.reach.input_height, self.tried_share)


def _found(raw: pa.Table, tables: Tables | None = None, **kept: pa.Table) -> Output[NoFacts]:
    return Output(NoFacts(), tables or {}, {"raw": raw, "groups": findings.group_counts(raw), **kept})


def _read(work: AuditWork, key: ShardKey) -> Tables:
    shard = work.data.read_shard(key, columns={"annotations": ANNOTATION_COLUMNS})
    return {"images": shard.images, "annotations": shard.annotations, "categories": shard.categories}


def _shard(split: str, tables: Tables) -> Shard:
    return Shard(split, tables["images"], tables["annotations"], tables["categories"])


def _examine_rows(work: AuditWork, shard: ShardKey, tables: Tables) -> Output[NoFacts]:
    rehearsal = work.rehearsal() if shard.split == TRAIN else None
    found = examine(_shard(shard.split, tables), work.active, work.reach, rehearsal, work.at_input)
    return _found(found.raw, tally=found.tally, keys=found.keys)


ROWS: Step[AuditWork, ShardKey, NoFacts] = Step(
    "rules",
    _examine_rows,
    NoFacts,
    (*FOUND, Keep("tally", TALLY, by="category_id"), Keep("keys", KEYS, by="key")),
    read=_read,
    streams=True,
)


@dataclass(frozen=True)
class PicturesTask:
    """Some images of a shard, whose pictures cost far more than its rows: from ``start`` up to ``end``."""

    shard: ShardKey
    start: int
    end: int

    @property
    def n_images(self) -> int:
        """How many images these are."""
        return self.end - self.start


def _read_paths(work: AuditWork, task: PicturesTask) -> Tables:
    columns = {"images": ["path", "file_name", "source_file"], "annotations": ["image_id"]}
    shard = work.data.read_shard(task.shard, columns=columns)
    return {"images": shard.images.slice(task.start, task.end - task.start)}


def _measure(work: AuditWork, task: PicturesTask, tables: Tables) -> Output[NoFacts]:
    return Output(NoFacts(), kept={"stats": pictures.measure_all(tables["images"])})


PICTURES: Step[AuditWork, PicturesTask, NoFacts] = Step(
    "pictures", _measure, NoFacts, (Keep("stats", STATS),), read=_read_paths, streams=True
)


@dataclass(frozen=True)
class ShardAndKept:
    """A shard, and the tables that earlier steps kept for it."""

    shard: ShardKey
    kept: Sequence[Kept]


def _read_pictured(work: AuditWork, task: ShardAndKept) -> Tables:
    stats = pa.concat_tables([STATS.empty_table(), *(part.read() for part in task.kept)]).combine_chunks()
    return {**_read(work, task.shard), "stats": stats}


def _examine_pictures(work: AuditWork, task: ShardAndKept, tables: Tables) -> Output[NoFacts]:
    view = PictureView(_shard(task.shard.split, tables), tables["stats"])
    found = examine_pictures(view, work.active)
    stats = pictures.image_stats(view, work.run)
    return _found(found.raw, {"image_stats": stats}, tally=found.tally, prints=found.prints)


PICTURE_RULES: Step[AuditWork, ShardAndKept, NoFacts] = Step(
    "picture-rules",
    _examine_pictures,
    NoFacts,
    (*FOUND, Keep("tally", TALLY, by="category_id"), Keep("prints", PRINTS, by="key")),
    read=_read_pictured,
    label="picture rules",
    streams=True,
)


def _read_aside(work: AuditWork, part: Json) -> Output[NoFacts]:
    return _found(unreadable(unreadable_annotation_file.RULE, work.data.read_files([part], "quarantine")))


QUARANTINE: Step[AuditWork, Json, NoFacts] = Step("quarantine", _read_aside, NoFacts, FOUND)


class Merged(msgspec.Struct, frozen=True):
    """What a bucket holds: sums of these splits' tallies, in their order, and something about these shards."""

    splits: list[str]
    collided: list[str]
    alike: list[str]


def _merge(work: AuditWork, bucket: Bucket) -> Output[Merged]:
    tallies = tally.merge((work.split_of[shard], part) for shard, part in bucket.of("tally"))
    collided = collisions.collide((shard, work.split_of[shard], part) for shard, part in bucket.of("keys"))
    like = likeness.compare(bucket.of("prints"))
    facts = Merged(list(tallies), *(pc.unique(found["shard"]).to_pylist() for found in (collided, like)))
    sums = [counted.table for counted in tallies.values()]
    return Output(facts, kept={"sums": sums, "collisions": collided, "like": like})


MERGE: Step[AuditWork, Bucket, Merged] = Step(
    "merge", _merge, Merged, (Keep("sums", TALLY), Keep("collisions", COLLISIONS), Keep("like", LIKE))
)


def _of_shard(parts: Sequence[Kept], name: str, empty: pa.Table) -> pa.Table:
    """What some buckets hold about one shard."""
    found = (part.read() for part in parts)
    return pa.concat_tables([empty, *(rows.filter(pc.equal(rows["shard"], name)) for rows in found)])


@dataclass(frozen=True)
class SecondWork:
    """What a second look needs: the spreads of each split's classes, and what each hypothesis rule suspects."""

    first: AuditWork
    spreads: Mapping[str, pa.Table]
    suspected: Sequence[Suspects]


@dataclass(frozen=True)
class SecondTask:
    """A shard, its own tally, and the buckets whose keys collide there."""

    shard: ShardKey
    tally: Kept
    collided: Sequence[Kept]


def _read_again(work: SecondWork, task: SecondTask) -> Tables:
    """The shard, if there is anything to look for."""
    split, active = task.shard.split, work.first.active
    is_suspect = task.collided or needs_another_look(
        split, active, Tally(task.tally.read()), work.spreads[split], work.suspected
    )
    return _read(work.first, task.shard) if is_suspect else {}


def _look_again(work: SecondWork, task: SecondTask, tables: Tables) -> Output[NoFacts]:
    if not tables:
        return _found(RAW.empty_table())
    split = task.shard.split
    collided = _of_shard(task.collided, task.shard.name, COLLISIONS.empty_table())
    shard = _shard(split, tables)
    raw, evidence = look_again(shard, work.first.active, collided, work.spreads[split], work.suspected)
    return _found(raw, evidence=evidence)


SECOND_LOOK: Step[SecondWork, SecondTask, NoFacts] = Step(
    "second-look",
    _look_again,
    NoFacts,
    (*FOUND, Keep("evidence", TALLY)),
    read=_read_again,
    label="second look",
    streams=True,
)


def _read_alike(work: AuditWork, task: ShardAndKept) -> Tables:
    return _read(work, task.shard)


def _describe_alike(work: AuditWork, task: ShardAndKept, tables: Tables) -> Output[NoFacts]:
    view, active = PictureView(_shard(task.shard.split, tables), STATS.empty_table()), work.active
    like = _of_shard(task.kept, task.shard.name, LIKE.empty_table())
    drawn = drawn_twice.of_look_alikes(view, like) if active.of(DrawnRule) else BOXES.empty_table()
    return _found(likeness.describe(view, active, like), drawn=drawn)


LOOK_ALIKES: Step[AuditWork, ShardAndKept, NoFacts] = Step(
    "look-alikes",
    _describe_alike,
    NoFacts,
    (*FOUND, Keep("drawn", BOXES, by="pair")),
    read=_read_alike,
    label="look-alikes",
    streams=True,
)


class Drawn(msgspec.Struct, frozen=True):
    """What a bucket tells of pictures that are drawn twice: sums for these two splits each, images of these shards."""

    splits: list[tuple[str, str]]
    shards: list[str]


def _compare_drawings(work: AuditWork, bucket: Bucket) -> Output[Drawn]:
    agreed, pictures = drawn_twice.compare_all(bucket.of("drawn"))
    facts = Drawn(list(agreed), pc.unique(pictures["shard"]).to_pylist())
    return Output(facts, kept={"sums": list(agreed.values()), "pictures": pictures})


DRAWINGS: Step[AuditWork, Bucket, Drawn] = Step(
    "drawings", _compare_drawings, Drawn, (Keep("sums", TALLY), Keep("pictures", PICTURES_DRAWN))
)


def _describe_drawn(work: AuditWork, task: ShardAndKept, tables: Tables) -> Output[NoFacts]:
    view = View(_shard(task.shard.split, tables))
    pictures = _of_shard(task.kept, task.shard.name, PICTURES_DRAWN.empty_table())
    return _found(drawn_twice.describe(view, work.active, pictures))


DRAWN_TWICE: Step[AuditWork, ShardAndKept, NoFacts] = Step(
    "drawn-twice", _describe_drawn, NoFacts, FOUND, read=_read_alike, label="drawn twice", streams=True
)


def _store(work: None, tables: Tables) -> Output[NoFacts]:
    return Output(NoFacts(), tables)


SUMMARY: Step[None, Tables, NoFacts] = Step("summary", _store, NoFacts)
"""Stores the tables that the flow made by itself."""


@dataclass(frozen=True)
class FindingsWork:
    """``roots`` of groups of raw findings, as `findings.roots_table`; ``run`` is for the column run."""

    roots: pa.Table
    run: str


def _finish(work: FindingsWork, raw: Sequence[Kept]) -> Output[Said]:
    rows = findings.with_roots(pa.concat_tables([part.read() for part in raw]), work.roots, work.run)
    return Output(said_of_rows(rows), {"findings": rows})


FINDINGS: Step[FindingsWork, Sequence[Kept], Said] = Step("findings", _finish, Said)
