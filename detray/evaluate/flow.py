"""The flow of the evaluation: images matched piece by piece, metrics reduced class by class.

Rows of the tables do not reach this process: tasks tell it how many rows of each class they keep, and
histograms of errors.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

import msgspec
import numpy as np

from detray.evaluate import steps, summary, unscored
from detray.evaluate.against import OtherModel
from detray.evaluate.differences import readings
from detray.evaluate.expectations import Expectation, Reading, explained, parse
from detray.evaluate.noise import noise_of
from detray.evaluate.open_images import rules_by_split
from detray.evaluate.repeats import repeated_ids
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.annotation_ids import AnnotationIds, told
from detray.evaluate.shard.area_counts import AreaCounts, told_areas
from detray.evaluate.shard.box_counts import BoxCounts
from detray.evaluate.shard.slice_columns import SHAPES, Slice, resolve
from detray.evaluate.steps import ClassesReduced, ClassGroup, Held, ImagesRanked, Matched, OtherWork, PartOfSplit, Work
from detray.evaluate.tables.images import first_ranks
from detray.evaluate.variants import AS_PYCOCOTOOLS, strict, variants
from detray.flow.account import Account
from detray.flow.data import Data
from detray.flow.flow import Flow, Result, Results
from detray.flow.outcome import Outcome
from detray.flow.pieces import Piece, cut
from detray.flow.step import Keep
from detray.store import ShardKey

TABLES = (
    "matches",
    "class_metrics",
    "summary_metrics",
    "pr_curves",
    "confusion",
    "errors",
    "image_metrics",
    "slices",
    "comparisons",
)
OfSplit = TypeVar("OfSplit", bound=PartOfSplit)

COPIES = 5
"""Slices in each of which a detection counts that take as much memory as matching it."""
MIN_GROUP_ROWS, MAX_GROUP_ROWS = 50_000, 250_000
"""Detections of the classes that one task reduces: some 150 MB, but for one huge class."""


def evaluate(
    flow: Flow,
    run: str,
    splits: Sequence[str],
    settings: EvaluateSettings,
    other: OtherModel | None = None,
    aliases: Mapping[str, int] = MappingProxyType({}),
    expect: Mapping[str, float] = MappingProxyType({}),
) -> Outcome:
    """Evaluate the predictions of ``splits``, and compare them with another model's.

    Args:
        flow: its data holds what ingest and predict wrote.
        run: what all rows are marked with.
        splits: which are evaluated.
        settings: how.
        other: the other model.
        aliases: ids of classes by further names, of a label map.
        expect: figures of another tool, by name.

    Raises:
        DetrayError: no detection can be placed, or none has a mask, or the data lack what the protocol is about.
        UsageError: a slice names no column, or the settings do not fit the protocol.
    """
    predicted = flow.data.manifest("predict") or {}
    facts, keys = predicted.get("facts", {}), flow.data.shards(splits)
    expected = [parse(name, value) for name, value in expect.items()]
    work = Work(flow.data, run, facts.get("model", "detections"), settings, marks=bool(expected))
    work = _completed(flow, replace(work, other=other.name if other is not None else None), keys, aliases)
    load = 1 + sum(chosen.copies for chosen in work.slices) / COPIES
    pieces = cut(keys, load * sum(part["rows"] for part in flow.data.files("predictions", "predict")))
    matched = flow.map(steps.MATCH, work, {piece.name: piece for piece in pieces})
    read = predicted.get("counts", {}).get("in", 0) if "placed" in facts else 0  # of a file of detections
    left_out = unscored.total(matched.facts, splits, 0 if facts.get("placed") else read)
    n = sum(found.detections for found in matched.facts)
    unscored.require_labels(matched.facts, splits, work.protocol)
    others = _match_other(flow, work, other, keys) if other is not None else Results({})
    compared = _account(other, others.facts, splits) if other is not None else Outcome()
    splits = list(dict.fromkeys(key.split for key in keys))
    groups = _class_groups(flow, splits, matched, others, MAX_GROUP_ROWS / load)
    classes = flow.map(steps.CLASSES, work, groups)
    ranked = _rank_images(flow, work, pieces, matched, classes)
    found = _summaries(flow, work, splits, matched, classes, ranked)
    elsewhere = _elsewhere(flow, work, pieces, keys, matched, expected)
    return Outcome(
        counts={name: count + compared.counts.get(name, 0) for name, count in unscored.counts(n, left_out).items()},
        facts={"model": work.model, "left_out": left_out}
        | {"gains": {split.split: msgspec.to_builtins(split.gain) for split in found if split.gain is not None}},
        seeds={"bootstrap": settings.seed},
        summary=[*summary.tables(found, work.other, work.protocol.title), *compared.summary],
        notes=[
            *unscored.nothing_left(read, n),
            *(note for split in found for note in summary.notes(split, settings.bootstrap > 0)),
            *_noise(flow, work, splits),
            *unscored.fates(left_out),
            *elsewhere,
            *unscored.capped(matched.facts, work.data, work.protocol.cap),
            *compared.notes,
        ],
    )


def _noise(flow: Flow, work: Work, splits: Sequence[str]) -> list[str]:
    """What two drawings of one picture say of the numbers of boxes."""
    names = [] if work.settings.iou_type == "segm" else [number.name for number in work.protocol.numbers]
    return [note for split in splits for note in noise_of(flow.data, split, names)]


def _completed(flow: Flow, work: Work, keys: Sequence[ShardKey], aliases: Mapping[str, int]) -> Work:
    """The work with what has to be known of the whole data set."""
    splits, settings = list(dict.fromkeys(key.split for key in keys)), work.settings
    formats = (flow.data.manifest("ingest") or {}).get("facts", {}).get("formats", {})
    work = replace(
        work,
        slices=_slices(flow, work, keys),
        rules=rules_by_split(flow.data, splits, settings, aliases),
        records="tfrecord" in {formats.get(split) for split in splits},
    )
    return replace(work, repeated=repeated_ids(flow, work, keys)) if settings.strict_pycocotools else work


def _slices(flow: Flow, work: Work, keys: Sequence[ShardKey]) -> tuple[Slice, ...]:
    """What slices; shapes need no looking for it."""
    names = work.settings.slices
    if set(names) <= set(SHAPES):
        return resolve(names)
    return resolve(names, flow.map(steps.COLUMNS, work, {key.name: key for key in keys}).facts)


def _match_other(flow: Flow, work: Work, other: OtherModel, keys: Sequence[ShardKey]) -> Results[Matched]:
    pieces = cut(keys, other.predictions.rows)
    own = OtherWork(replace(work, model=other.name, slices=()), other.predictions)
    return flow.map(steps.OTHER, own, {piece.name: piece for piece in pieces})


def _account(other: OtherModel, matched: Sequence[Matched], splits: Sequence[str]) -> Outcome:
    """What there is to say of the other model's rows.

    Raises:
        DetrayError: as `evaluate`.
    """
    account = Account.total(found.account for found in matched)
    left_out = unscored.total(matched, splits, 0 if account.placed else account.read, f"{other.path}: ")
    n = sum(found.detections for found in matched)
    of_detections = {what: count for what, count in left_out.items() if what.startswith("detections")}
    notes = [*other.predictions.notes(), *unscored.nothing_left(account.read, n), *unscored.fates(of_detections)]
    name = summary.short(other.name, 40)
    return Outcome(
        unscored.counts(n, left_out, account.counts["quarantined"]),
        summary=other.predictions.tables(account, f"Detections of {name} left out"),
        notes=[f"{name}: {note}" for note in notes],
    )


def _class_groups(
    flow: Flow, splits: Sequence[str], matched: Results[Matched], others: Results[Matched], most: float
) -> dict[str, ClassGroup]:
    """The groups of all splits, by a name in their order."""
    return {
        f"{number:03d}-{name}": group
        for number, split in enumerate(splits)
        for name, group in _groups(flow, split, _of_split(split, matched), _of_split(split, others), most).items()
    }


def _groups(
    flow: Flow,
    split: str,
    matched: Sequence[Result[Matched]],
    others: Sequence[Result[Matched]],
    most: float,
) -> dict[str, ClassGroup]:
    """The classes of a split in groups of about equally many detections of both models, ``most`` at most.

    Their names say which classes, so that a run that goes on takes up only the same groups.
    """
    rows: Counter[int] = Counter(dict.fromkeys(_category_ids(flow.data, split), 0))
    for result in (*matched, *others):
        rows.update(dict(zip(result.facts.ids, result.facts.held["detections"], strict=True)))
    limit = min(max(sum(rows.values()) / (2 * flow.workers), MIN_GROUP_ROWS), most)
    ids = sorted(rows)
    ends, held = [0], 0
    for place, category in enumerate(ids):
        held += rows[category]
        if held >= limit or place == len(ids) - 1:
            ends.append(place + 1)
            held = 0
    if len(ends) == 1:
        ends.append(0)  # a split without classes has its tables all the same
    borders = list(pairwise(ends))
    groups = [tuple(ids[low:high]) for low, high in borders]
    own = _held(matched, (*steps.REDUCED, *steps.SLICED), groups)
    other = _held(others, steps.REDUCED, groups)
    return {
        f"{low:06d}-{high:06d}": ClassGroup(split, group, mine, theirs)
        for (low, high), group, mine, theirs in zip(borders, groups, own, other, strict=True)
    }


def _category_ids(data: Data, split: str) -> list[int]:
    categories = data.read("categories", columns=["category_id"], filters=[("split", "=", split)])
    ids: list[int] = categories["category_id"].drop_null().to_pylist()
    return ids


def _held(
    results: Sequence[Result[Matched]], keeps: Sequence[Keep], groups: Sequence[tuple[int, ...]]
) -> list[dict[str, Held]]:
    """For each group of classes, where its rows lie in the tables that pieces kept."""
    found: list[dict[str, Held]] = [{} for _ in groups]
    for keep in keeps:
        kept = [result[keep.name] for result in results]
        ends = np.zeros((len(groups), len(results), 2), np.int64)
        for piece, result in enumerate(results):
            ids, rows = np.array(result.facts.ids, np.int64), np.cumsum([0, *result.facts.held[keep.name]])
            for group, own in enumerate(groups):
                if own:
                    low, high = np.searchsorted(ids, own[0]), np.searchsorted(ids, own[-1], side="right")
                    ends[group, piece] = rows[low], rows[high]
        for group, held in enumerate(found):
            held[keep.name] = Held(kept, ends[group])
    return found


def _rank_images(
    flow: Flow, work: Work, pieces: Sequence[Piece], matched: Results[Matched], classes: Results[ClassesReduced]
) -> Results[ImagesRanked]:
    thresholds = {
        split: [result["thresholds"] for result in _of_split(split, classes)]
        for split in dict.fromkeys(piece.shard.split for piece in pieces)
    }
    counting = {}
    for piece in pieces:
        own = matched[piece.name]
        counting[piece.name] = steps.Counting(piece, own["detections"], own["boxes"], thresholds[piece.shard.split])
    counted = flow.map(steps.IMAGES, work, counting)
    ranking = {}
    for split in thresholds:
        mine = _of_split(split, counted)
        first = first_ranks([result.facts.histogram for result in mine])
        for result, ranks in zip(mine, first, strict=True):
            ranking[result.key] = steps.Ranking(split, result["images"], ranks)
    return flow.map(steps.RANKS, work, ranking)


def _summaries(
    flow: Flow,
    work: Work,
    splits: Sequence[str],
    matched: Results[Matched],
    classes: Results[ClassesReduced],
    ranked: Results[ImagesRanked],
) -> list[summary.SplitShown]:
    """Put each split together."""
    wholes = {}
    for number, split in enumerate(splits):
        own = _of_split(split, classes)
        wholes[f"{number:03d}"] = steps.WholeSplit(
            split,
            [result["confusion"] for result in _of_split(split, matched)],
            [result["sources"] for result in _of_split(split, matched)],
            [result["numbers"] for result in own],
            [result["other_numbers"] for result in own if work.other is not None],
        )
    return [
        summary.SplitShown(
            whole.split,
            sum(result.facts.n_classes for result in _of_split(whole.split, classes)),
            [result.facts.shown for result in _of_split(whole.split, classes)],
            [image for result in _of_split(whole.split, ranked) for image in result.facts.worst],
            whole.numbers,
            whole.gain,
            whole.told,
        )
        for whole in flow.map(steps.SUMMARY, work, wholes).facts
    ]


def _elsewhere(
    flow: Flow,
    work: Work,
    pieces: Sequence[Piece],
    keys: Sequence[ShardKey],
    matched: Results[Matched],
    expected: Sequence[Expectation],
) -> list[str]:
    """Where other tools give other numbers: what they are, and what explains the figures of one."""
    splits = list(dict.fromkeys(piece.shard.split for piece in pieces))
    counts = {split: BoxCounts.total([found.facts.boxes for found in _of_split(split, matched)]) for split in splits}
    protocol, settings = work.protocol, work.settings
    repeated = protocol.name == "coco" and not settings.strict_pycocotools
    repeated = repeated and any(told(split, _annotation_ids(split, matched)) for split in splits)
    main, others = parse(protocol.main, 0.0), []
    if expected:
        boxes = BoxCounts.total(list(counts.values()))
        others = variants(settings, boxes, [one.metric for one in expected], repeated=repeated)
    elif repeated:
        others = [strict(settings)]
    masks = (flow.data.manifest("ingest") or {}).get("facts", {}).get("masks", {})
    seen: dict[tuple[str, str], list[Reading]] = {}
    if others or expected:
        wanted = {one.key: one for one in (main, *expected)}
        seen = readings(flow, work, pieces, keys, matched, others, list(wanted.values()))
    lines = []
    for split in splits:
        theirs = [one.value for one in seen.get((split, main.key), []) if one.words == AS_PYCOCOTOOLS]
        if not settings.strict_pycocotools:
            lines += told(split, _annotation_ids(split, matched), theirs[0] if theirs else None)
        areas = AreaCounts.total([found.facts.areas for found in _of_split(split, matched)])
        lines += told_areas(split, areas, protocol.areas[1:], may_have_masks=masks.get(split) != 0)
        for one in expected:
            own, *rest = seen.get((split, one.key)) or [Reading("", None)]
            lines.append(explained(one, split, own.value, rest))
    return lines


def _annotation_ids(split: str, matched: Results[Matched]) -> list[AnnotationIds]:
    return [result.facts.annotation_ids for result in _of_split(split, matched)]


def _of_split(split: str, results: Results[OfSplit]) -> list[Result[OfSplit]]:
    return [result for result in results.values() if result.facts.split == split]
