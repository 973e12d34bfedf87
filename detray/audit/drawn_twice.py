"""Pictures that are drawn twice: by several annotators, or since a file stands in the data set more than once.

What annotators drew on one image lies in one shard. Of pictures that look alike (`likeness`) those are compared of
which each is most like the other, within a split and across splits; their boxes meet in an exchange, as shares of
their pictures, so that a picture may stand there in two sizes. Frames of one clip, by their names, are no copies.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Flags, Hashes, Ints
from detray.audit import findings
from detray.audit.agreement import MAX_TOGETHER, shared_images, who_drew
from detray.audit.drawings import BOXES, PICTURES, compare
from detray.audit.likeness import EXACT, KINDS, NEAR, best, stem
from detray.audit.rule import SUSPECT, Active, DrawnRule, Hits
from detray.audit.text import hash_text, hash_texts, integer, join, mix, number
from detray.audit.view import NO_ID, View

SHARDED = pa.field("shard", pa.string())
"""The column that tells the boxes of several shards apart."""


def by_annotators(view: View) -> tuple[pa.Table, pa.Table]:
    """What annotators of the same images agree on, each with each: tally and images, as `drawings.compare`."""
    boxes = BOXES.empty_table() if len(view.annotators) < 2 else _of_annotators(view)
    return compare(boxes.append_column(SHARDED, pa.nulls(boxes.num_rows, pa.string())))


def _of_annotators(view: View) -> pa.Table:
    images = shared_images(view)
    both = who_drew(view, images)
    image, code = both[:, 0], both[:, 1]
    first, active = [image[:0]], np.arange(len(both))
    second = [image[:0]]
    for step in range(1, MAX_TOGETHER):
        active = active[active + step < len(both)]
        active = active[image[active + step] == image[active]]
        first.append(active)
        second.append(active + step)
    one, other = np.concatenate(first), np.concatenate(second)
    names = np.array([name for name, _ in view.annotators], object)
    together = np.bincount(image, minlength=view.images.num_rows)[image[one]]
    several = [f"of {n} annotators" for n in together.tolist()]
    pairs = [f"of {a} and {b}" for a, b in zip(names[code[one]], names[code[other]], strict=True)]
    said = np.where(together > 2, several, pairs) if len(one) else np.zeros(0, object)
    rows = np.flatnonzero((view.annotator_codes >= 0) & (images >= 0) & view.is_object)
    width = len(names)
    drawing = np.searchsorted(image * width + code, images[rows] * width + view.annotator_codes[rows])
    parts = []
    for side, drawings in enumerate((one, other)):
        pair, mine = _members(drawings, drawing, rows, len(both))
        parts.append(
            _boxes(
                view,
                mine,
                images[mine],
                pair=pair.astype(np.uint64),
                is_second=np.full(len(mine), bool(side)),
                picture=images[mine].astype(np.uint64),
                is_near=np.zeros(len(mine), bool),
                first_split=_same(view.split, len(mine)),
                second_split=_same(view.split, len(mine)),
                other=pa.nulls(len(mine), pa.string()) if side else pa.array(said[pair], pa.string()),
                other_file_name=pa.nulls(len(mine), pa.string()),
                other_split=pa.nulls(len(mine), pa.string()),
            )
        )
    return pa.concat_tables(parts)


def _members(drawings: Ints, drawing: Ints, rows: Ints, n: int) -> tuple[Ints, Ints]:
    """For each of ``drawings`` its place and each of its ``rows``, which are of ``drawing``."""
    order = np.argsort(drawing, kind="stable")
    counts = np.bincount(drawing, minlength=n)
    starts = np.cumsum(counts) - counts
    held = counts[drawings]
    pair = np.repeat(np.arange(len(drawings)), held)
    offset = np.arange(len(pair)) - np.repeat(np.cumsum(held) - held, held)
    return pair, rows[order[np.repeat(starts[drawings], held) + offset]]


def of_look_alikes(view: View, like: pa.Table) -> pa.Table:
    """The boxes of a shard's pictures that may stand in the data set a second time, as `BOXES`.

    ``like`` is what `likeness.compare` found for them. An image takes part whose id and size are its own, and which at
    most one annotator drew on.
    """
    found = [BOXES.empty_table()]
    like = best(like)
    for across in (False, True):
        mine = like.filter(pc.equal(like["across"], across))
        kinds = tables.numpy(mine, "kind")
        mine = mine.filter(pa.array((kinds <= KINDS.index(NEAR)) & ~_is_frame(view, mine)))
        rows, kinds = tables.numpy(mine, "row"), tables.numpy(mine, "kind")
        order = np.lexsort((kinds, rows))
        first = np.ones(len(order), bool)
        first[1:] = rows[order][1:] != rows[order][:-1]
        chosen = order[first]
        found.append(_of_images(view, mine.take(pa.array(chosen)), rows[chosen], kinds[chosen]))
    return pa.concat_tables(found)


def _is_frame(view: View, like: pa.Table) -> Flags:
    """Whether two pictures that differ are, by their names, of one clip."""
    names = view.images["file_name"].take(like["row"]).to_pylist()
    pairs = zip(names, like["other_file_name"].to_pylist(), like["kind"].to_pylist(), strict=True)
    exact = KINDS.index(EXACT)
    return np.array([kind != exact and bool(a and b) and stem(a) is not None and stem(a) == stem(b)
                     for a, b, kind in pairs], bool)  # fmt: skip


def _of_images(view: View, like: pa.Table, images: Ints, kinds: Ints) -> pa.Table:
    """The boxes of ``images``, positions, each of which is compared with the other picture of its row of ``like``."""
    usable = _usable(view)[images] & like["other_image_id"].is_valid().to_numpy()
    like, images, kinds = like.filter(pa.array(usable)), images[usable], kinds[usable]
    place = np.full(view.images.num_rows + 1, -1)
    place[images] = np.arange(len(images))
    rows = np.flatnonzero(view.is_object & (place[view.image_of] >= 0))
    own = place[view.image_of[rows]]
    ids, other_ids = view.own_image_ids[images], tables.numpy(like, "other_image_id")
    me = mix(np.full(len(images), hash_texts(pa.array([view.split]))[0]), ids)
    them = mix(hash_texts(like["other_split"]), other_ids)
    others = like["other_split"].to_pylist()
    second = np.array(
        [(view.split, a) > (split, b) for a, split, b in zip(ids.tolist(), others, other_ids.tolist(), strict=True)],
        bool,
    )
    pair = mix(hash_text("drawn"), np.minimum(me, them), np.maximum(me, them))
    splits = [np.where(second, others, view.split), np.where(second, view.split, others)]
    said = join("against ", like["other_file_name"], " in ", like["other_split"])
    return _boxes(
        view,
        rows,
        images[own],
        pair=pair[own],
        is_second=second[own],
        picture=pair[own],
        is_near=kinds[own] == KINDS.index(NEAR),
        first_split=pa.array(splits[0][own], pa.string()),
        second_split=pa.array(splits[1][own], pa.string()),
        other=said.take(pa.array(own)),
        other_file_name=like["other_file_name"].take(pa.array(own)),
        other_split=like["other_split"].take(pa.array(own)),
    )


def _usable(view: View) -> Flags:
    """Images of known size, with an id of their own, and not of several annotators, ``[m]``."""
    _, back, n = np.unique(view.own_image_ids, return_inverse=True, return_counts=True)
    alone = (n[back] == 1) & (view.own_image_ids != NO_ID) & ~np.isnan(view.sizes).any(axis=1)
    people = who_drew(view, view.image_of)[:, 0]
    return alone & (np.bincount(people, minlength=view.images.num_rows) < 2)


def _boxes(view: View, rows: Ints, images: Ints, **columns: object) -> pa.Table:
    """The annotations ``rows``, of images at the positions ``images``, as `BOXES`."""
    sizes = np.where(np.isnan(view.sizes), 1.0, view.sizes)[images]
    shares = view.boxes[rows] / np.tile(sizes, 2)
    measured = dict(zip(("x", "y", "width", "height"), shares.T, strict=True))
    measured |= {"half_x": 0.5 / sizes[:, 0], "half_y": 0.5 / sizes[:, 1]}
    described = {
        "row": images,
        "class": _classes(view, rows),
        "category_id": view.category_ids[rows],
        "order": view.annotation_rows[rows],
    }
    return pa.table({name: (columns | described | measured)[name] for name in BOXES.names}, schema=BOXES)


def _classes(view: View, rows: Ints) -> Hashes:
    """A key of each annotation's class: its name, in any split; its id where it has none."""
    names = view.names(pa.array(view.category_ids[rows]))
    return np.where(names.is_valid().to_numpy(zero_copy_only=False), hash_texts(names), mix(view.category_ids[rows]))


def _same(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def compare_all(parts: Iterable[tuple[str, pa.Table]]) -> tuple[dict[tuple[str, str], pa.Table], pa.Table]:
    """The tally of each two splits, and the images, of a bucket's boxes: ``parts`` are of the shard beside each."""
    named = [part.append_column(SHARDED, _same(shard, part.num_rows)) for shard, part in parts]
    boxes = pa.concat_tables([BOXES.append(SHARDED).empty_table(), *named])
    both = boxes.group_by(["first_split", "second_split"]).aggregate([]).to_pylist()
    tallies, pictures = {}, [PICTURES.empty_table()]
    for first, second in sorted((row["first_split"], row["second_split"]) for row in both):
        mine = pc.and_(pc.equal(boxes["first_split"], first), pc.equal(boxes["second_split"], second))
        tallies[first, second], told = compare(boxes.filter(mine))
        pictures.append(told)
    return tallies, pa.concat_tables(pictures)


def describe(view: View, active: Active, pictures: pa.Table) -> pa.Table:
    """Raw findings about the images of a shard, `PICTURES`, whose two drawings agree too little."""
    raw = [findings.RAW.empty_table()]
    for rule, limits in active.of(DrawnRule):
        counts = ("mine", "theirs", "matched", "close")
        mine, theirs, matched, close = (tables.numpy(pictures, name) for name in counts)
        poor = np.flatnonzero(2 * close < limits["min_agreement"] * (mine + theirs))
        told = pictures.take(pa.array(poor))
        words = [integer(column[poor]) for column in (matched, mine, theirs, close)]
        median = pc.coalesce(join(", at a median IoU of ", _filled(told["median"])), "")
        median = pc.if_else(told["median"].is_valid(), median, "")
        drawn = join(told["other"], ": ", words[0], " of ", words[1], " and ", words[2], " boxes match at IoU .5")
        differ = integer(tables.numpy(told, "differing"))
        observed = join(drawn, ", ", words[3], " at .75", median, "; ", differ, " of another class")
        severity = np.full(len(poor), SUSPECT, np.int8)
        rows = tables.numpy(told, "row")
        hits = Hits(
            rows, "images", observed=_whole(observed), severity=severity, share=_whole(told["splits"]),
            extra=_whole(told["other"]), other_file_name=_whole(told["other_file_name"]),
            other_split=_whole(told["other_split"]),
        )  # fmt: skip
        raw.append(findings.build(rule, limits, view, hits))
    return pa.concat_tables(raw)


def _filled(values: pa.ChunkedArray) -> pa.Array:
    return number(pc.fill_null(_whole(values), 0.0).to_numpy(zero_copy_only=False))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
