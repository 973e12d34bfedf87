"""The audit as plain functions on tables: what is done to one shard, and how shards come together.

1. `examine` a shard: rules on rows, a tally, and keys for what may collide with other shards;
   `examine_pictures`: the same for its pictures.
2. `merge_tallies`; `collide`, `likeness.compare`: keys that stand in any shards more than once, by bucket.
3. `suspects`, `outliers.spreads`: what the merged tallies ask of a second look.
4. `look_again`: rows of one shard that collide or lie far out, and evidence for hypotheses.
5. `judge`: rules on classes, splits and the data set, and the roots of what many rows share.
6. `findings.with_roots`: the raw findings as they are stored.

`audit` does all of it in memory; the stage does the same with a task a shard.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit import findings, likeness, measures, outliers, tally
from detray.audit.augmented import Trial, try_augmentation
from detray.audit.explained import unexplained
from detray.audit.picture_measures import measure_pictures
from detray.audit.pictures import PictureView
from detray.audit.roots import Conclusion, conclude
from detray.audit.rule import (
    Active,
    CollisionRule,
    HypothesisRule,
    Keys,
    OutlierRule,
    PictureRule,
    RowRule,
    SummaryRule,
    Suspects,
)
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.text import hash_text, mix
from detray.audit.view import View
from detray.boxes import Reach
from detray.tables import Shard

KEYS = pa.schema([("key", pa.uint64())])
COLLISIONS = pa.schema([("shard", pa.string()), ("key", pa.uint64()), ("n", pa.int64()), ("splits", pa.int64())])
"""``n`` rows of all shards have the key, in so many ``splits``."""


@dataclass(frozen=True)
class Examined:
    """One shard on its own: raw findings, tally, and keys of the collision rules."""

    raw: pa.Table
    tally: pa.Table
    keys: pa.Table


# a file may hold any float64: what overflows is infinite, and judged as such
_any_number = np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


@_any_number
def examine(shard: Shard, active: Active, reach: Reach | None = None, trial: Trial | None = None) -> Examined:
    """All that one shard's rows tell by themselves.

    With ``reach`` also how large they are to a detector, with ``trial`` what its augmentation loses.
    """
    view = View(shard)
    raw = [
        findings.build(rule, limits, view, hits)
        for rule, limits in active.of(RowRule)
        for hits in rule.check(view, limits)
    ]
    keys = [np.zeros(0, np.uint64), *(_keys(rule, view).hashes for rule, _ in active.of(CollisionRule))]
    return Examined(
        raw=_together(raw),
        tally=pa.concat_tables([measures.measure(view, reach), *([try_augmentation(view, trial)] if trial else [])]),
        keys=pa.table([np.concatenate(keys)], schema=KEYS),
    )


def _keys(rule: CollisionRule, view: View) -> Keys:
    """A rule's keys, which are those of no other rule."""
    found = rule.keys(view)
    return replace(found, hashes=mix(hash_text(rule.code), found.hashes) if len(found.rows) else found.hashes)


@dataclass(frozen=True)
class ExaminedPictures:
    """One shard's pictures on their own: raw findings, tally, and keys of what may look alike."""

    raw: pa.Table
    tally: pa.Table
    prints: pa.Table


def examine_pictures(view: PictureView, active: Active) -> ExaminedPictures:
    """All that one shard's pictures tell by themselves."""
    raw = [
        findings.build(rule, limits, view, hits)
        for rule, limits in active.of(PictureRule)
        for hits in rule.check(view, limits)
    ]
    return ExaminedPictures(_together(raw), measure_pictures(view), likeness.prints(view))


def _together(raw: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([findings.RAW.empty_table(), *raw]).combine_chunks()


def divide(rows: pa.Table, by: str, buckets: int) -> list[pa.Table]:
    """The rows of each of ``buckets`` buckets: those whose integers ``by`` are equal fall into the same."""
    if buckets == 1:
        return [rows]
    numbers = tables.numpy(rows, by, 0)
    codes = (numbers % numbers.dtype.type(buckets)).astype(np.uint8 if buckets <= 256 else np.int64)
    ordered = rows.take(np.argsort(codes, kind="stable"))
    ends = np.cumsum(np.bincount(codes, minlength=buckets)).tolist()
    return [ordered.slice(start, end - start) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def collide(parts: Iterable[tuple[str, str, pa.Table]]) -> pa.Table:
    """The keys of a bucket that stand there more than once, for each shard that has them, with how often they do.

    Args:
        parts: shard, its split, and its keys.
    """
    named = [(shard, split, tables.numpy(part, "key")) for shard, split, part in parts]
    ordered = np.sort(np.concatenate([np.zeros(0, np.uint64), *(keys for _, _, keys in named)]))
    twice, n = np.unique(ordered[1:][ordered[1:] == ordered[:-1]], return_counts=True)
    if not len(twice):
        return COLLISIONS.empty_table()
    places = [np.flatnonzero(np.isin(twice, keys)) for _, _, keys in named]
    splits = np.zeros(len(twice), np.int64)
    for split in {split for _, split, _ in named}:
        here = [place for place, (_, of, _) in zip(places, named, strict=True) if of == split]
        splits[np.unique(np.concatenate(here))] += 1
    return pa.concat_tables(
        pa.table(
            [pa.repeat(pa.scalar(shard), len(place)), twice[place], n[place] + 1, splits[place]], schema=COLLISIONS
        )
        for (shard, _, _), place in zip(named, places, strict=True)
    )


def suspects(data: Summary, active: Active) -> list[Suspects]:
    """What each hypothesis rule wants evidence on, in the order of the active rules."""
    return [rule.suspects(data, limits) for rule, limits in active.of(HypothesisRule)]


@_any_number
def look_again(
    shard: Shard,
    active: Active,
    collisions: pa.Table,
    spread: pa.Table,
    suspected: Sequence[Suspects],
) -> tuple[pa.Table, pa.Table]:
    """Raw findings of one shard that needed others, and evidence on hypotheses.

    Args:
        collisions: of this shard, from `collide`.
        spread: of the shard's split, from `outliers.spreads`.
        suspected: from `suspects`.
    """
    view = View(shard)
    raw = []
    collided = collisions["key"].combine_chunks()
    n_rows, splits = (tables.numpy(collisions, column) for column in ("n", "splits"))
    for rule, limits in active.of(CollisionRule) if collisions.num_rows else []:
        own = _keys(rule, view)
        place = pc.fill_null(pc.index_in(pa.array(own.hashes), value_set=collided), -1).to_numpy()
        mine = np.flatnonzero((place >= 0) & (splits[place] > 1 if rule.across_splits else True))
        if len(mine):
            n = (splits if rule.across_splits else n_rows)[place[mine]]
            raw.append(findings.build(rule, limits, view, rule.describe(view, own.rows[mine], n)))
    for rule, limits in active.of(OutlierRule):
        rows = outliers.find(view, rule, limits, spread)
        if len(rows):
            raw.append(findings.build(rule, limits, view, outliers.describe(view, rule, limits, rows, spread)))
    evidence = [tally.TALLY.empty_table()]
    for (rule, _), wanted in zip(active.of(HypothesisRule), suspected, strict=True):
        if shard.split in wanted:
            evidence += rule.gather(view, wanted[shard.split])
    return _together(raw), pa.concat_tables(evidence)


def judge(data: Summary, active: Active) -> Conclusion:
    """Findings on classes, splits and the data set, and the roots of the groups of raw findings."""
    facts = [
        (rule, limits, fact)
        for rule, limits in active.rules
        if isinstance(rule, SummaryRule | HypothesisRule)
        for fact in rule.check(data, limits)
    ]
    return conclude(unexplained(facts), data.groups, {rule.code: rule for rule, _ in active.rules}, data.classes)


def merge_tallies(parts: Iterable[tuple[str, pa.Table]]) -> dict[str, Tally]:
    """The tally of each split, from its shards'."""
    by_split: dict[str, tables.Total] = {}
    for split, part in parts:
        by_split.setdefault(split, tables.Total(tally.add)).add(part)
    return {split: Tally(total.table()) for split, total in by_split.items()}


def audit(
    shards: Sequence[Shard],
    data: Summary,
    active: Active,
    *,
    stats: Sequence[pa.Table] | None = None,
    trial: Trial | None = None,
    run: str = "audit",
) -> pa.Table:
    """The findings of a data set that fits in memory, in the order of their ids.

    Args:
        shards: the data set, cut in any way that keeps the rows of an image together.
        data: its categories, label map and detector; the counts in it are not used.
        active: the rules that run.
        trial: of the augmentation that the training split gets; None: it gets none.
        stats: what was measured of each shard's pictures, as `pictures.measure_all`; None: not looked at.
        run: for the column run.
    """
    named = {f"{number:05d}": shard for number, shard in enumerate(shards)}
    examined = {name: examine(shard, active, data.reach, trial) for name, shard in named.items()}
    tallies = [(shard.split, examined[name].tally) for name, shard in named.items()]
    raw = [part.raw for part in examined.values()]
    if stats is not None:
        views = {name: PictureView(shard, own) for (name, shard), own in zip(named.items(), stats, strict=True)}
        looked = {name: examine_pictures(view, active) for name, view in views.items()}
        tallies += [(view.split, looked[name].tally) for name, view in views.items()]
        raw += [part.raw for part in looked.values()]
        like = likeness.compare((name, part.prints) for name, part in looked.items())
        raw += [
            likeness.describe(view, active, like.filter(pc.equal(like["shard"], name))) for name, view in views.items()
        ]
    data = replace(data, tallies=merge_tallies(tallies))
    collisions = collide((name, named[name].split, part.keys) for name, part in examined.items())
    spread = {split: outliers.spreads(counted) for split, counted in data.tallies.items()}
    wanted = suspects(data, active)
    evidence = []
    for name, shard in named.items():
        mine = collisions.filter(pc.equal(collisions["shard"], name))
        again, gathered = look_again(shard, active, mine, spread[shard.split], wanted)
        raw.append(again)
        evidence.append((shard.split, gathered))
    everything = _together(raw)
    data = replace(
        data, evidence=merge_tallies(evidence), groups=findings.merge_groups([findings.group_counts(everything)])
    )
    conclusion = judge(data, active)
    found = [findings.with_roots(everything, findings.roots_table(conclusion.roots), run), conclusion.table(run)]
    return pa.concat_tables(found).sort_by("finding_id").combine_chunks()
