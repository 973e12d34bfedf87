"""The diagnoses and the label errors of some classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.diagnose.case import Case
from detray.diagnose.causes.output.max_detections import MaxDetections
from detray.diagnose.evidence.inputs import Inputs, TrainingSeen
from detray.diagnose.evidence.reference import HIGH_RECALL, Reference
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.split import Split
from detray.diagnose.evidence.unlabelled import LIKELY
from detray.diagnose.label_errors import label_errors
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import ClassCounts
from detray.diagnose.observation.observe import Observation
from detray.diagnose.rank import only, ranked, rows_of
from detray.diagnose.steps.look import ShardRows, rows_of_classes
from detray.diagnose.steps.work import Work
from detray.diagnose.weak import is_weak
from detray.flow.data import Data
from detray.flow.step import Keep, Output, Step
from detray.settings import parse_yaml
from detray.store import ShardKey

NAMED_BY = ["image_id", "annotation_row"]
"""What names an annotation where several source files number theirs alike."""


@dataclass(frozen=True)
class Judging:
    """What judging the classes of a split takes: counts as given and repaired, and what else is known."""

    work: Work
    given: ClassCounts
    repaired: ClassCounts
    faults: MappingFaults
    inputs: Inputs
    keys: tuple[ShardKey, ...]


@dataclass(frozen=True)
class SomeClasses:
    """Some classes, by rising id, and the rows of all shards as given and repaired, and of training pictures."""

    classes: tuple[int, ...]
    given: tuple[ShardRows, ...]
    repaired: tuple[ShardRows, ...]
    trained: tuple[ShardRows, ...] = ()


SHOWN = (
    *("ap", "ap50", "rank", "cause", "d_ap", "sentence", "remedy", "remedy_pipeline", "counter_test", "asks_to_tune"),
    "d_ap_is_ceiling",
)


class Shown(msgspec.Struct, frozen=True):
    """A row of the summary: a cause of a class, by rank."""

    name: str | None
    ap: float | None
    ap50: float | None
    rank: int
    cause: str
    d_ap: float | None
    sentence: str
    remedy: str
    pipeline: str | None = None
    counter_test: str | None = None
    asks_to_tune: bool = False
    is_ceiling: bool | None = None


def shown_of(rows: Iterable[dict[str, Any]]) -> list[Shown]:
    """What the summary shows of rows of ``diagnoses``."""
    found = [
        {"counter_test": None} | row | {"asks_to_tune": "tune" in parse_yaml(row["remedy_config"] or "{}", "remedy")}
        for row in rows
    ]
    return [Shown(row["category_name"], *(row[name] for name in SHOWN)) for row in found]


class Judged(msgspec.Struct, frozen=True):
    """What is said of some classes; how many of their labels are suspected, and are likelier wrong than right."""

    shown: list[Shown]
    suspects: int
    likely: int


def judge(known: Judging, task: SomeClasses) -> Output[Judged]:
    """Write the diagnoses and the label errors of some classes."""
    work = known.work
    rows = rows_of_classes(task.given, task.classes)
    given = Observation(*rows, known.given)
    if task.repaired != task.given:
        rows = rows_of_classes(task.repaired, task.classes)
    repaired = Observation(*rows, known.repaired)
    weak = [k for k in task.classes if k in work.weak]
    trained = _trained(known.inputs.trained, task.trained, weak)
    marks = {"split": work.split, "model": work.model}
    diagnoses = [
        marks | {"is_weak": is_weak(case.given.ap, case.given.ap50, work.settings)} | row
        for case in cases_of(given, repaired, known.faults, work.names, weak, known.inputs, work.not_working, trained)
        for answers in [only(case, MaxDetections()) if case.category in work.capped else ranked(case)]
        for row in rows_of(case, answers, work.pipeline)
    ]
    suspects = label_errors(*rows, known.repaired, work.names, run=work.run, split=work.split, model=work.model)
    found = schema.from_rows("diagnoses", diagnoses, run=work.run)
    named = with_files(work.data, suspects, known.keys)
    likely = pc.sum(pc.greater_equal(suspects["score"], LIKELY)).as_py() or 0
    facts = Judged(shown_of(diagnoses), suspects.num_rows, likely)
    if work.is_tested:  # counter-tests come first
        return Output(facts, {"label_errors": named}, {"diagnoses": found, "label_errors": named})
    return Output(facts, {"diagnoses": found, "label_errors": named})


JUDGE: Step[Judging, SomeClasses, Judged] = Step(
    "classes",
    judge,
    Judged,
    (Keep("diagnoses", schema.schema("diagnoses")), Keep("label_errors", schema.schema("label_errors"))),
)


def cases_of(
    given: Observation,
    repaired: Observation,
    faults: MappingFaults,
    names: Mapping[int, str],
    weak: Sequence[int],
    inputs: Inputs,
    not_working: Sequence[int] | None = None,
    trained: Mapping[int, ClassResult] | None = None,
) -> list[Case]:
    """The classes ``weak`` of observations as given and with the faults repaired.

    ``not_working`` are all weak ones, which are no reference; those of ``weak`` where not given. ``trained`` are
    classes on training pictures.
    """
    is_repaired = bool(faults.repairs) or faults.pairing is not None
    out = weak if not_working is None else not_working
    reference = Reference.of(repaired.counts, working_classes(repaired.counts, out, is_repaired=is_repaired))
    split = Split(names, given.counts, repaired.counts, reference, faults, inputs)
    cases = []
    for category in weak:
        before = _result(given, category)
        after = _result(repaired, category) if faults.touch(category) else before
        there = (trained or {}).get(category)
        cases.append(Case(category, given.counts.crowds.get(category, 0), before, after, split, there))
    return cases


def working_classes(counts: ClassCounts, weak: Sequence[int], *, is_repaired: bool) -> frozenset[int]:
    """Classes that are not weak; where faults were repaired, also those that find their boxes now."""
    found = {k for k, n in counts.boxes.items() if is_repaired and counts.hits.get(k, 0) >= HIGH_RECALL * n}
    return frozenset(counts.boxes) - frozenset(weak) | found


def _trained(
    seen: TrainingSeen | None, shards: tuple[ShardRows, ...], classes: Sequence[int]
) -> dict[int, ClassResult]:
    """The boxes and detections of some classes on training pictures, where these are looked at."""
    ids = {} if seen is None else {k: seen.ids[k] for k in classes if k in seen.ids}
    if seen is None or not ids or not shards:
        return {}
    found = Observation(*rows_of_classes(shards, sorted(ids.values())), seen.counts)
    return {k: _result(found, there) for k, there in ids.items()}


def _result(seen: Observation, category: int) -> ClassResult:
    boxes, found = seen.boxes, seen.detections
    return ClassResult(take(boxes, boxes.category == category), take(found, found.category == category))


def with_files(data: Data, suspects: pa.Table, keys: Sequence[ShardKey]) -> pa.Table:
    """The suspects with the file names of their images, and the source files of their annotations."""
    ids = pc.unique(suspects["image_id"])
    if not len(ids):
        return suspects

    def read(table: str, columns: Sequence[str]) -> pa.Table:
        parts = (data.read_range(table, key, columns) for key in keys)
        return pa.concat_tables([part.filter(pc.is_in(part["image_id"], value_set=ids)) for part in parts])

    named = suspects.select(NAMED_BY).append_column("place", pa.array(range(suspects.num_rows)))
    sources = (
        read("annotations", (*NAMED_BY, "source_file"))
        .group_by(NAMED_BY)
        .aggregate([("source_file", "min"), ("source_file", "max")])
    )
    pairs = named.join(sources, NAMED_BY).sort_by("place")
    is_one = pc.equal(pairs["source_file_min"], pairs["source_file_max"])
    columns = {
        "file_name": tables.lookup(
            suspects["image_id"], read("images", ("image_id", "file_name")), "image_id", "file_name"
        ),
        "source_file": pc.if_else(is_one, pairs["source_file_min"], None),
    }
    for name, values in columns.items():
        suspects = suspects.set_column(suspects.column_names.index(name), suspects.schema.field(name), values)
    return suspects
