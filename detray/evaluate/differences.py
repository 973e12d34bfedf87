"""The steps that score the same detections by other rules, to find what explains a figure from elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Floats
from detray.evaluate.expectations import Expectation, Reading, metric_of
from detray.evaluate.protocol import Protocol
from detray.evaluate.repeats import repeated_ids
from detray.evaluate.shard.matches import match_shard
from detray.evaluate.steps import REDUCED, UNSEEN, Matched, PartOfSplit, Work, match_facts, read_piece
from detray.evaluate.tables.classes import ClassRows, class_ids
from detray.evaluate.tables.metrics import class_numbers
from detray.evaluate.tables.names import Names
from detray.evaluate.tables.summary import summary_values
from detray.evaluate.variants import Variant, changed, with_filter
from detray.flow.flow import Flow, Result, Results
from detray.flow.kept import Kept
from detray.flow.pieces import Piece
from detray.flow.step import Output, Step, Tables
from detray.store import ShardKey
from detray.tables import Shard


@dataclass(frozen=True)
class VariantOf:
    """A variant in a piece; ``repeated`` as in `Work`."""

    variant: Variant
    piece: Piece
    repeated: tuple[Kept, ...]


@dataclass(frozen=True)
class Scored:
    """A variant in one split: the kept tables of all pieces, by table, and what is wanted of it."""

    variant: Variant
    split: str
    kept: Mapping[str, Sequence[Kept]]
    expected: tuple[Expectation, ...]


class Said(msgspec.Struct, frozen=True):
    """What the number of an expectation is, in words."""

    key: str
    words: str
    value: float | None


class VariantScores(PartOfSplit, frozen=True):
    """What a variant makes of the wanted numbers of a split."""

    said: list[Said]


def _own(work: Work, variant: Variant, repeated: tuple[Kept, ...]) -> Work:
    """The work by the rules of a variant; without other ones by those of the evaluation."""
    own = replace(work, slices=(), other=None)
    if variant.settings is None:
        return own
    return replace(own, settings=variant.settings, repeated=repeated if variant.settings.strict_pycocotools else ())


def read_variant(work: Work, task: VariantOf) -> Tables:
    """As for the evaluation itself."""
    return read_piece(_own(work, task.variant, task.repeated), task.piece)


def match_variant(work: Work, task: VariantOf, rows: Tables) -> Output[Matched]:
    """Match a piece by the rules of a variant."""
    own, split = _own(work, task.variant, task.repeated), task.piece.shard.split
    names = ("images", "annotations", "categories", "predictions")
    shard = Shard(split, **{name: rows[name] for name in names}).without(rows[UNSEEN]["image_id"])
    shard = changed(shard, task.variant.rows)
    found = match_shard(shard, own.settings, rules=own.rules.get(split), run=own.run, model=own.model)
    return match_facts(task.piece, found, REDUCED)


def score_variant(work: Work, task: Scored) -> Output[VariantScores]:
    """The wanted numbers of a split by the rules of a variant."""
    variant = task.variant
    work = _own(work, variant, ())
    names, protocol = work.names(task.split), work.protocol
    detections, boxes, repairs = (pa.concat_tables([kept.read() for kept in task.kept[keep.name]]) for keep in REDUCED)
    detections = with_filter(detections, variant)
    listed = work.data.read("categories", filters=[("split", "=", task.split)])
    ids = class_ids(listed, detections["category_id"], boxes["category_id"])
    rows = ClassRows.of(ids, protocol, detections, boxes, repairs.slice(0, 0))
    numbers = class_numbers(rows, names, msgspec.structs.replace(work.settings, bootstrap=0))
    by_class = {number.name: tables.numpy(numbers, number.name) for number in protocol.numbers}
    whole = dict(zip(by_class, summary_values(numbers, names, protocol).tolist(), strict=True))
    said = []
    for expected in task.expected:
        for metric, words in _asked(expected, variant, protocol):
            value = (
                whole.get(metric)
                if expected.category is None
                else _of_class(by_class.get(metric), ids, names, expected)
            )
            said.append(Said(expected.key, words, _known(value)))
        if variant.name == OWN.name:
            said += _derived(expected, numbers, by_class, protocol, ids, names)
    return Output(VariantScores(task.split, said))


def _asked(expected: Expectation, variant: Variant, protocol: Protocol) -> list[tuple[str, str]]:
    """Which numbers of a variant may be meant by a figure, and in what words."""
    metric = metric_of(expected, protocol)
    if protocol.is_greedy:
        return [(metric, variant.words)]
    if metric not in ("AP", "AP50", "AP50_11point"):
        return []
    eleven = [("AP50_11point", f"{variant.words} with 11 points")] if protocol.name == "pascal" else []
    return [("AP50", variant.words), *eleven] if metric != "AP50_11point" else eleven


def _of_class(values: Floats | None, ids: np.ndarray, names: Names, expected: Expectation) -> float | None:
    """The value of the class that is meant, by name or id."""
    if values is None:
        return None
    meant = [
        place
        for place, number in enumerate(ids.tolist())
        if expected.category in (names.classes.get(number), str(number))
    ]
    return float(values[meant[0]]) if len(meant) == 1 else None


def _derived(
    expected: Expectation,
    numbers: pa.Table,
    by_class: Mapping[str, Floats],
    protocol: Protocol,
    ids: np.ndarray,
    names: Names,
) -> Iterable[Said]:
    """What the same matches give where classes without boxes count as 0, or at single IoU thresholds."""
    metric = metric_of(expected, protocol)
    values = by_class.get(metric)
    if values is not None and expected.category is None and np.isnan(values).any():
        mean = float(np.nan_to_num(values).mean()) if len(values) else None
        yield Said(expected.key, "with 0 for classes without boxes", mean)
    if metric not in ("AP", "AP50", "AP75") or not protocol.is_greedy:
        return
    precision = np.concatenate([chunk.flatten().to_numpy() for chunk in numbers["precision"].chunks] or [np.empty(0)])
    levels = precision.reshape(len(ids), len(protocol.areas), protocol.levels, protocol.points)[:, 0].mean(axis=2)
    for level, threshold in enumerate(protocol.thresholds.tolist()):
        of_level = levels[:, level]
        value = (
            (float(np.nanmean(of_level)) if np.isfinite(of_level).any() else None)
            if expected.category is None
            else _of_class(of_level, ids, names, expected)
        )
        yield Said(expected.key, f"at IoU {threshold:g} alone", _known(value))
    if metric != "AP":
        value = _of_class(by_class["AP"], ids, names, expected) if expected.category is not None else None
        if expected.category is None and np.isfinite(by_class["AP"]).any():
            value = float(np.nanmean(by_class["AP"]))
        yield Said(expected.key, "as the mean over all IoU thresholds", _known(value))


def _known(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


OWN = Variant("own", "by the rules of this evaluation")
MATCH: Step[Work, VariantOf, Matched] = Step(
    "variant", match_variant, Matched, REDUCED, read_variant, label="other rules", streams=True
)
SCORE: Step[Work, Scored, VariantScores] = Step("scored", score_variant, VariantScores, label="other numbers")


def readings(
    flow: Flow,
    work: Work,
    pieces: Sequence[Piece],
    keys: Sequence[ShardKey],
    matched: Results[Matched],
    variants: Sequence[Variant],
    expected: Sequence[Expectation],
) -> dict[tuple[str, str], list[Reading]]:
    """What each of ``variants`` makes of the expected numbers, by split and `Expectation.key`; the first is the own."""
    repeated = work.repeated
    if not repeated and any(one.settings is not None and one.settings.strict_pycocotools for one in variants):
        repeated = repeated_ids(flow, work, keys)
    again = {
        f"{variant.name}-{piece.name}": VariantOf(variant, piece, repeated)
        for variant in variants
        if variant.settings is not None
        for piece in pieces
    }
    own, others = list(matched.values()), flow.map(MATCH, work, again)
    scored = {}
    for number, variant in enumerate((OWN, *variants)):
        rows = own if variant.settings is None else [others[f"{variant.name}-{piece.name}"] for piece in pieces]
        for split in dict.fromkeys(piece.shard.split for piece in pieces):
            kept = _kept(split, rows)
            scored[f"{number:03d}-{variant.name}-{split}"] = Scored(variant, split, kept, tuple(expected))
    found: dict[tuple[str, str], list[Reading]] = {}
    for scores in flow.map(SCORE, work, scored).facts:
        for said in scores.said:
            found.setdefault((scores.split, said.key), []).append(Reading(said.words, said.value))
    return found


def _kept(split: str, rows: Sequence[Result[Matched]]) -> dict[str, list[Kept]]:
    own = [result for result in rows if result.facts.split == split]
    return {keep.name: [result[keep.name] for result in own] for keep in REDUCED}
