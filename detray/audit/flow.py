"""The audit: every rule on every shard, then what many rows have in common.

1. Each shard by itself: rules on rows, a tally, and keys for what may collide with other shards; then its
   pictures, and what ingest set aside.
2. An exchange by class and key: tallies are summed, and keys that stand in any shards more than once are found.
3. What the sums ask of a second look: rows that collide or lie far out, and evidence for hypotheses.
4. Judgement on classes, splits and the data set, and the roots of what many rows share; then the raw findings
   are stored with these.

Between 3 and 4 the boxes of pictures that look alike meet in an exchange of their own: what one picture's two drawings
agree on.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.audit import ceiling, findings, outliers, roots, steps, tally
from detray.audit.augmented import Augment
from detray.audit.class_stats import class_stats
from detray.audit.examine import suspects
from detray.audit.outcome import outcome
from detray.audit.pipeline import StatedPipeline
from detray.audit.rule import Active
from detray.audit.rules.pipeline import augmentation_drop
from detray.audit.rules.schema import unreadable_annotation_file
from detray.audit.settings import AuditSettings
from detray.audit.steps import TRAIN, AuditWork, Drawn, Merged
from detray.audit.summary import StatedLabelMap, Summary
from detray.audit.tally import Tally
from detray.boxes import Reach
from detray.flow.flow import Flow, Results
from detray.flow.kept import Kept
from detray.flow.outcome import Outcome
from detray.flow.step import NoFacts
from detray.store import ShardKey

KEYS_PER_BUCKET = 1_000_000
MAX_BUCKETS = 256
PICTURES_PER_TASK = 512
TASKS_PER_WORKER = 4
"""Tasks that few pictures are cut into for each worker, so that all are done at about the same time."""

FINDINGS_ROWS = 128 * 1024
"""Rows of a part of the table findings, if no task found more."""

MAX_TRIED = 500
"""Images of the training split that the augmentation is tried on."""

OfBucket = TypeVar("OfBucket", bound=msgspec.Struct)


@dataclass(frozen=True)
class AuditInputs:
    """What the audit is given beside the data set.

    Attributes:
        run: for the column run.
        settings: which rules judge.
        label_map: the one that is stated.
        reach: what the detector can see that this configuration trains; None: it trains none, or nobody asked.
        augment: makes the training augmentation; None where it loses no boxes.
        formats: of each split's files, where it is known.
        masks: how many each split's files hold, where it is known.
        pictured: splits whose pictures are at hand: in a stated folder, or in the annotation files.
        pipeline: the pipeline.config that the model is trained with, if one is stated.
    """

    run: str = "audit"
    settings: AuditSettings = field(default_factory=AuditSettings)
    label_map: StatedLabelMap | None = None
    reach: Reach | None = None
    augment: Callable[[], Augment] | None = None
    formats: Mapping[str, str] = field(default_factory=dict)
    masks: Mapping[str, int] = field(default_factory=dict)
    pictured: Collection[str] = ()
    pipeline: StatedPipeline | None = None


def audit(flow: Flow, inputs: AuditInputs) -> Outcome:
    """Audit a data set.

    Raises:
        UsageError: the settings name a rule or threshold that does not exist, or a value out of its range.
    """
    shards = {key.name: key for key in flow.data.shards()}
    n_rows = sum(key.n_annotations + key.n_images for key in shards.values())
    buckets = min(max(ceil(n_rows / KEYS_PER_BUCKET), 1), MAX_BUCKETS)
    work = _work(flow, inputs, list(shards.values()))
    active = work.active  # settings that no rule has are refused before anything runs

    rows = flow.map(steps.ROWS, work, shards, buckets=buckets)
    pictured = {name: key for name, key in shards.items() if key.split in inputs.pictured}
    pictures = _look_at_pictures(flow, work, pictured, buckets)
    aside = _read_quarantine(flow, work)
    parts = {
        "tally": [*rows.kept("tally").items(), *pictures.kept("tally").items()],
        "keys": list(rows.kept("keys").items()),
        "prints": list(pictures.kept("prints").items()),
    }
    merged = flow.exchange(steps.MERGE, work, parts, buckets)

    with flow.timed("summary"):
        data = Summary(
            _tallies(merged),
            flow.data.read("categories"),
            inputs.label_map,
            inputs.reach,
            formats=inputs.formats,
            pipeline=inputs.pipeline,
            masks=inputs.masks,
        )
        spreads = {split: outliers.spreads(counted) for split, counted in data.tallies.items()}
        second_work = steps.SecondWork(work, spreads, suspects(data, active))
    collided = _by_shard(merged, "collisions", lambda facts: facts.collided)
    tasks = {name: steps.SecondTask(key, rows[name]["tally"], collided.get(name, ())) for name, key in shards.items()}
    second = flow.map(steps.SECOND_LOOK, second_work, tasks)
    like = _by_shard(merged, "like", lambda facts: facts.alike)
    alike = flow.map(
        steps.LOOK_ALIKES,
        work,
        {name: steps.ShardAndKept(shards[name], found) for name, found in like.items()},
        buckets=buckets,
    )
    compared = _compare_drawings(flow, work, alike, buckets)
    drawn = _by_shard(compared, "pictures", lambda facts: facts.shards)
    twice = flow.map(
        steps.DRAWN_TWICE, work, {name: steps.ShardAndKept(shards[name], found) for name, found in drawn.items()}
    )
    evidence = ((shards[name].split, kept) for name, kept in second.kept("evidence").items() if any(kept.rows))
    data = replace(
        data,
        evidence=tally.merge((split, kept.read()) for split, kept in evidence),
        drawn=tally.merge(_agreed(data, compared)),
    )
    return _conclude(flow, inputs, data, active, (second, alike, twice, aside, pictures, rows))


def _work(flow: Flow, inputs: AuditInputs, shards: Sequence[ShardKey]) -> AuditWork:
    n_train = sum(key.n_images for key in shards if key.split == TRAIN)
    is_tried = inputs.reach is not None and augmentation_drop.RULE.code not in inputs.settings.disable
    return AuditWork(
        flow.data,
        inputs.run,
        inputs.settings,
        inputs.reach,
        inputs.augment if is_tried else None,
        tried_share=MAX_TRIED / max(n_train, 1),
        split_of={key.name: key.split for key in shards},
        at_input=inputs.pipeline.resize if inputs.pipeline is not None else None,
    )


def _look_at_pictures(flow: Flow, work: AuditWork, shards: Mapping[str, ShardKey], buckets: int) -> Results[NoFacts]:
    """Measure the pictures of some shards, and judge them shard by shard."""
    n = sum(key.n_images for key in shards.values())
    size = min(PICTURES_PER_TASK, max(ceil(n / (TASKS_PER_WORKER * flow.workers)), 1))
    slices = {
        name: {
            f"{name}-{start:07d}-{end:07d}": steps.PicturesTask(key, start, end)
            for start in range(0, key.n_images, size)
            for end in [min(start + size, key.n_images)]
        }
        for name, key in shards.items()
    }
    measured = flow.map(steps.PICTURES, work, {key: task for own in slices.values() for key, task in own.items()})
    tasks = {
        name: steps.ShardAndKept(shards[name], [measured[key]["stats"] for key in own]) for name, own in slices.items()
    }
    return flow.map(steps.PICTURE_RULES, work, tasks, buckets=buckets)


def _read_quarantine(flow: Flow, work: AuditWork) -> Results[NoFacts]:
    """Judge what ingest set aside."""
    is_active = unreadable_annotation_file.RULE.code not in work.settings.disable
    parts = flow.data.files("quarantine", "ingest") if is_active else []
    return flow.map(steps.QUARANTINE, work, {f"{place:05d}": part for place, part in enumerate(parts)})


def _tallies(merged: Results[Merged]) -> dict[str, Tally]:
    """The tally of each split, from the buckets."""
    found: dict[str, list[pa.Table]] = {}
    for result in merged.values():
        for place, split in enumerate(result.facts.splits):
            found.setdefault(split, []).append(result["sums"].batch(place).read())
    return {split: Tally(pa.concat_tables(parts)) for split, parts in found.items()}


def _compare_drawings(flow: Flow, work: AuditWork, alike: Results[NoFacts], buckets: int) -> Results[Drawn]:
    """Bring together the boxes of pictures that look alike, if there are any."""
    boxes = [(name, kept) for name, kept in alike.kept("drawn").items() if any(kept.rows)]
    return flow.exchange(steps.DRAWINGS, work, {"drawn": boxes}, buckets) if boxes else Results({})


def _agreed(data: Summary, compared: Results[Drawn]) -> Iterator[tuple[tuple[str, str], pa.Table]]:
    """What drawings of one picture agree on, those of annotators in the tallies of their split, by both splits."""
    for split, counted in data.tallies.items():
        yield (split, split), counted.table.filter(pc.starts_with(counted.table["measure"], "drawn:"))
    for result in compared.values():
        for place, splits in enumerate(result.facts.splits):
            yield splits, result["sums"].batch(place).read()


def _by_shard(
    merged: Results[OfBucket], name: str, shards_of: Callable[[OfBucket], Sequence[str]]
) -> dict[str, list[Kept]]:
    """By shard: the kept tables ``name`` of the buckets that hold something about it."""
    found: dict[str, list[Kept]] = {}
    for result in merged.values():
        for shard in shards_of(result.facts):
            found.setdefault(shard, []).append(result[name])
    return found


def _conclude(
    flow: Flow, inputs: AuditInputs, data: Summary, active: Active, judged: Sequence[Results[NoFacts]]
) -> Outcome:
    """Judge by the summary, and store all findings; ``judged`` are the steps that kept raw ones."""
    with flow.timed("summary"):
        groups = findings.merge_groups(kept.read() for step in judged for kept in step.kept("groups").values())
        data = replace(data, groups=groups)
        conclusion = roots.judge(data, active)
        statistics = class_stats(data, inputs.run)
        twice = schema.from_rows("drawn_twice", list(ceiling.rows(data, conclusion.drawn)), run=inputs.run)
    tables = {"findings": conclusion.table(inputs.run), "class_stats": statistics, "drawn_twice": twice}
    flow.reduce(steps.SUMMARY, None, tables)
    work = steps.FindingsWork(findings.roots_table(conclusion.roots), inputs.run)
    raw = _parts([kept for step in judged for kept in step.kept("raw").values()])
    said = flow.map(steps.FINDINGS, work, {f"{place:05d}": part for place, part in enumerate(raw)}).facts
    shards = flow.data.shards()
    return outcome(
        conclusion,
        groups,
        statistics,
        said,
        n_rows=sum(key.n_annotations + key.n_images for key in shards),
        formats=inputs.formats,
        pictured=inputs.pictured,
        looked=any(key.split in inputs.pictured for key in shards),
        pipeline=inputs.pipeline,
    )


def _parts(raw: Sequence[Kept]) -> list[list[Kept]]:
    """What makes each part of the table findings: a few large parts rather than many small ones."""
    parts: list[list[Kept]] = []
    room = 0
    for found in raw:
        rows = sum(found.rows)
        if not rows:
            continue
        if rows > room:
            parts.append([])
            room = FINDINGS_ROWS
        parts[-1].append(found)
        room -= rows
    return parts
