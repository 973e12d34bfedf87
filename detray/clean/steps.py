"""The steps of a cleaning: each shard is corrected by itself. Where the data set is written as COCO it becomes pieces
of JSON text, which the last step strings together to one file a split; where it is written back in its own format the
edits go to the files that they are about. Nothing of the size of the data set is ever held.

Annotation ids stay as they are, those that collide too, unless ``renumber`` is among clean.actions:
other files may refer to them. In COCO files annotations without an id, as Pascal VOC has them, and those of a split
that is read from several files are numbered anew.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray import __version__
from detray.changes import CHANGES
from detray.clean import coco
from detray.clean.apply import apply
from detray.clean.back import Formats, changes_of
from detray.clean.decisions import Decision, Refused, decide
from detray.clean.edits import FreshIds, plan
from detray.clean.requests import FINDING_COLUMNS, count_additions
from detray.clean.rows import with_ids
from detray.clean.settings import CleanSettings
from detray.clean.shared import EXCHANGED, ROOTS, WHOLE, Roots
from detray.clean.writable import split_writable
from detray.flow.data import Data
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step
from detray.store import ShardKey
from detray.tables import Shard, own_classes

DATASET = "dataset.yaml"
PIECES = pa.schema([("text", pa.large_binary())])
MAX_KNOWN_ID = 1 << 62
"""Fresh ids start below it, so that they fit int64 whatever ids the data set has."""


@dataclass(frozen=True)
class Work:
    """What all tasks share.

    Attributes:
        suspects: the stage whose label errors are of the data as it now is, if there is one.
        roots: faults that many boxes share.
        formats: the data set's own files; None where all is written as COCO.
        decisions: what a person decided, by number.
    """

    data: Data
    settings: CleanSettings
    run: str
    suspects: str | None
    roots: Roots = field(default_factory=Roots)
    formats: Formats | None = None
    decisions: Mapping[int, Decision] = field(default_factory=dict)

    def label_errors(self, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        """Those of a shard."""
        files = self.data.files("label_errors", self.suspects) if self.suspects else []
        return self.data.read_files(
            [part for part in files if key.may_hold(part)], "label_errors", columns, key.filters()
        )


class Ids(msgspec.Struct, frozen=True):
    """The highest annotation id of a shard, 0 where none is positive, and how many boxes may be added to it."""

    highest: int
    additions: int


class EditCount(msgspec.Struct, frozen=True):
    """How many edits of one kind a shard has."""

    split: str
    category_name: str | None
    action: str
    reason: str
    count: int


class Corrected(msgspec.Struct, frozen=True):
    """What became of a shard; ``not_followed`` counts findings and label errors by reason, ``decided`` are the numbers
    of a person's decisions about it, and ``refused`` those of them that are not followed."""

    annotations_in: int
    annotations: int
    images: int
    quarantined: int
    segmentations_left_out: int
    edits: list[EditCount]
    not_followed: dict[str, int]
    decided: list[int]
    refused: list[Refused]


@dataclass(frozen=True)
class Correction:
    """A shard; ``anew``: all its annotations get new ids, as those of several files together are not unique;
    ``is_back``: its files are written back in their own format."""

    key: ShardKey
    fresh: FreshIds
    anew: bool
    is_back: bool = False


@dataclass(frozen=True)
class File:
    """The file of a split, and the pieces it is made of, shard by shard."""

    path: str
    split: str
    images: Sequence[Kept]
    annotations: Sequence[Kept]


def find_roots(data: Data) -> Roots:
    """What the audit found that many boxes share."""
    rules = [*WHOLE, EXCHANGED]
    found = data.read("findings", columns=[*ROOTS.names, "scope"], filters=[("rule", "in", rules)])
    found = found.filter(pc.invert(pc.is_in(found["scope"], value_set=pa.array(["annotation", "image"]))))
    ingest = data.manifest("ingest") or {}
    return Roots(found.select(ROOTS.names).cast(ROOTS), dict(ingest.get("facts", {}).get("formats", {})))


def count_ids(work: Work, key: ShardKey) -> Output[Ids]:
    """How far the ids of a shard go."""
    ids = work.data.read_shard(key, columns={"images": ["image_id"], "annotations": ["annotation_id"]}).annotations
    highest = pc.max(ids["annotation_id"]).as_py() or 0
    additions = 0
    if "add" in work.settings.actions:
        additions = count_additions(work.label_errors(key, ["kind", "score"]), work.settings)
    for found in work.decisions.values():
        about = found.about
        is_here = (key.low is None or key.low <= about.image_id) and (key.high is None or about.image_id < key.high)
        additions += is_here and about.split == key.split and found.decision == "accept" and about.action == "add"
    return Output(Ids(min(max(highest, 0), MAX_KNOWN_ID), additions))


def read(work: Work, task: Correction) -> dict[str, pa.Table]:
    """A shard, and what audit and diagnose say of it."""
    shard = work.data.read_shard(task.key)
    return {
        "images": shard.images,
        "annotations": shard.annotations,
        "categories": shard.categories,
        "findings": work.data.read_range("findings", task.key, FINDING_COLUMNS),
        "label_errors": work.label_errors(task.key),
    }


def correct(work: Work, task: Correction, found: Mapping[str, pa.Table]) -> Output[Corrected]:
    """Correct a shard: its edits go to the table, its images and annotations to pieces of the split's file."""
    whole = Shard(task.key.split, found["images"], found["annotations"], found["categories"])
    shard, quarantine = split_writable(whole, run=work.run)
    if not task.is_back:
        shard = replace(shard, annotations=with_ids(shard.annotations, task.fresh.rows, anew=task.anew))
    asked = (found["findings"], found["label_errors"])
    decided = decide(shard, work.decisions)
    planned = plan(shard, *asked, work.settings, task.fresh, run=work.run, roots=work.roots, decided=decided)
    edits = planned.edits
    tables: dict[str, pa.Table] = {"edits": edits}
    kept: dict[str, pa.Table | Sequence[pa.Table]]
    if task.is_back and work.formats is not None:  # what no COCO file can hold stays as it stands
        of_action = Counter(edits["action"].to_pylist())
        count, images, quarantined = whole.annotations.num_rows, whole.images.num_rows, 0
        count += of_action["add"] - of_action["drop"]
        kept = {"changes": changes_of(shard, edits, work.formats)}
    else:
        annotations = apply(shard.annotations, edits)
        count, images, quarantined = annotations.num_rows, shard.images.num_rows, quarantine.num_rows
        tables["quarantine"] = quarantine
        kept = {
            "images": _pieces(shard.images, coco.image_objects),
            "annotations": _pieces(annotations, coco.annotation_objects),
        }
    facts = Corrected(
        annotations_in=whole.annotations.num_rows,
        annotations=count,
        images=images,
        quarantined=quarantined,
        segmentations_left_out=planned.segmentations_left_out,
        edits=_count(edits),
        not_followed=dict(planned.not_followed),
        decided=decided.seen,
        refused=decided.refused,
    )
    return Output(facts, tables, kept)


def _count(edits: pa.Table) -> list[EditCount]:
    by = ["split", "category_name", "action", "reason"]
    counted = edits.group_by(by).aggregate([([], "count_all")])
    return [EditCount(*row.values()) for row in counted.select([*by, "count_all"]).to_pylist()]


def _pieces(rows: pa.Table, objects: Callable[[pa.Table], pa.ChunkedArray]) -> list[pa.Table]:
    return [pa.table({"text": [text]}, schema=PIECES) for text in coco.fragments(rows, objects)]


def write(work: Work, file: File) -> Output[NoFacts]:
    """String the pieces of a split together to one COCO file."""
    return Output(NoFacts(), files={file.path: _content(work, file)})


def _content(work: Work, file: File) -> Iterator[bytes]:
    categories = own_classes(work.data.read("categories", filters=[("split", "=", file.split)]))
    info = {"description": f"{work.run}, split {file.split}, corrected", "contributor": f"detray {__version__}"}
    yield b'{"info":' + msgspec.json.encode(info)
    yield b',\n"categories":['
    yield from _elements(coco.fragments(categories, coco.category_objects))
    yield b'],\n"images":['
    yield from _elements(_texts(file.images))
    yield b'],\n"annotations":['
    yield from _elements(_texts(file.annotations))
    yield b"]}\n"


def describe(work: Work, files: Mapping[str, str]) -> Output[NoFacts]:
    """Write the small files beside the data: its configuration, a label map."""
    return Output(NoFacts(), files={path: text.encode() for path, text in files.items()})


def _texts(pieces: Sequence[Kept]) -> Iterator[bytes]:
    for kept in pieces:
        for number in range(len(kept.rows)):
            yield from kept.batch(number).read()["text"].to_pylist()


def _elements(fragments: Iterable[bytes]) -> Iterator[bytes]:
    """The elements of a list, without the comma before the first."""
    first = True
    for fragment in fragments:
        yield fragment.removeprefix(b",") if first else fragment
        first = False


COUNT = Step[Work, ShardKey, Ids]("count", count_ids, Ids, label="count ids")
CORRECT = Step[Work, Correction, Corrected](
    "correct",
    correct,
    Corrected,
    (Keep("images", PIECES), Keep("annotations", PIECES), Keep("changes", CHANGES, by="file_key")),
    read=read,
    label="correct annotations",
    streams=True,
)
WRITE = Step[Work, File, NoFacts]("write", write, NoFacts, label="write files")
DESCRIBE = Step[Work, Mapping[str, str], NoFacts]("describe", describe, NoFacts, label="write files")
