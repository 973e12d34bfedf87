"""The stage ``audit``: every rule on every shard, then what many rows have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema
from detray.audit import engine, findings, pictures
from detray.audit.catalogue import RULES
from detray.audit.class_stats import class_stats
from detray.audit.quarantine import unreadable
from detray.audit.roots import Conclusion
from detray.audit.rule import WARNING, Active, activate
from detray.audit.rules import unreadable_annotation_file
from detray.audit.settings import AuditSettings
from detray.audit.summary import Summary
from detray.formats.resolve import stated_path
from detray.stages.base import Context, Outcome, StageDefinition, Table
from detray.stages.config import Config
from detray.store import Json, ShardKey, Stage

KEYS_PER_BUCKET = 1_000_000
MAX_BUCKETS = 256
MAX_CLASSES_SHOWN = 40

PICTURE_COLUMNS = ("split", "image_id", "file_name", "width", "height", "image_row", "path", "source_file")


@dataclass(frozen=True)
class Work:
    """What every task needs; it crosses processes."""

    stage: Stage
    run: str
    settings: AuditSettings
    buckets: int

    @property
    def active(self) -> Active:
        return activate(RULES, self.settings.rules, self.settings.disable)

    def keep(self, name: str, raw: pa.Table) -> Json:
        """Keep a task's raw findings and their counts for the last steps; its receipt."""
        self.stage.write_scratch(f"raw/{name}", raw)
        self.stage.write_scratch(f"groups/{name}", findings.group_counts(raw))
        return self.stage.write(name, {})


def run(context: Context, stage: Stage, done: dict[str, Json]) -> Outcome:
    """Audit the data set that ingest wrote."""
    config, store = context.config, context.store
    shards = store.shards()
    n_rows = sum(key.n_annotations + key.n_images for key in shards)
    work = Work(stage, config.name, config.audit, min(max(ceil(n_rows / KEYS_PER_BUCKET), 1), MAX_BUCKETS))
    active = work.active

    receipts = context.run_tasks("rules", partial(_examine, work), {f"rows-{key.name}": key for key in shards}, done)
    stated = {split for split, settings in config.dataset.splits.items() if settings.images}
    pictured = {f"pictures-{key.name}": key for key in shards if key.split in stated}
    if pictured:
        receipts += context.run_tasks("pictures", partial(_look, work), pictured, done)
    aside = {f"aside-{number:05d}": part for number, part in enumerate(store.files("quarantine", "ingest"))}
    if aside:
        receipts += context.run_tasks("quarantine", partial(_read_aside, work), aside, done)
    buckets = {f"collisions-{number:03d}": number for number in range(work.buckets)}
    collided = context.run_tasks(
        "collisions", partial(_collide, work, tuple(key.name for key in shards)), buckets, done
    )
    concerned = {name for receipt in collided for name in receipt["facts"]["shards"]}
    colliding = {f"shared-{key.name}": key for key in shards if key.name in concerned}
    if colliding:
        receipts += context.run_tasks("shared keys", partial(_describe, work, tuple(buckets)), colliding, done)

    with context.timed("summary"):
        tallies = engine.merge_tallies((key.split, stage.read_scratch(f"tally/rows-{key.name}")) for key in shards)
        data = Summary(tallies, store.read("categories"))
        raw = sorted(receipt["shard"] for receipt in receipts)
        groups = findings.merge_groups([stage.read_scratch(f"groups/{name}") for name in raw])
        conclusion = engine.judge(data, active, groups)
        stage.write_scratch("roots", findings.roots_table(conclusion.roots))
        statistics = class_stats(data, groups, config.name)
        last = stage.write("summary", {"findings": conclusion.table(config.name), "class_stats": statistics})
    finished = context.run_tasks("findings", partial(_finish, work), {f"findings-{name}": name for name in raw}, done)
    outcome = _outcome(conclusion, groups, statistics, bool(pictured))
    outcome.receipts = [*receipts, *finished, last]
    outcome.counts |= {"in": n_rows, "kept": n_rows, "quarantined": 0}
    return outcome


def _examine(work: Work, key: ShardKey) -> Json:
    name = f"rows-{key.name}"
    found = engine.examine(work.stage.store.read_shard(key), work.active)
    work.stage.write_scratch(f"tally/{name}", found.tally)
    for number in range(work.buckets):
        work.stage.write_scratch(f"keys/{number:03d}-{key.name}", engine.bucket(found.keys, number, work.buckets))
    return work.keep(name, found.raw)


def _look(work: Work, key: ShardKey) -> Json:
    name = f"pictures-{key.name}"
    shard = work.stage.store.read_shard(key, columns={"images": PICTURE_COLUMNS})
    view = engine.picture_view(shard, pictures.measure_all(pictures.with_pictures(shard.images)["path"].to_pylist()))
    work.keep(name, engine.examine_pictures(view, work.active))
    return work.stage.write(name, {"image_stats": pictures.image_stats(view, work.run)})


def _read_aside(work: Work, part: Json) -> Json:
    number = part["file"].rpartition("-")[2].removesuffix(".parquet")
    rows = work.stage.store.read_files([part], "quarantine")
    rule = unreadable_annotation_file.RULE
    is_active = rule.code not in work.settings.disable
    return work.keep(f"aside-{number}", unreadable(rule, rows if is_active else rows.slice(0, 0)))


def _collide(work: Work, shards: Sequence[str], number: int) -> Json:
    name = f"collisions-{number:03d}"
    found = engine.collide((shard, work.stage.read_scratch(f"keys/{number:03d}-{shard}")) for shard in shards)
    work.stage.write_scratch(name, found)
    return work.stage.write(name, {}, {"shards": pc.unique(found["shard"]).to_pylist()})


def _describe(work: Work, buckets: Sequence[str], key: ShardKey) -> Json:
    parts = [work.stage.read_scratch(name) for name in buckets]
    mine = pa.concat_tables([part.filter(pc.equal(part["shard"], key.name)) for part in parts])
    raw = engine.describe(work.stage.store.read_shard(key), work.active, mine)
    return work.keep(f"shared-{key.name}", raw)


def _finish(work: Work, name: str) -> Json:
    raw, roots = work.stage.read_scratch(f"raw/{name}"), work.stage.read_scratch("roots")
    rows = findings.with_roots(raw, roots, work.run)
    return work.stage.write(f"findings-{name}", {"findings": rows})


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
    sections=("audit", "dataset"),
    run=run,
    needs=lambda config: ("ingest",),
    inputs=_inputs,
)
