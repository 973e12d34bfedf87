"""Pictures that are the same, nearly the same, or of the same burst, wherever they lie.

Each picture is filed under several keys: its content hash, each two bands of its perceptual hash, and
the stem of its name. Only pictures under one key are compared, so millions need no comparison of all
with all. Hashes of 64 bits that differ in at most 3 agree in at least two of 5 bands (the pigeonhole
principle; Manku et al., "Detecting near-duplicates for web crawling", WWW 2007). One band of four would
do, too, but of photographs thousands share one: the sky's. So a band takes every fifth bit, and where
still many pictures share a key they are compared in the order of their hashes.
"""

import re
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Ints
from detray.audit import findings
from detray.audit.pictures import PictureView
from detray.audit.rule import Active, Hits, LikenessRule
from detray.audit.text import hash_text, hash_texts, integer, join, mix

MAX_DISTANCE = 3
"""Bits in which the hashes of near-duplicates may differ."""

BURST_DISTANCE = 12
"""Bits for pictures whose names say that they were taken together."""

MIN_BITS = 6
"""Hashes with fewer bits set, or fewer not set, are of pictures without structure and are not compared."""

MAX_STEPS = 64
"""Pictures after each, in the order of hashes or names, that it is compared with under one key."""

EXACT, NEAR, BURST = "exact", "near", "burst"
KINDS = (EXACT, NEAR, BURST)
_SHARED = ("the same file", f"at most {MAX_DISTANCE} of 64 bits differ", "the same burst")
"""What the findings of each kind have in common."""

_BANDS = MAX_DISTANCE + 2
MASKS = [
    np.uint64(sum(1 << bit for bit in range(64) if bit % _BANDS in pair)) for pair in combinations(range(_BANDS), 2)
]
"""Bits of which near-duplicates agree in those of one mask at least."""
_FRAME = re.compile(r"^(.*\d.*?)[_\-. ]*(?<!\d)\d+$")

PRINTS = pa.schema(
    [
        ("key", pa.uint64()),
        ("kind", pa.int8()),
        ("row", pa.int64()),
        ("hash", pa.int64()),
        ("content", pa.uint64()),
        ("split", pa.string()),
        ("file_name", pa.string()),
        ("image_id", pa.int64()),
    ]
)
LIKE = pa.schema(
    [
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("kind", pa.int8()),
        ("distance", pa.int64()),
        ("across", pa.bool_()),
        ("other_split", pa.string()),
        ("other_file_name", pa.string()),
        ("other_image_id", pa.int64()),
    ]
)


def prints(view: PictureView) -> pa.Table:
    """The keys of a shard's decoded pictures: `KINDS` by place, and the row in the view's images."""
    rows = np.flatnonzero(view.is_decoded)
    hashes = tables.numpy(view.stats, "perceptual_hash", 0)[rows]
    content = hash_texts(view.stats["content_hash"])[rows]
    named = pc.fill_null(view.images["file_name"], "").combine_chunks().take(pa.array(rows))
    filed = [(EXACT, rows, mix(hash_text(EXACT), content))]
    bits = np.bitwise_count(hashes.view(np.uint64))
    shaped = (bits >= MIN_BITS) & (bits <= 64 - MIN_BITS)
    for place, mask in enumerate(MASKS):
        filed.append((NEAR, rows[shaped], mix(hash_text(NEAR), place, hashes[shaped].view(np.uint64) & mask)))
    stems = [stem(name) for name in named.to_pylist()]
    framed = np.array([one is not None for one in stems], bool) & shaped
    if framed.any():
        filed.append((BURST, rows[framed], mix(hash_text(BURST), hash_texts(pa.array(stems).filter(pa.array(framed))))))
    places = np.concatenate([np.searchsorted(rows, own) for _, own, _ in filed])
    return pa.table(
        {
            "key": np.concatenate([keys for _, _, keys in filed]),
            "kind": np.repeat([KINDS.index(kind) for kind, _, _ in filed], [len(own) for _, own, _ in filed]),
            "row": rows[places],
            "hash": hashes[places],
            "content": content[places],
            "split": pa.repeat(pa.scalar(view.split), len(places)),
            "file_name": named.take(pa.array(places)),
            "image_id": view.images["image_id"].combine_chunks().take(pa.array(rows[places])),
        }
    ).cast(PRINTS)


def stem(name: str) -> str | None:
    """What the frames of one clip or burst have in common: folder and name without the last number.

    None where nothing with a digit is left: then the number is the name, and says nothing.
    """
    found = _FRAME.match(name.rpartition(".")[0] or name)
    return found[1] if found else None


def compare(parts: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """For each picture of a bucket the most like it, of each kind, within its split and across splits."""
    named = [part.append_column("shard", pa.repeat(pa.scalar(shard), part.num_rows)) for shard, part in parts]
    if not named:
        return LIKE.empty_table()
    filed = pa.concat_tables(named)
    near = pc.equal(filed["kind"], KINDS.index(NEAR))
    filed = filed.append_column("order", pc.if_else(near, filed["hash"], 0)).sort_by(
        [
            ("key", "ascending"),
            ("order", "ascending"),
            ("file_name", "ascending"),
            ("split", "ascending"),
            ("image_id", "ascending"),
            ("shard", "ascending"),
            ("row", "ascending"),
        ]
    )
    keys, kinds = tables.numpy(filed, "key"), tables.numpy(filed, "kind")
    hashes, content = tables.numpy(filed, "hash").view(np.uint64), tables.numpy(filed, "content")
    is_exact = kinds == KINDS.index(EXACT)
    limit = np.array([64, MAX_DISTANCE, BURST_DISTANCE])[kinds]
    firsts, seconds, distances = [], [], []
    active = np.arange(len(keys))
    for step in range(1, MAX_STEPS + 1):
        active = active[active + step < len(keys)]
        active = active[keys[active + step] == keys[active]]
        if not len(active):
            break
        distance = np.bitwise_count(hashes[active] ^ hashes[active + step]).astype(np.int64)
        # the same file twice is found as such, and no near-duplicate of itself
        close = (distance <= limit[active]) & (is_exact[active] | (content[active] != content[active + step]))
        firsts.append(active[close])
        seconds.append(active[close] + step)
        distances.append(distance[close])
    if not firsts:
        return LIKE.empty_table()
    first, second, distance = (np.concatenate(found) for found in (firsts, seconds, distances))
    one, other, gap = np.concatenate([first, second]), np.concatenate([second, first]), np.tile(distance, 2)
    return best(_pairs(filed, one, other, gap))


def _pairs(filed: pa.Table, one: Ints, other: Ints, gap: Ints) -> pa.Table:
    mine, theirs = filed.take(pa.array(one)), filed.take(pa.array(other))
    return pa.table(
        {
            "shard": mine["shard"],
            "row": mine["row"],
            "kind": mine["kind"],
            "distance": gap,
            "across": pc.not_equal(mine["split"], theirs["split"]),
            "other_split": theirs["split"],
            "other_file_name": theirs["file_name"],
            "other_image_id": theirs["image_id"],
        },
        schema=LIKE,
    )


def best(found: pa.Table) -> pa.Table:
    """Of what was found for each picture, kind and side of the split, the nearest; on a tie the first by name."""
    order = [("shard", "ascending"), ("row", "ascending"), ("kind", "ascending"), ("across", "ascending")]
    ties = [(name, "ascending") for name in ("distance", "other_split", "other_file_name", "other_image_id")]
    ordered = found.sort_by([*order, *ties]).combine_chunks()
    if not ordered.num_rows:
        return ordered
    same = np.ones(ordered.num_rows - 1, bool)
    for name in ("shard", "row", "kind", "across"):
        column = ordered[name].combine_chunks()
        same &= pc.equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return ordered.filter(pa.array(np.append(True, ~same)))


def describe(view: PictureView, active: Active, like: pa.Table) -> pa.Table:
    """Raw findings for one shard's pictures that `compare` found others for: of each rule, the strongest kind."""
    raw = [findings.RAW.empty_table()]
    like = best(like)
    for rule, limits in active.of(LikenessRule):
        mine = like.filter(pc.equal(like["across"], rule.across_splits))
        mine = mine.filter(
            pc.is_in(mine["kind"], value_set=pa.array([KINDS.index(kind) for kind in rule.kinds], pa.int8()))
        )
        rows, kinds = tables.numpy(mine, "row"), tables.numpy(mine, "kind")
        order = np.lexsort((kinds, rows))
        first = np.ones(len(order), bool)
        first[1:] = rows[order][1:] != rows[order][:-1]
        mine, rows, kinds = mine.take(pa.array(order[first])), rows[order[first]], kinds[order[first]]
        if not len(rows):
            continue
        raw.append(findings.build(rule, limits, view, _hits(rule, mine, rows, kinds)))
    return pa.concat_tables(raw)


def _hits(rule: LikenessRule, mine: pa.Table, rows: Ints, kinds: Ints) -> Hits:
    distance = tables.numpy(mine, "distance")
    words = pa.array(["same file as", "nearly the same as", "of the same burst as"]).take(pa.array(kinds))
    where = join(" ", mine["other_file_name"], " in ", mine["other_split"])
    bits = join(" (", integer(distance), " of 64 bits differ)")
    observed = join(words, where, pc.if_else(pa.array(kinds == KINDS.index(EXACT)), "", bits))
    return Hits(
        rows,
        "images",
        observed=observed,
        severity=np.maximum(rule.severity - kinds, 1).astype(np.int8),
        confidence=np.where(kinds == KINDS.index(EXACT), 1.0, (65 - distance) / 66),
        other_file_name=mine["other_file_name"].combine_chunks(),
        other_split=mine["other_split"].combine_chunks(),
        share=pa.array(_SHARED).take(pa.array(kinds)),
    )
