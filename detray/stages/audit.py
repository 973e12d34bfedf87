"""The stage ``audit``: every rule on every shard, then what many rows have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

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
from detray.audit.summary import LabelMap, Reach, Summary
from detray.detectors import anchors
from detray.detectors.augment import Policy
from detray.formats.label_map import read_label_map
from detray.formats.resolve import stated_path
from detray.stages.base import Context, Outcome, StageDefinition, Table
from detray.stages.config import Config
from detray.store import Json, ShardKey, Stage

KEYS_PER_BUCKET = 1_000_000
MAX_BUCKETS = 256
MAX_CLASSES_SHOWN = 40
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

    def keep(self, name: str, raw: pa.Table) -> Json:
        """Keep a task's raw findings and their counts for the last steps; its receipt."""
        self.stage.write_scratch(f"raw/{name}", raw)
        self.stage.write_scratch(f"groups/{name}", findings.group_counts(raw))
        return self.stage.write(name, {})

    def of_shard(self, kind: str, key: ShardKey) -> pa.Table:
        """What the buckets hold about one shard."""
        parts = [self.stage.read_scratch(f"{kind}/{number:03d}") for number in range(self.buckets)]
        return pa.concat_tables([part.filter(pc.equal(part["shard"], key.name)) for part in parts])


def run(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
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
        receipts += context.run_tasks("pictures", partial(_look, work), pictured, done)
    aside = {f"aside-{number:05d}": part for number, part in enumerate(store.files("quarantine", "ingest"))}
    if aside:
        receipts += context.run_tasks("quarantine", partial(_read_aside, work), aside, done)
    names = (tuple(key.name for key in shards), tuple(key.name for key in pictured.values()))
    buckets = {f"shared-{number:03d}": number for number in range(work.buckets)}
    shared = context.run_tasks("shared keys", partial(_compare, work, *names), buckets, done)

    with context.timed("summary"):
        data = Summary(
            engine.merge_tallies(
                (key.split, stage.read_scratch(f"tally/{name}")) for name, key in (rows | pictured).items()
            ),
            store.read("categories"),
            _label_map(config),
            reach,
        )
        for split, counted in data.tallies.items():
            stage.write_scratch(f"spread/{split}", outliers.spreads(counted))
        wanted = engine.suspects(data, active)
    again = {f"again-{key.name}": key for key in shards}
    receipts += context.run_tasks("second look", partial(_look_again, work, wanted), again, done)
    alike = {name for receipt in shared for name in receipt["facts"]["alike"]}
    likened = {f"alike-{key.name}": key for key in pictured.values() if key.name in alike}
    if likened:
        receipts += context.run_tasks("look-alikes", partial(_describe_alike, work), likened, done)

    with context.timed("summary"):
        raw = sorted(receipt["shard"] for receipt in receipts)
        data = replace(
            data,
            evidence=engine.merge_tallies(
                (key.split, stage.read_scratch(f"evidence/{name}")) for name, key in again.items()
            ),
            groups=findings.merge_groups([stage.read_scratch(f"groups/{name}") for name in raw]),
        )
        conclusion = engine.judge(data, active)
        stage.write_scratch("roots", findings.roots_table(conclusion.roots))
        statistics = class_stats(data, config.name)
        last = stage.write("summary", {"findings": conclusion.table(config.name), "class_stats": statistics})
    finished = context.run_tasks("findings", partial(_finish, work), {f"findings-{name}": name for name in raw}, done)
    outcome = _outcome(conclusion, data.groups, statistics, bool(pictured))
    outcome.receipts = [*receipts, *finished, last]
    outcome.counts |= {"in": n_rows, "kept": n_rows, "quarantined": 0}
    return outcome


def _reach(config: Config) -> Reach | None:
    """What the detector that this configuration trains can see; None where it trains none."""
    if config.detector.path is not None or config.detector.kind != "retinanet" or TRAIN not in config.dataset.splits:
        return None
    sides = sorted({scale * stride for stride in anchors.STRIDES.values() for scale in anchors.SCALES})
    return Reach(config.detector.input_width, config.detector.input_height, tuple((side, side) for side in sides))


def _label_map(config: Config) -> LabelMap | None:
    if config.dataset.label_map is None:
        return None
    found = read_label_map(stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map"))
    problems = tuple((one.line, f"{one.observed}; expected {one.expected}") for one in found.problems)
    return LabelMap(found.path, found.names, problems)


def _examine(work: Work, key: ShardKey) -> Json:
    name, stage = f"rows-{key.name}", work.stage
    trial = work.trial() if key.split == TRAIN else None
    found = engine.examine(stage.store.read_shard(key), work.active, work.reach, trial)
    stage.write_scratch(f"tally/{name}", found.tally)
    stage.write_scratch(f"scan/{key.name}", found.scan)
    for number in range(work.buckets):
        stage.write_scratch(f"keys/{number:03d}-{key.name}", engine.bucket(found.keys, number, work.buckets))
    return work.keep(name, found.raw)


def _look(work: Work, key: ShardKey) -> Json:
    name, stage = f"pictures-{key.name}", work.stage
    shard = stage.store.read_shard(key)
    view = PictureView(shard, pictures.measure_all(shard.images))
    found = engine.examine_pictures(view, work.active)
    stage.write_scratch(f"tally/{name}", found.tally)
    for number in range(work.buckets):
        stage.write_scratch(f"prints/{number:03d}-{key.name}", engine.bucket(found.prints, number, work.buckets))
    work.keep(name, found.raw)
    return stage.write(name, {"image_stats": pictures.image_stats(view, work.run)})


def _read_aside(work: Work, part: Json) -> Json:
    number = part["file"].rpartition("-")[2].removesuffix(".parquet")
    rows = work.stage.store.read_files([part], "quarantine")
    rule = unreadable_annotation_file.RULE
    is_active = rule.code not in work.settings.disable
    return work.keep(f"aside-{number}", unreadable(rule, rows if is_active else rows.slice(0, 0)))


def _compare(work: Work, shards: Sequence[str], pictured: Sequence[str], number: int) -> Json:
    """Rows and pictures of all shards with equal keys, of one bucket."""
    stage = work.stage
    rows = engine.collide((shard, stage.read_scratch(f"keys/{number:03d}-{shard}")) for shard in shards)
    like = likeness.compare((shard, stage.read_scratch(f"prints/{number:03d}-{shard}")) for shard in pictured)
    stage.write_scratch(f"collisions/{number:03d}", rows)
    stage.write_scratch(f"like/{number:03d}", like)
    return stage.write(f"shared-{number:03d}", {}, {"alike": pc.unique(like["shard"]).to_pylist()})


def _look_again(work: Work, wanted: Sequence[Suspects], key: ShardKey) -> Json:
    name, stage, active = f"again-{key.name}", work.stage, work.active
    collisions = work.of_shard("collisions", key)
    spread = stage.read_scratch(f"spread/{key.split}")
    outlying = outliers.find(stage.read_scratch(f"scan/{key.name}"), spread, active)
    raw, evidence = findings.RAW.empty_table(), tally.TALLY.empty_table()
    if collisions.num_rows or outlying or any(key.split in suspects for suspects in wanted):
        shard = stage.store.read_shard(key)
        raw, evidence = engine.look_again(shard, active, collisions, outlying, spread, wanted)
    stage.write_scratch(f"evidence/{name}", evidence)
    return work.keep(name, raw)


def _describe_alike(work: Work, key: ShardKey) -> Json:
    view = PictureView(work.stage.store.read_shard(key), pictures.STATS.empty_table())
    return work.keep(f"alike-{key.name}", likeness.describe(view, work.active, work.of_shard("like", key)))


def _finish(work: Work, name: str) -> Json:
    raw, roots = work.stage.read_scratch(f"raw/{name}"), work.stage.read_scratch("roots")
    return work.stage.write(f"findings-{name}", {"findings": findings.with_roots(raw, roots, work.run)})


def _outcome(conclusion: Conclusion, groups: pa.Table, statistics: pa.Table, looked: bool) -> Outcome:
    """The summary: findings by rule, classes, and what was not checked."""
    rows: Counter[tuple[str, int]] = Counter()
    roots: Counter[tuple[str, int]] = Counter()
    for group in groups.to_pylist():
        rows[group["rule"], group["severity"]] += group["n"]
        roots[group["rule"], group["severity"]] += 0 if group["group"] in conclusion.roots else group["n"]
    for row in conclusion.findings:
        roots[row["rule"], row["severity"]] += row.get("root_cause_id") is None
        rows[row["rule"], row["severity"]] += 0
    total: Counter[int] = Counter()
    for (_, severity), n in rows.items():
        total[severity] += n
    for row in conclusion.findings:
        total[row["severity"]] += 1
    by_rule = [
        [code, schema.SEVERITIES[severity], roots[code, severity], rows[code, severity]]
        for code, severity in sorted(rows, key=lambda key: (-key[1], -rows[key], key[0]))
    ]
    by_severity = {schema.SEVERITIES[severity]: total[severity] for severity in sorted(total, reverse=True)}
    shown = _classes(statistics)
    notes = [] if looked else ["pictures not checked: no image folder is stated"]
    if statistics.num_rows > MAX_CLASSES_SHOWN:
        notes.append(f"{MAX_CLASSES_SHOWN} of {statistics.num_rows} classes shown; class_stats has all")
    return Outcome(
        [],
        counts={"findings": sum(total.values())},
        facts={
            "max_severity": max(total, default=None),
            "findings_by_severity": by_severity,
            "findings_by_rule": [dict(zip(("rule", "severity", "roots", "rows"), one, strict=True)) for one in by_rule],
            "pictures_checked": looked,
        },
        summary=[
            Table("Findings by rule", ("rule", "severity", "to look at", "rows"), by_rule),
            Table("Classes", ("split", "class", "images", "boxes", "share", "median size px", "findings"), shown),
        ],
        notes=notes,
    )


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
    run=run,
    needs=lambda config: ("ingest",),
    inputs=_inputs,
)
