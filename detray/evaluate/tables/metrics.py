"""The tables about classes: ``class_metrics``, ``pr_curves`` and ``errors``."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray import schema
from detray.arrays import Floats, Ints
from detray.boxes import IOU_THRESHOLDS, RECALL_POINTS
from detray.evaluate.kernel.accumulate import TruePositives, area_under_envelope, precision_at_recall, reached
from detray.evaluate.kernel.order import pair_codes, stable_argsort
from detray.evaluate.protocol import Number
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.shard.errors import ERRORS, FALSE_DETECTIONS
from detray.evaluate.shard.pascal import HIT, IGNORED
from detray.evaluate.tables.bootstrap import interval, replicates
from detray.evaluate.tables.classes import ClassRows
from detray.evaluate.tables.names import Names
from detray.evaluate.tables.operating import best_f1, calibration_error

ELEVEN_POINTS = np.arange(0.0, 1.1, 0.1)
"""The recall grid of Pascal VOC 2007, with the bits of the code that everybody copies."""


@dataclass(frozen=True)
class ClassTables:
    """What is known of some classes: their rows of three tables, and ``numbers``, for the tables about all.

    ``numbers`` has a row for each class and resample: category_id, n_images (with boxes), resample
    (-1: the value itself) and the class's share in each of the protocol's numbers. The rows of the
    value hold what these are means of: ``precision`` (area ranges, IoU thresholds and recall points)
    and ``recalls`` (the smaller caps, then area ranges, by IoU thresholds), flat, NaN without boxes.
    """

    class_metrics: pa.Table
    pr_curves: pa.Table
    errors: pa.Table
    numbers: pa.Table


def class_numbers(rows: ClassRows, names: Names, settings: EvaluateSettings) -> pa.Table:
    """`ClassTables.numbers` alone."""
    scores = _scores(rows)
    return _numbers(rows, names, image_counts(rows)[:, 0], scores, _resampled(rows, settings, scores))


def class_tables(rows: ClassRows, names: Names, settings: EvaluateSettings) -> ClassTables:
    """The tables of the classes of ``rows``."""
    scores = _scores(rows)
    n_images, resampled = image_counts(rows), _resampled(rows, settings, scores)
    return ClassTables(
        _class_metrics(rows, names, scores, n_images, resampled),
        _pr_curves(rows, names, scores[0]),
        _errors(rows, names, scores[0].hits, scores[0].ap),
        _numbers(rows, names, n_images[:, 0], scores, resampled),
    )


@dataclass(frozen=True)
class _AreaScores:
    """AP, and recall at the protocol's smaller caps and at all kept detections, of an area range."""

    hits: TruePositives
    precision: Floats
    """``[k, l, points]``, NaN without boxes; of `Protocol.precision`."""
    ap: Floats
    """``[k, l]``, at each level."""
    mean_ap: Floats
    """``[k]``"""
    recall: Floats
    """``[k, caps, l]``"""
    mean_recall: Floats
    """``[k, caps]``"""

    @staticmethod
    def of(rows: ClassRows, area: int) -> "_AreaScores":
        hits, n_gt = rows.hits(rows.matched[area] & rows.counted[area], rows.counted[area]), rows.n_gt[:, area, None]
        place = rows.class_rank[hits.row]
        boxes = np.where(n_gt > 0, n_gt, np.nan)
        protocol = rows.protocol
        capped = [hits.count_where(place <= cap) for cap in protocol.recalls] + [hits.count]
        precision = protocol.precision(hits, n_gt)
        averaged, recall = protocol.over_levels(precision), np.stack([found / boxes for found in capped], axis=1)
        return _AreaScores(
            hits,
            precision,
            precision.mean(axis=2),
            # over both at once, as pycocotools does: another order of summation ends in other bits
            averaged.reshape(len(averaged), averaged.shape[1] * averaged.shape[2]).mean(axis=1),
            recall,
            protocol.over_levels(recall, axis=2).mean(axis=2),
        )


def _scores(rows: ClassRows) -> list[_AreaScores]:
    return [_AreaScores.of(rows, area) for area in range(len(rows.protocol.areas))]


def _resampled(rows: ClassRows, settings: EvaluateSettings, scores: list[_AreaScores]) -> Floats:
    return replicates(rows, [score.hits for score in scores], settings.bootstrap, settings.seed)


def _share(rows: ClassRows, scores: list[_AreaScores], number: Number) -> Floats:
    """Each class's share in a number, ``[k]``."""
    part = scores[number.area]
    if number.kind == "eleven":
        return _pascal(rows)["voc_ap50_11point"]
    if number.kind == "recall":
        return part.mean_recall[:, -1 if number.cap is None else number.cap]
    return part.mean_ap if number.level is None else part.ap[:, number.level]


def _numbers(rows: ClassRows, names: Names, n_images: Ints, scores: list[_AreaScores], resampled: Floats) -> pa.Table:
    """A row for each class and resample; -1 stands for the value itself."""
    ids, numbers = rows.ids, rows.protocol.numbers
    values = np.stack([_share(rows, scores, number) for number in numbers], axis=1)
    table = np.concatenate([values[:, :, None], resampled], axis=2)  # [k, numbers, 1 + n]
    for place, number in enumerate(numbers):
        if number.frequency is not None:
            others = [names.frequencies.get(one) != number.frequency for one in ids.tolist()]
            table[np.array(others, np.bool_), place] = np.nan
    per_class = table.shape[2]
    resample = np.tile(np.arange(-1, per_class - 1), len(ids))
    precision = np.stack([part.precision for part in scores], axis=1)
    recalls = np.concatenate([scores[0].recall, *(part.recall[:, -1:] for part in scores[1:])], axis=1)
    columns = {
        "category_id": np.repeat(ids, per_class),
        "n_images": np.repeat(n_images, per_class),
        "resample": resample,
        "precision": _of_values(precision, resample),
        "recalls": _of_values(recalls, resample),
    }
    return pa.table(columns | {number.name: table[:, place].ravel() for place, number in enumerate(numbers)})


def _of_values(arrays: Floats, resample: Ints) -> pa.Array:
    """Each class's numbers ``[k, ...]`` as a list in its row of the value, NULL in those of resamples."""
    is_value = resample == -1
    size = arrays[0].size if len(arrays) else 0
    ends = np.concatenate([[0], np.cumsum(np.where(is_value, size, 0))])
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(arrays.ravel()), mask=pa.array(~is_value))


def image_counts(rows: ClassRows) -> Ints:
    """Images with boxes of each class that count, ``[k, a]`` by area range."""
    order = stable_argsort(pair_codes(rows.box_category, rows.box_image)[0])
    category, image = rows.box_category[order], rows.box_image[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (category[1:] != category[:-1]) | (image[1:] != image[:-1])
    place, of_pair = np.cumsum(is_first) - 1, category[is_first]
    result = []
    for counts in rows.box_counts:
        holds = np.zeros(len(of_pair), np.bool_)
        holds[place[counts[order]]] = True
        result.append(rows.per_class(of_pair[holds]))
    return np.stack(result, axis=1)


def _class_metrics(
    rows: ClassRows, names: Names, scores: list[_AreaScores], n_images: Ints, resampled: Floats
) -> pa.Table:
    """A row for each class and each area range that the protocol defines."""
    parts, protocol, k = [], rows.protocol, len(rows.ids)
    means = {number.area: place for place, number in enumerate(protocol.numbers) if _is_mean_precision(number)}
    for area, name in enumerate(protocol.areas):
        score, point = scores[area], best_f1(rows, scores[area].hits, area)
        low, high = interval(resampled[:, means[area]], score.mean_ap, n_images[:, area])
        counted = score.hits.counted[protocol.at50 * k : (protocol.at50 + 1) * k]
        n_counted = rows.per_class_of(~rows.is_repair) if area == 0 else counted
        at = {f"ap{round(100 * iou)}": protocol.level(iou) for iou in IOU_THRESHOLDS}
        columns = names.of(rows.ids) | {
            "area_range": [name] * len(rows.ids),
            "max_detections": np.full(len(rows.ids), protocol.cap),
            "n_ground_truth": rows.n_gt[:, area],
            "n_images": n_images[:, area],
            "n_detections": n_counted,
            "ap": score.mean_ap,
            **{column: score.ap[:, level] for column, level in at.items() if level is not None},
            **{f"ar{cap}": score.mean_recall[:, place] for place, cap in enumerate(protocol.recalls)},
            **({"ar100": score.mean_recall[:, -1]} if protocol.is_greedy else {}),
            "recall50": score.recall[:, -1, protocol.at50],
            "best_f1": point.f1,
            "best_f1_threshold": point.threshold,
            "best_f1_precision": point.precision,
            "best_f1_recall": point.recall,
            "ap_low": low,
            "ap_high": high,
        }
        if area == 0:
            columns |= {"ece": calibration_error(rows)} | (_pascal(rows) if protocol.has_voc else {})
        parts.append(schema.from_columns("class_metrics", columns, run=names.run))
    return pa.concat_tables(parts)


def _is_mean_precision(number: Number) -> bool:
    return number.kind == "precision" and number.level is None and number.frequency is None


def _pascal(rows: ClassRows) -> dict[str, Floats]:
    """Pascal VOC's two APs at IoU .5, of 2007 (11 points) and 2010 (area under the envelope)."""
    # as at one level: the bits of the others are not set
    hits = rows.hits(
        np.where(rows.pascal == HIT, np.int16(1), np.int16(0)),
        np.where(rows.pascal != IGNORED, rows.protocol.every, np.int16(0)),
    )
    n_gt = rows.per_class(rows.box_category[rows.box_counts[0] & ~rows.box_difficult])
    points = precision_at_recall(hits, n_gt[:, None], ELEVEN_POINTS)[:, 0].mean(axis=1)
    return {"voc_ap50_11point": points, "voc_ap50_area": area_under_envelope(hits, n_gt[:, None])[:, 0]}


def _pr_curves(rows: ClassRows, names: Names, every: _AreaScores) -> pa.Table:
    n_gt = rows.n_gt[:, 0]
    some = np.flatnonzero(n_gt)
    hits = every.hits
    which = reached(hits, n_gt[:, None])[some]
    score = np.append(rows.score[hits.row], np.nan)[which]
    # at recall 0 pycocotools gives the score of the first detection, be it true or not
    real = np.append(np.flatnonzero(~rows.is_repair), len(rows.score))
    first = real[np.searchsorted(real, rows.start[some])]
    there = first < rows.start[some + 1]
    score[there, :, 0] = rows.score[first[there], None]
    points, protocol = len(RECALL_POINTS), rows.protocol
    precision = every.precision if protocol.interpolated else precision_at_recall(hits, n_gt[:, None])
    columns = names.of(rows.ids[some], protocol.levels * points) | {
        "iou_threshold": np.tile(np.repeat(protocol.thresholds, points), len(some)),
        "recall": np.tile(RECALL_POINTS, len(some) * protocol.levels),
        "precision": precision[some].ravel(),
        "score": score.ravel(),
    }
    return schema.from_columns("pr_curves", columns, run=names.run)


def _errors(rows: ClassRows, names: Names, hits: TruePositives, ap: Floats) -> pa.Table:
    """Counts at IoU .5, and the AP that each class regains where all errors of one type are mended.

    As in TIDE, mended classification and localization errors become true positives where the box is
    still free (the best-scoring one), the other false detections go, and missed boxes no longer
    count; where all boxes are missed that leaves nothing to measure.
    """
    counted, protocol = rows.counted[0], rows.protocol
    hit, at50 = rows.matched[0] & counted, protocol.at50
    n_gt = np.broadcast_to(rows.n_gt[:, :1], ap.shape)
    parts = []
    for error in ERRORS:
        if error in FALSE_DETECTIONS:
            wrong = rows.wrong[error]
            repaired = rows.repaired.get(error, np.int16(0))
            n = rows.per_class_of(wrong & protocol.bit50 != 0)
            found = rows.hits(hit | repaired, counted & ~wrong | repaired)
            mended = protocol.precision(found, n_gt[:, :1]).mean(axis=2)
        else:
            missed = rows.per_class_and_level(
                rows.box_category, np.where(rows.box_counts[0], rows.box_missed, np.int16(0))
            )
            n = missed[:, at50]
            mended = protocol.precision(hits, n_gt - missed).mean(axis=2)
        gain = mended - ap
        columns = names.of(rows.ids) | {
            "error": [error] * len(rows.ids),
            "n": n,
            "d_ap": protocol.over_levels(gain).mean(axis=1),
            "d_ap50": gain[:, at50],
            "max_detections": np.full(len(rows.ids), protocol.cap),
        }
        parts.append(schema.from_columns("errors", columns, run=names.run))
    return pa.concat_tables(parts)
