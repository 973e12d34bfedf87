"""The stage ``audit``: every rule on every shard, then what many rows have in common."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.audit import engine, findings, likeness, outliers, pictures, tally
from detray.audit.augmented import Trial
from detray.audit.catalogue import RULES
from detray.audit.class_stats import class_stats
from detray.audit.pictures import PictureView
from detray.audit.quarantine import unreadable
from detray.audit.roots import Conclusion
from detray.audit.rule import WARNING, Active, Suspects, activate
from detray.audit.rules import augmentation_drop, unreadable_annotation_file
from detray.audit.settings import AuditSettings
from detray.audit.summary import LabelMap, Summary
from detray.audit.tally import Tally
from detray.audit.view import ANNOTATION_COLUMNS
from detray.boxes import Reach
from detray.detectors.augment import Policy
from detray.detectors.catalogue import detector_kind, is_trainable
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.store import Json, ShardKey, Stage
from detray.tables import Shard
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config

KEYS_PER_BUCKET = 1_000_000
MAX_BUCKETS = 256
PICTURES_PER_TASK = 512
FINDINGS_ROWS = 128 * 1024
"""Rows of a part of the table findings, if no task found more."""
MAX_CLASSES_SHOWN = 40
FRACTIONAL = ("open_images", "yolo")
"""Formats whose boxes are fractions of pictures, and which do not state the pictures' sizes."""
TRAIN = "train"
MAX_TRIED = 500
"""Images of the training split that the augmentation is tried on."""


@dataclass(frozen=True)
class Work:
    """What every task needs; it crosses processes."""

    stage: Stage
    run: str
    settings: AuditSettings
    buckets: int
    reach: Reach | None
    policy: Policy
    tried_share: float

    @property
    def active(self) -> Active:
        return activate(RULES, self.settings.rules, self.settings.disable)

    def trial(self) -> Trial | None:
        """How the training augmentation is tried; None where there is none, or its rule does not run."""
        if self.policy == "none" or self.reach is None or augmentation_drop.RULE.code in self.settings.disable:
            return None
        from detray.detectors.augment import Augmentation  # imports Albumentations

        return Trial(Augmentation(self.policy), self.reach.input_width, self.reach.input_height, self.tried_share)

    def keep(self, name: str, raw: pa.Table, tables: Mapping[str, pa.Table] | None = None, **facts: Any) -> Json:
        """Keep a task's raw findings, if there are any, and their counts for the last steps; its receipt."""
        if raw.num_rows:
            self.stage.write_scratch(f"raw/{name}", raw)
            self.stage.write_scratch(f"groups/{name}", findings.group_counts(raw))
        return self.stage.write(name, tables or {}, {"raw": raw.num_rows} | facts)

    def divided(self, kind: str, name: str, number: int) -> pa.Table:
        """What a task kept for one bucket."""
        return self.stage.read_scratch(f"{kind}/{name}", batches=[number])

    def of_shard(self, kind: str, key: ShardKey, buckets: Sequence[int]) -> pa.Table:
        """What some buckets hold about one shard."""
        parts = [self.stage.read_scratch(f"{kind}/{number:03d}") for number in buckets]
        return pa.concat_tables([part.filter(pc.equal(part["shard"], key.name)) for part in parts])


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Audit the data set that ingest wrote."""
    config, store = context.config, context.store
    shards = store.shards()
    n_rows = sum(key.n_annotations + key.n_images for key in shards)
    reach = _reach(config)
    n_train = sum(key.n_images for key in shards if key.split == TRAIN)
    work = Work(
        stage,
        config.name,
        config.audit,
        buckets=min(max(ceil(n_rows / KEYS_PER_BUCKET), 1), MAX_BUCKETS),
        reach=reach,
        policy=config.train.augmentation if reach is not None else "none",
        tried_share=MAX_TRIED / max(n_train, 1),
    )
    active = work.active

    rows = {f"rows-{key.name}": key for key in shards}
    receipts = context.run_tasks("rules", partial(_examine, work), rows, done)
    stated = {split for split, settings in config.dataset.splits.items() if settings.images}
    pictured = {f"pictures-{key.name}": key for key in shards if key.split in stated}
    if pictured:
        slices = {name: (name, key, start) for key in pictured.values() for name, start in _slices(key)}
        context.run_tasks("pictures", partial(_decode, work), slices, done)
        receipts += context.run_tasks("picture rules", partial(_look, work), pictured, done)
    aside = {f"aside-{_part_number(part)}": part for part in store.files("quarantine", "ingest")}
    if aside:
        receipts += context.run_tasks("quarantine", partial(_read_aside, work), aside, done)
    names = ({key.name: key.split for key in shards}, tuple(key.name for key in pictured.values()))
    buckets = {f"merge-{number:03d}": number for number in range(work.buckets)}
    merged = context.run_tasks("merge", partial(_merge, work, *names), buckets, done)

    with context.timed("summary"):
        ingested = store.manifest("ingest") or {}
        data = Summary(
            _tallies(work, merged),
            store.read("categories"),
            _label_map(config),
            reach,
            formats=ingested.get("facts", {}).get("formats", {}),
        )
        for split, counted in data.tallies.items():
            stage.write_scratch(f"spread/{split}", outliers.spreads(counted))
        wanted = engine.suspects(data, active)
    collided, alike = _by_shard(merged, "collided"), _by_shard(merged, "alike")
    again = {f"again-{key.name}": (key, collided[key.name]) for key in shards}
    looked = context.run_tasks("second look", partial(_look_again, work, wanted), again, done)
    receipts += looked
    likened = {f"alike-{key.name}": (key, alike[key.name]) for key in pictured.values() if alike[key.name]}
    if likened:
        receipts += context.run_tasks("look-alikes", partial(_describe_alike, work), likened, done)

    with context.timed("summary"):
        raw = {receipt["shard"]: receipt["facts"]["raw"] for receipt in receipts if receipt["facts"]["raw"]}
        proof = [receipt["shard"] for receipt in looked if receipt["facts"]["evidence"]]
        data = replace(
            data,
            evidence=engine.merge_tallies(
                (again[name][0].split, stage.read_scratch(f"evidence/{name}")) for name in proof
            ),
            groups=findings.merge_groups(stage.read_scratch(f"groups/{name}") for name in sorted(raw)),
        )
        conclusion = engine.judge(data, active)
        stage.write_scratch("roots", findings.roots_table(conclusion.roots))
        statistics = class_stats(data, config.name)
        last = stage.write("summary", {"findings": conclusion.table(config.name), "class_stats": statistics})
    parts = {part: (part, names) for part, names in _parts(raw).items()}
    finished = context.run_tasks("findings", partial(_finish, work), parts, done)
    outcome = _outcome(conclusion, data.groups, statistics, bool(pictured))
    outcome.notes += _unmeasured(data.formats, stated)
    outcome.receipts = [*receipts, *finished, last]
    outcome.counts |= {"in": n_rows, "kept": n_rows, "quarantined": 0}
    return outcome


def _tallies(work: Work, merged: Sequence[Json]) -> dict[str, Tally]:
    """The tally of each split, from the buckets."""
    found: dict[str, list[pa.Table]] = {}
    for receipt in merged:
        for split in receipt["facts"]["splits"]:
            found.setdefault(split, []).append(work.stage.read_scratch(f"sum/{receipt['shard']}-{split}"))
    return {split: Tally(pa.concat_tables(parts)) for split, parts in found.items()}


def _by_shard(merged: Sequence[Json], kind: str) -> defaultdict[str, tuple[int, ...]]:
    """By shard: the buckets that hold something about it."""
    found: defaultdict[str, tuple[int, ...]] = defaultdict(tuple)
    for number, receipt in enumerate(merged):
        for shard in receipt["facts"][kind]:
            found[shard] += (number,)
    return found


def _parts(raw: Mapping[str, int]) -> dict[str, list[str]]:
    """The tasks whose findings make each part of the table: a few large parts rather than many small ones."""
    parts: dict[str, list[str]] = {}
    names: list[str] = []
    room = 0
    for name, rows in sorted(raw.items()):
        if rows > room:
            parts[f"findings-{len(parts):05d}"] = names = []
            room = FINDINGS_ROWS
        names.append(name)
        room -= rows
    return parts


def _reach(config: Config) -> Reach | None:
    """What the detector that this configuration trains can see; None where it trains none, or nobody asked for one."""
    trains = config.detector.path is None and is_trainable(config.detector) and TRAIN in config.dataset.splits
    if not trains or not config.audit.detector:
        return None
    reach = detector_kind(config.detector).reach
    return reach(config.detector) if reach is not None else None


def _label_map(config: Config) -> LabelMap | None:
    if config.dataset.label_map is None:
        return None
    found = read_label_map(stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map"))
    problems = tuple((one.line, f"{one.observed}; expected {one.expected}") for one in found.problems)
    return LabelMap(found.path, found.names, problems)


def _examine(work: Work, key: ShardKey) -> Json:
    name, stage = f"rows-{key.name}", work.stage
    trial = work.trial() if key.split == TRAIN else None
    found = engine.examine(_shard(work, key), work.active, work.reach, trial)
    stage.write_scratch(f"tally/{name}", engine.divide(found.tally, "category_id", work.buckets))
    stage.write_scratch(f"keys/{key.name}", engine.divide(found.keys, "key", work.buckets))
    return work.keep(name, found.raw)


def _shard(work: Work, key: ShardKey) -> Shard:
    return work.stage.store.read_shard(key, columns={"annotations": ANNOTATION_COLUMNS})


def _slices(key: ShardKey) -> list[tuple[str, int]]:
    """A shard's pictures, which cost far more than its rows, in tasks of their own: a name and the first image."""
    return [(f"decode-{key.name}-{start:07d}", start) for start in range(0, key.n_images, PICTURES_PER_TASK)]


def _decode(work: Work, task: tuple[str, ShardKey, int]) -> Json:
    name, key, start = task
    images = work.stage.store.read_shard(key, columns={"images": ["path"], "annotations": ["image_id"]}).images
    work.stage.write_scratch(f"stats/{name}", pictures.measure_all(images.slice(start, PICTURES_PER_TASK)))
    return work.stage.write(name, {})


def _look(work: Work, key: ShardKey) -> Json:
    name, stage = f"pictures-{key.name}", work.stage
    stats = [stage.read_scratch(f"stats/{part}") for part, _ in _slices(key)]
    view = PictureView(_shard(work, key), pa.concat_tables([pictures.STATS.empty_table(), *stats]).combine_chunks())
    found = engine.examine_pictures(view, work.active)
    stage.write_scratch(f"tally/{name}", engine.divide(found.tally, "category_id", work.buckets))
    stage.write_scratch(f"prints/{key.name}", engine.divide(found.prints, "key", work.buckets))
    return work.keep(name, found.raw, {"image_stats": pictures.image_stats(view, work.run)})


def _part_number(part: Json) -> str:
    number: str = part["file"].rpartition("-")[2].removesuffix(".parquet")
    return number


def _read_aside(work: Work, part: Json) -> Json:
    rows = work.stage.store.read_files([part], "quarantine")
    rule = unreadable_annotation_file.RULE
    is_active = rule.code not in work.settings.disable
    return work.keep(f"aside-{_part_number(part)}", unreadable(rule, rows if is_active else rows.slice(0, 0)))


def _merge(work: Work, shards: Mapping[str, str], pictured: Sequence[str], number: int) -> Json:
    """What all shards have of one bucket: the sums of their tallies, and what has equal keys.

    ``shards`` gives the split of each shard; of those ``pictured`` the pictures were looked at.
    """
    name, stage = f"merge-{number:03d}", work.stage
    tallied = [(shard, f"rows-{shard}") for shard in shards] + [(shard, f"pictures-{shard}") for shard in pictured]
    tallies = engine.merge_tallies((shards[shard], work.divided("tally", task, number)) for shard, task in tallied)
    for split, counted in tallies.items():
        stage.write_scratch(f"sum/{name}-{split}", counted.table)
    collisions = engine.collide((shard, split, work.divided("keys", shard, number)) for shard, split in shards.items())
    like = likeness.compare((shard, work.divided("prints", shard, number)) for shard in pictured)
    stage.write_scratch(f"collisions/{number:03d}", collisions)
    stage.write_scratch(f"like/{number:03d}", like)
    facts = {"collided": pc.unique(collisions["shard"]).to_pylist(), "alike": pc.unique(like["shard"]).to_pylist()}
    return stage.write(name, {}, facts | {"splits": list(tallies)})


def _look_again(work: Work, wanted: Sequence[Suspects], task: tuple[ShardKey, Sequence[int]]) -> Json:
    key, buckets = task
    name, stage, active = f"again-{key.name}", work.stage, work.active
    spread = stage.read_scratch(f"spread/{key.split}")
    raw, evidence = findings.RAW.empty_table(), tally.TALLY.empty_table()
    if (
        buckets
        or any(key.split in suspects for suspects in wanted)
        or outliers.may_be_any(Tally(stage.read_scratch(f"tally/rows-{key.name}")), spread, active)
    ):
        collisions = work.of_shard("collisions", key, buckets) if buckets else engine.COLLISIONS.empty_table()
        raw, evidence = engine.look_again(_shard(work, key), active, collisions, spread, wanted)
    if evidence.num_rows:
        stage.write_scratch(f"evidence/{name}", evidence)
    return work.keep(name, raw, evidence=bool(evidence.num_rows))


def _describe_alike(work: Work, task: tuple[ShardKey, Sequence[int]]) -> Json:
    key, buckets = task
    view = PictureView(_shard(work, key), pictures.STATS.empty_table())
    return work.keep(f"alike-{key.name}", likeness.describe(view, work.active, work.of_shard("like", key, buckets)))


def _finish(work: Work, task: tuple[str, Sequence[str]]) -> Json:
    part, names = task
    raw = pa.concat_tables([work.stage.read_scratch(f"raw/{name}") for name in names])
    return work.stage.write(part, {"findings": findings.with_roots(raw, work.stage.read_scratch("roots"), work.run)})


def _outcome(conclusion: Conclusion, groups: pa.Table, statistics: pa.Table, looked: bool) -> Old:
    """The summary: findings by rule, classes, and what was not checked."""
    findings_of: Counter[tuple[str, int]] = Counter()
    to_look_at: Counter[tuple[str, int]] = Counter()
    total: Counter[int] = Counter()
    heads = _heads(conclusion, groups)
    for group in groups.to_pylist():
        key = group["rule"], group["severity"]
        findings_of[key] += group["n"]
        to_look_at[key] += 0 if group["group"] in conclusion.roots else group["n"]
        total[group["severity"]] += group["n"]
    for row in conclusion.findings:
        key = row["rule"], row["severity"]
        findings_of[key] += row["finding_id"] not in heads
        to_look_at[key] += row.get("root_cause_id") is None
        total[row["severity"]] += 1
    by_rule = [
        [code, schema.SEVERITIES[severity], to_look_at[code, severity], findings_of[code, severity]]
        for code, severity in sorted(findings_of, key=lambda key: (-key[1], -findings_of[key], key[0]))
    ]
    by_severity = {schema.SEVERITIES[severity]: total[severity] for severity in sorted(total, reverse=True)}
    shown = _classes(statistics)
    notes = [] if looked else ["pictures not checked: no image folder is stated"]
    if statistics.num_rows > MAX_CLASSES_SHOWN:
        notes.append(f"{MAX_CLASSES_SHOWN} of {statistics.num_rows} classes shown; class_stats has all")
    return Old(
        [],
        counts={"findings": sum(total.values())},
        facts={
            "max_severity": max(total, default=None),
            "findings_by_severity": by_severity,
            "findings_by_rule": [
                dict(zip(("rule", "severity", "roots", "findings"), one, strict=True)) for one in by_rule
            ],
            "pictures_checked": looked,
        },
        summary=[
            Table("Findings by rule", ("rule", "severity", "to look at", "findings"), by_rule),
            Table("Classes", ("split", "class", "images", "boxes", "share", "median size px", "findings"), shown),
        ],
        notes=notes,
    )


def _unmeasured(formats: Mapping[str, str], pictured: Collection[str]) -> list[str]:
    """Splits whose boxes are fractions of pictures that are not at hand."""
    names = [name for name, kind in formats.items() if kind in FRACTIONAL and name not in pictured]
    said = "sizes and overlaps of boxes not judged: they are fractions of pictures whose size is unknown"
    return [f"{', '.join(names)}: {said}; state the image folder"] if names else []


def _heads(conclusion: Conclusion, groups: pa.Table) -> set[str]:
    """The findings that stand for others of their own rule, which are counted in their place."""
    rule_of = {row["finding_id"]: row["rule"] for row in conclusion.findings}
    children = [(group["rule"], conclusion.roots.get(group["group"])) for group in groups.to_pylist()]
    children += [(row["rule"], row.get("root_cause_id")) for row in conclusion.findings]
    return {root for rule, root in children if root is not None and rule_of.get(root) == rule}


def _classes(statistics: pa.Table) -> list[list[object]]:
    """Classes with the most findings of severity warning or more first."""
    rows = []
    for row in statistics.to_pylist():
        serious = sum(row[f"n_findings_{name}"] for name in schema.SEVERITIES[WARNING:])
        share = None if row["share"] is None else round(row["share"], 4)
        size = None if row["size_p50"] is None else round(row["size_p50"], 1)
        rows.append([row["split"], row["category_name"], row["n_images"], row["n_boxes"], share, size, serious])
    return sorted(rows, key=lambda row: (-row[6], -row[3], row[0], str(row[1])))[:MAX_CLASSES_SHOWN]


def _inputs(config: Config) -> Sequence[str]:
    """The picture folders: a picture that changes makes the audit stale."""
    root = stated_path(config.dataset.root, ".", "dataset.root", folder=True)
    stated = [(name, split.images) for name, split in config.dataset.splits.items() if split.images]
    return list(
        dict.fromkeys(stated_path(path, root, f"dataset.splits.{name}.images", folder=True) for name, path in stated)
    )


STAGE = StageDefinition(
    name="audit",
    tables=("findings", "class_stats", "image_stats"),
    sections=(
        "audit",
        "dataset",
        "detector.kind",
        "detector.path",
        "detector.input_width",
        "detector.input_height",
        "train.augmentation",
    ),
    old=run,
    needs=lambda config: ("ingest",),
    inputs=_inputs,
)
