"""The stage ``evaluate``: images matched piece by piece, metrics reduced class by class.

In steps of parallel tasks: *match* matches some images of a shard and leaves the match table and,
in scratch, what the metrics need, sorted by class; *classes* reads the rows of some classes from
all pieces; *images* counts the errors of each image at the scores found; *ranks* puts images in
order; *summary* puts a split together. The driver sees counts of rows and histograms.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from detray.errors import DetrayError, UsageError
from detray.evaluate.api import TABLES
from detray.evaluate.images import first_ranks
from detray.evaluate.inputs import no_known_image
from detray.evaluate.slice_columns import SHAPES, Slice, resolve
from detray.flow.pieces import cut
from detray.store import Json, ShardKey, Stage, Store
from detray.verbs import evaluate_summary as show
from detray.verbs import evaluate_tasks as tasks
from detray.verbs.base import Context, Old, StageDefinition
from detray.verbs.config import Config
from detray.verbs.precomputed import Account, checking, read_file

COPIES = 5
"""Slices in each of which a detection counts that take as much memory as matching it."""
MIN_GROUP_ROWS, MAX_GROUP_ROWS = 50_000, 250_000
"""Detections of the classes that one task reduces: some 150 MB, but for one huge class."""


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    """Evaluate the predictions of the splits of ``predict.splits``, against another model's if one is named."""
    config, store = context.config, context.store
    predicted = store.manifest("predict") or {}
    facts = predicted.get("facts", {})
    model = facts.get("model", "detections")
    keys = store.shards(config.predict.splits)
    columns, slices = _slices(context, stage, keys, done)
    work = tasks.Work(stage, config.name, model, config.evaluate, slices, _other(config, model))
    splits = list(dict.fromkeys(key.split for key in keys))
    load = 1 + sum(chosen.copies for chosen in slices) / COPIES
    pieces = cut(keys, load * sum(part["rows"] for part in store.files("predictions", "predict")))
    parts = {f"{tasks.MATCH}-{piece.name}": piece for piece in pieces}
    matched = context.run_tasks("match", partial(tasks.match, work), parts, done)
    read = predicted.get("counts", {}).get("in", 0) if "placed" in facts else 0  # of a file of detections
    left_out = _left_out(config, matched, 0 if facts.get("placed") else read)
    n = sum(receipt["facts"]["detections"] for receipt in matched)
    other = _match_other(context, work, work.other, keys, done) if work.other else Old([])

    groups = [
        group
        for number, split in enumerate(splits)
        for group in _groups(context, number, split, matched, other.receipts, load)
    ]
    classes = context.run_tasks("classes", partial(tasks.reduce, work), {group.name: group for group in groups}, done)
    names = {split: tuple(group.name for group in groups if group.split == split) for split in splits}
    counting = {f"images-{piece.name}": tasks.Counting(piece, names[piece.shard.split]) for piece in pieces}
    counted = context.run_tasks("images", partial(tasks.count, work), counting, done)
    ranking = {f"ranks-{task.counted}": task for split in splits for task in _rankings(split, counted)}
    ranked = context.run_tasks("ranks", partial(tasks.rank, work), ranking, done)
    wholes = {
        name: tasks.Whole(name, split, tuple(p.name for p in pieces if p.shard.split == split), names[split])
        for name, split in ((f"summary-{number:03d}", split) for number, split in enumerate(splits))
    }
    summaries = context.run_tasks("summary", partial(tasks.summarise, work), wholes, done)

    def of_split(split: str, receipts: Sequence[Json]) -> list[Json]:
        return [receipt["facts"] for receipt in receipts if receipt["facts"]["split"] == split]

    return Old(
        [*columns, *matched, *other.receipts, *classes, *counted, *ranked, *summaries],
        counts={name: count + other.counts.get(name, 0) for name, count in _counts(n, left_out).items()},
        facts={"model": model, "left_out": left_out},
        seeds={"bootstrap": config.evaluate.seed},
        summary=[
            show.numbers_table(summaries),
            *(table for split in splits for table in show.class_tables(split, of_split(split, classes))),
            *(table for split in splits for table in show.images_table(of_split(split, ranked))),
            *([show.comparison_table(work.other.model, summaries, classes)] if work.other else []),
            *other.summary,
        ],
        notes=[
            *_nothing_left(read, n),
            *(
                note
                for split in splits
                for note in show.notes(split, of_split(split, classes), config.evaluate.bootstrap > 0)
            ),
            *_fates(left_out),
            *other.notes,
        ],
    )


_NOT_KEPT = (
    "detections of an unknown image",
    "detections without a box",
    "detections without a score",
    "detections without a mask",
    "detections over max_detections",
)
_FATE = {
    "detections of a class that ground truth lacks": "count for no AP: such a class has none",
    "detections over max_detections": "of an image and class are left out",
}


def _counts(n: int, left_out: Mapping[str, int], quarantined: int = 0) -> dict[str, int]:
    """The counts of an outcome in which ``n`` detections are scored."""
    kept_not = sum(left_out[reason] for reason in _NOT_KEPT)
    return {"in": n + kept_not + quarantined, "kept": n, "quarantined": quarantined}


def _nothing_left(read: int, n: int) -> list[str]:
    """What to say where every row of a file of detections was left out."""
    return [f"nothing is left to score: all {read:,} detections were left out before"] if read and not n else []


def _fates(left_out: Mapping[str, int]) -> list[str]:
    """What became of rows that do not take part as the others do."""
    return [f"{count:,} {what} {_FATE.get(what, 'take no part')}" for what, count in left_out.items() if count]


def _slices(
    context: Context, stage: Stage, keys: Sequence[ShardKey], done: dict[str, bytes]
) -> tuple[list[Json], tuple[Slice, ...]]:
    """What slices, and the receipts of the tasks that looked for it; shapes need no looking."""
    names = context.config.evaluate.slices
    if set(names) <= set(SHAPES):
        return [], resolve(names)
    look = partial(tasks.look_for_slices, stage, names)
    receipts = context.run_tasks("find slices", look, {f"columns-{key.name}": key for key in keys}, done)
    return receipts, resolve(names, [receipt["facts"]["survey"] for receipt in receipts])


def _other(config: Config, model: str) -> tasks.Other | None:
    """The other model, by a name that is not ``model``.

    Raises:
        UsageError: it is a file of detections, and several splits are evaluated.
    """
    against, splits = config.evaluate.against, config.predict.splits
    if against is None:
        return None
    manifest = Store(against).manifest("predict")
    if manifest is None and len(splits) != 1:
        raise UsageError(f"{against}: a file of detections is of one split, but predict.splits names {len(splits)}")
    name = Path(against).stem if manifest is None else manifest["facts"].get("model", against)
    return tasks.Other(against if name == model else name, None if manifest is None else against)


def _match_other(
    context: Context, work: tasks.Work, other: tasks.Other, keys: Sequence[ShardKey], done: dict[str, bytes]
) -> Old:
    """Match the other model's detections; the receipts, and what there is to say of rows that are left out.

    Raises:
        DetrayError: as `_left_out`.
    """
    config = context.config
    path, split, is_file = str(config.evaluate.against), config.predict.splits[0], other.folder is None
    readings = read_file(context, work.stage, done, path, split) if is_file else []
    held = [receipt["facts"] for receipt in readings] if is_file else Store(path).files("predictions", "predict")
    pieces = cut(keys, sum(part["rows"] for part in held))
    checks = [checking(readings, piece, unnamed=piece is pieces[0]) if is_file else None for piece in pieces]
    parts = {f"{tasks.OTHER}-{piece.name}": (piece, check) for piece, check in zip(pieces, checks, strict=True)}
    matched = context.run_tasks("match other", partial(tasks.match_other, work, other), parts, done)
    facts = [receipt["facts"] for receipt in matched]
    account = Account.of(readings, [fact["account"] for fact in facts if is_file])
    read = account.counts["in"]
    left_out = _left_out(config, matched, 0 if account.placed else read, f"{path}: ")
    n = sum(fact["detections"] for fact in facts)
    of_detections = {what: count for what, count in left_out.items() if what.startswith("detections")}
    notes = [*account.notes(), *_nothing_left(read, n), *_fates(of_detections)]
    name = show.short(other.model, 40)
    return Old(
        [*readings, *matched],
        counts=_counts(n, left_out, account.counts["quarantined"]),
        summary=account.tables(f"Detections of {name} left out"),
        notes=[f"{name}: {note}" for note in notes],
    )


def _left_out(config: Config, matched: Sequence[Json], strangers: int, source: str = "") -> Counter[str]:
    """How many rows were left out, by reason.

    Args:
        matched: the receipts of a model's matches.
        strangers: rows of its file, if none of them names an image of the data set.
        source: what begins the sentence of an error.

    Raises:
        DetrayError: there are detections, and none names an image of the data set, or none has a mask,
            where masks are compared.
    """
    left_out: Counter[str] = Counter()
    for receipt in matched:
        left_out.update(receipt["facts"]["left_out"])
    if not any(receipt["facts"]["detections"] for receipt in matched):
        strangers = strangers or left_out["detections of an unknown image"]
        if strangers:
            raise DetrayError(source + no_known_image(", ".join(config.predict.splits), strangers))
        bare = left_out["detections without a mask"]
        if bare:
            raise DetrayError(
                f"{source}none of the {bare} detections has a mask, which evaluate.iou_type segm compares: set it to"
                " bbox, or give detections with a segmentation"
            )
    return left_out


def _groups(
    context: Context, number: int, split: str, matched: Sequence[Json], other: Sequence[Json], load: float
) -> list[tasks.Group]:
    """The classes of a split in groups of about equally many detections, from the receipts of both models.

    ``load`` says how many detections each one takes the memory of.
    """
    categories = context.store.read("categories", columns=["category_id"], filters=[("split", "=", split)])
    rows: Counter[int] = Counter(dict.fromkeys(categories["category_id"].drop_null().to_pylist(), 0))
    pieces = []
    for receipts in (matched, other):
        facts = [receipt["facts"] for receipt in receipts if receipt["facts"].get("split") == split]
        for fact in facts:
            rows.update(dict(zip(fact["ids"], fact["held"]["detections"], strict=True)))
        pieces.append(tuple(fact["piece"] for fact in facts))
    limit = min(max(sum(rows.values()) / (2 * context.executor.workers), MIN_GROUP_ROWS), MAX_GROUP_ROWS / load)
    ids = sorted(rows)
    groups, low, held = [], 0, 0
    for place, category in enumerate(ids):
        held += rows[category]
        if held >= limit or place == len(ids) - 1:
            # the name says which classes, so that a run that goes on takes up only the same groups
            name = f"classes-{number:03d}-{low:06d}-{place:06d}"
            groups.append(tasks.Group(name, split, tuple(ids[low : place + 1]), *pieces))
            low, held = place + 1, 0
    return groups


def _rankings(split: str, counted: Sequence[Json]) -> list[tasks.Ranking]:
    mine = [receipt for receipt in counted if receipt["facts"]["split"] == split]
    first = first_ranks([dict(receipt["facts"]["histogram"]) for receipt in mine])
    return [tasks.Ranking(split, receipt["shard"], ranks) for receipt, ranks in zip(mine, first, strict=True)]


STAGE = StageDefinition(
    name="evaluate",
    tables=TABLES,
    sections=("evaluate",),
    old=run,
    needs=lambda config: ("ingest", "predict"),
    inputs=lambda config: (config.evaluate.against,) if config.evaluate.against else (),
)
