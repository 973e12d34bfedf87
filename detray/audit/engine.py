"""The audit as plain functions on tables: what is done to one shard, and how shards come together.

1. `examine` a shard: rules on rows, a tally, and keys for what may collide with rows of other shards.
2. `collide`: rows with equal keys, by hash bucket; `describe` makes findings of those of one shard.
3. `judge`: rules on classes, splits and the data set, from merged tallies.
4. `findings.with_roots`: the raw findings of each shard as they are stored.

`audit` does all of it in memory; the stage does the same with a task a shard.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit import findings, measures, tally
from detray.audit.pictures import PictureView, with_pictures
from detray.audit.roots import Conclusion, conclude
from detray.audit.rule import Active, CollisionRule, PictureRule, RowRule, SummaryRule
from detray.audit.summary import Reach, Summary
from detray.audit.tally import Tally
from detray.audit.text import hash_text, mix
from detray.audit.view import View
from detray.tables import Shard

KEYS = pa.schema([("rule", pa.int8()), ("row", pa.int64()), ("hash", pa.uint64())])
"""``rule`` is the place of a collision rule among the active ones."""
COLLISIONS = pa.schema([("shard", pa.string()), ("rule", pa.int8()), ("row", pa.int64()), ("n", pa.int64())])


@dataclass(frozen=True)
class Examined:
    """One shard on its own: raw findings, tally, and the keys of the collision rules."""

    raw: pa.Table
    tally: pa.Table
    keys: pa.Table


def examine(shard: Shard, active: Active, reach: Reach | None = None) -> Examined:
    """All that one shard tells by itself."""
    view = View(shard)
    raw = [
        findings.build(rule, limits, view, hits)
        for rule, limits in active.of(RowRule)
        for hits in rule.check(view, limits)
    ]
    keys = []
    for place, (rule, _) in enumerate(active.of(CollisionRule)):
        found = rule.keys(view)
        mixed = mix(hash_text(rule.code), found.hashes) if len(found.rows) else found.hashes
        keys.append(pa.table([np.full(len(mixed), place, np.int8), found.rows, mixed], schema=KEYS))
    return Examined(
        raw=pa.concat_tables([findings.RAW.empty_table(), *raw]).combine_chunks(),
        tally=measures.measure(view, reach),
        keys=pa.concat_tables([KEYS.empty_table(), *keys]).combine_chunks(),
    )


def examine_pictures(view: PictureView, active: Active) -> pa.Table:
    """The raw findings on one shard's pictures."""
    raw = [
        findings.build(rule, limits, view, hits)
        for rule, limits in active.of(PictureRule)
        for hits in rule.check(view, limits)
    ]
    return pa.concat_tables([findings.RAW.empty_table(), *raw]).combine_chunks()


def bucket(keys: pa.Table, number: int, buckets: int) -> pa.Table:
    """The keys that fall into one of ``buckets`` buckets: equal keys fall into the same."""
    if buckets == 1:
        return keys
    return keys.filter(pa.array(tables.numpy(keys, "hash") % np.uint64(buckets) == number))


def collide(parts: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """Rows whose key stands more than once in a bucket, of all shards, with how often it does."""
    named = [part.append_column("shard", pa.repeat(pa.scalar(shard), part.num_rows)) for shard, part in parts]
    if not named:
        return COLLISIONS.empty_table()
    keys = pa.concat_tables(named)
    ordered = np.sort(tables.numpy(keys, "hash"))
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return COLLISIONS.empty_table()
    found = keys.filter(pc.is_in(keys["hash"], value_set=pa.array(twice)))
    _, back, n = np.unique(tables.numpy(found, "hash"), return_inverse=True, return_counts=True)
    return found.drop_columns("hash").append_column("n", pa.array(n[back])).select(COLLISIONS.names).cast(COLLISIONS)


def describe(shard: Shard, active: Active, collisions: pa.Table) -> pa.Table:
    """Raw findings for the rows of one shard that `collide` found."""
    view = View(shard)
    raw = []
    for place, (rule, limits) in enumerate(active.of(CollisionRule)):
        mine = collisions.filter(pc.equal(collisions["rule"], place)).sort_by("row")
        if mine.num_rows:
            hits = rule.describe(view, tables.numpy(mine, "row"), tables.numpy(mine, "n"))
            raw.append(findings.build(rule, limits, view, hits))
    return pa.concat_tables([findings.RAW.empty_table(), *raw])


def judge(data: Summary, active: Active, groups: pa.Table) -> Conclusion:
    """Findings on classes, splits and the data set, and the roots of groups of raw findings."""
    facts = [(rule, limits, fact) for rule, limits in active.of(SummaryRule) for fact in rule.check(data, limits)]
    return conclude(facts, groups, {rule.code: rule for rule, _ in active.rules}, data.classes)


def audit(
    shards: Sequence[Shard],
    categories: pa.Table,
    active: Active,
    *,
    stats: Sequence[pa.Table] | None = None,
    run: str = "audit",
) -> pa.Table:
    """The findings of a data set that fits in memory, in the order of their ids.

    Args:
        shards: the data set, cut in any way that keeps the rows of an image together.
        categories: the table ``categories`` of all splits.
        active: the rules that run.
        stats: what was measured of each shard's pictures, as `pictures.measure_all`; None: not looked at.
        run: for the column run.
    """
    named = {f"{number:05d}": shard for number, shard in enumerate(shards)}
    examined = {name: examine(shard, active) for name, shard in named.items()}
    collisions = collide((name, part.keys) for name, part in examined.items())
    raw = [part.raw for part in examined.values()]
    for name, shard in named.items():
        raw.append(describe(shard, active, collisions.filter(pc.equal(collisions["shard"], name))))
    for shard, measured in zip(shards, stats or (), strict=stats is not None):
        raw.append(examine_pictures(picture_view(shard, measured), active))
    data = Summary(merge_tallies((shard.split, examined[name].tally) for name, shard in named.items()), categories)
    everything = pa.concat_tables([findings.RAW.empty_table(), *raw])
    conclusion = judge(data, active, findings.group_counts(everything))
    found = [findings.with_roots(everything, findings.roots_table(conclusion.roots), run), conclusion.table(run)]
    return pa.concat_tables(found).sort_by("finding_id").combine_chunks()


def picture_view(shard: Shard, stats: pa.Table) -> PictureView:
    """The images of a shard for which a folder is stated, with what was measured of each."""
    images = with_pictures(shard.images)
    return PictureView(Shard(shard.split, images, shard.annotations.slice(0, 0), shard.categories), stats)


def merge_tallies(parts: Iterable[tuple[str, pa.Table]]) -> Mapping[str, Tally]:
    """The tally of each split, from its shards'."""
    by_split: dict[str, list[pa.Table]] = {}
    for split, part in parts:
        by_split.setdefault(split, []).append(part)
    return {split: Tally(tally.add(found)) for split, found in by_split.items()}
