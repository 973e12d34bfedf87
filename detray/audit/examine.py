"""What is done to one shard, as plain functions on tables: a first look at its rows and pictures, and a second look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray.audit import collisions, drawn_twice, findings, likeness, measures, outliers, tally
from detray.audit.augmented import Rehearsal, try_augmentation
from detray.audit.picture_measures import measure_pictures
from detray.audit.pictures import PictureView
from detray.audit.rule import (
    Active,
    CollisionRule,
    DrawnRule,
    HypothesisRule,
    OutlierRule,
    PictureRule,
    RowRule,
    Suspects,
)
from detray.audit.summary import Summary
from detray.audit.view import View
from detray.boxes import Reach
from detray.pipeline.geometry import Resize
from detray.tables import Shard

# a file may hold any float64: what overflows is infinite, and judged as such
_any_number = np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


@dataclass(frozen=True)
class Examined:
    """One shard on its own: raw findings, tally, and keys of the collision rules."""

    raw: pa.Table
    tally: pa.Table
    keys: pa.Table


@_any_number
def examine(
    shard: Shard,
    active: Active,
    reach: Reach | None = None,
    rehearsal: Rehearsal | None = None,
    at_input: Resize | None = None,
) -> Examined:
    """All that one shard's rows tell by themselves.

    With ``reach`` also how large they are to a detector, with ``at_input`` to that of a pipeline.config, with
    ``rehearsal`` what the augmentation loses.
    """
    view = View(shard)
    raw = [
        findings.build(rule, limits, view, hits)
        for rule, limits in active.of(RowRule)
        for hits in rule.check(view, limits)
    ]
    counted = [measures.measure(view, reach, at_input)]
    if rehearsal:
        counted.append(try_augmentation(view, rehearsal))
    if active.of(DrawnRule) and view.annotators:
        agreed, pictures = drawn_twice.by_annotators(view)
        counted.append(agreed)
        raw.append(drawn_twice.describe(view, active, pictures))
    return Examined(
        raw=_together(raw),
        tally=pa.concat_tables(counted),
        keys=collisions.keys_of(view, active),
    )


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


def suspects(data: Summary, active: Active) -> list[Suspects]:
    """What each hypothesis rule wants evidence on, in the order of the active rules."""
    return [rule.suspects(data, limits) for rule, limits in active.of(HypothesisRule)]


def needs_another_look(
    split: str, active: Active, counted: tally.Tally, spread: pa.Table, suspected: Sequence[Suspects]
) -> bool:
    """Whether `look_again` may find something in a shard, no key of which collides.

    Args:
        split: the shard's.
        counted: what the shard's rows were counted to.
        spread, suspected: as `look_again` takes them.
    """
    return any(split in wanted for wanted in suspected) or outliers.may_be_any(counted, spread, active)


@_any_number
def look_again(
    shard: Shard,
    active: Active,
    collided: pa.Table,
    spread: pa.Table,
    suspected: Sequence[Suspects],
) -> tuple[pa.Table, pa.Table]:
    """Raw findings of one shard that needed others, and evidence on hypotheses.

    Args:
        collided: of this shard, from `collisions.collide`.
        spread: of the shard's split, from `outliers.spreads`.
        suspected: from `suspects`.
    """
    view = View(shard)
    raw = []
    for rule, limits in active.of(CollisionRule) if collided.num_rows else []:
        hits = collisions.describe(view, rule, collided)
        if hits is not None:
            raw.append(findings.build(rule, limits, view, hits))
    for rule, limits in active.of(OutlierRule):
        rows = outliers.find(view, rule, limits, spread)
        if len(rows):
            raw.append(findings.build(rule, limits, view, outliers.describe(view, rule, limits, rows, spread)))
    evidence = [tally.TALLY.empty_table()]
    for (rule, _), wanted in zip(active.of(HypothesisRule), suspected, strict=True):
        if shard.split in wanted:
            evidence += rule.gather(view, wanted[shard.split])
    return _together(raw), pa.concat_tables(evidence)


def _together(raw: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([findings.RAW.empty_table(), *raw]).combine_chunks()
