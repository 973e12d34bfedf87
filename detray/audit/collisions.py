"""Rows of the whole data set that have a key in common: an id, a name, a place."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.rule import Active, CollisionRule, Hits, Keys
from detray.audit.text import hash_text, mix
from detray.audit.view import View

KEYS = pa.schema([("key", pa.uint64())])
COLLISIONS = pa.schema([("shard", pa.string()), ("key", pa.uint64()), ("n", pa.int64()), ("splits", pa.int64())])
"""``n`` rows of all shards have the key, in so many ``splits``."""


def keys_of(view: View, active: Active) -> pa.Table:
    """The keys of a shard's rows under all collision rules, as `KEYS`."""
    found = [np.zeros(0, np.uint64), *(_keys(rule, view).hashes for rule, _ in active.of(CollisionRule))]
    return pa.table([np.concatenate(found)], schema=KEYS)


def _keys(rule: CollisionRule, view: View) -> Keys:
    """A rule's keys, which are those of no other rule."""
    found = rule.keys(view)
    return replace(found, hashes=mix(hash_text(rule.code), found.hashes) if len(found.rows) else found.hashes)


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


def describe(view: View, rule: CollisionRule, collided: pa.Table) -> Hits | None:
    """What a rule says of a shard's rows whose keys `collide`; None where there are none."""
    own = _keys(rule, view)
    n_rows, splits = (tables.numpy(collided, column) for column in ("n", "splits"))
    known = collided["key"].combine_chunks()
    place = pc.fill_null(pc.index_in(pa.array(own.hashes), value_set=known), -1).to_numpy()
    mine = np.flatnonzero((place >= 0) & (splits[place] > 1 if rule.across_splits else True))
    if not len(mine):
        return None
    return rule.describe(view, own.rows[mine], (splits if rule.across_splits else n_rows)[place[mine]])
