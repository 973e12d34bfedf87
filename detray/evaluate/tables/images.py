"""The table ``image_metrics``: which images are worst."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.arrays import Ints
from detray.evaluate.tables.names import Names

Histogram = dict[int, int]
"""How many images have how many errors."""
THRESHOLDS = pa.schema([("category_id", pa.int64()), ("best_f1_threshold", pa.float64())])
"""The score of a class with the best F1, over all areas."""
DETECTION_COLUMNS = ("category_id", "image_id", "score", "matched_all", "ignored_all")
BOX_COLUMNS = ("category_id", "image_id", "counts")


def image_rows(
    images: pa.Table,
    names: Names,
    detections: pa.Table,
    boxes: pa.Table,
    thresholds: pa.Table,
    bit50: np.int16,
) -> tuple[pa.Table, Histogram]:
    """The rows of a shard's images but for their rank, and how many errors they have.

    Counted are the detections at or above the best-F1 score of their class, at IoU .5 and all
    areas; a class without a true positive has no such score, and its detections are not counted.

    Args:
        images: those of a shard, with image_id and file_name.
        names: what all rows share.
        detections, boxes: the shard's, as in `matches.ShardMatches`; of the columns `DETECTION_COLUMNS` and
            `BOX_COLUMNS` at least.
        thresholds: of the split's classes, as `THRESHOLDS`.
        bit50: the bit of IoU .5 in words.
    """
    listed = images.filter(pc.is_valid(images["image_id"]))
    ids, first = np.unique(tables.numpy(listed, "image_id"), return_index=True)
    known = tables.lookup(detections["category_id"], thresholds, "category_id", "best_f1_threshold")
    threshold = known.fill_null(np.inf).to_numpy(zero_copy_only=False)

    image = np.searchsorted(ids, tables.numpy(detections, "image_id"))
    taken = (tables.numpy(detections, "score") >= threshold) & (tables.numpy(detections, "ignored_all") & bit50 == 0)
    hit = taken & (tables.numpy(detections, "matched_all") & bit50 != 0)
    counts = tables.numpy(boxes, "counts") & 1 != 0
    box_image = np.searchsorted(ids, tables.numpy(boxes, "image_id"))[counts]

    n_gt = np.bincount(box_image, minlength=len(ids))
    n_detections = np.bincount(image[taken], minlength=len(ids))
    n_hits = np.bincount(image[hit], minlength=len(ids))
    # a false detection is an error, and so is a box without one that is right
    errors_of = np.where(hit, -1, 1)[taken]
    worst = _worst_classes(
        len(ids),
        np.concatenate([image[taken], box_image]),
        np.concatenate([tables.numpy(detections, "category_id")[taken], tables.numpy(boxes, "category_id")[counts]]),
        np.concatenate([errors_of, np.ones(len(box_image), np.int64)]),
    )
    columns = {
        "split": [names.split] * len(ids),
        "model": [names.model] * len(ids),
        "image_id": ids,
        "file_name": listed["file_name"].take(pa.array(first)),
        "n_ground_truth": n_gt,
        "n_detections": n_detections,
        "n_missed": n_gt - n_hits,
        "n_false": n_detections - n_hits,
        "category_id": worst,
        "category_name": [n if n is None else names.classes.get(n, str(n)) for n in worst.to_pylist()],
        "score_threshold": tables.lookup(worst, thresholds, "category_id", "best_f1_threshold"),
        "rank": np.zeros(len(ids), np.int32),
    }
    table = schema.from_columns("image_metrics", columns, run=names.run)
    errors, n = np.unique(_errors(table), return_counts=True)
    return table, dict(zip(errors.tolist(), n.tolist(), strict=True))


def _worst_classes(n: int, image: Ints, category: Ints, errors: Ints) -> pa.Array:
    """The class with the most errors of each of ``n`` images, the lowest id of equal ones; NULL where none has any.

    ``errors`` are summed by ``image`` (position) and ``category``.
    """
    found: Ints = np.full(n, -1)
    classes, code = np.unique(category, return_inverse=True)
    pairs, place = np.unique(image * max(len(classes), 1) + code, return_inverse=True)
    total = np.bincount(place, weights=errors, minlength=len(pairs)).astype(np.int64)
    order = np.lexsort((-pairs, total))  # the last one of an image stands
    order = order[total[order] > 0]
    found[pairs[order] // max(len(classes), 1)] = pairs[order] % max(len(classes), 1)
    at = np.maximum(found, 0)
    return pa.array(classes[at] if len(classes) else at, pa.int64(), mask=found < 0)


def first_ranks(histograms: Sequence[Histogram]) -> list[Histogram]:
    """For each shard of a split, in order, the rank of its first image with each number of errors.

    Images with more errors come first; those with equally many in the order of the shards.
    """
    rank, result = 1, [Histogram() for _ in histograms]
    for errors in sorted({errors for histogram in histograms for errors in histogram}, reverse=True):
        for number, histogram in enumerate(histograms):
            if errors in histogram:
                result[number][errors] = rank
                rank += histogram[errors]
    return result


def ranked(table: pa.Table, first: Histogram) -> pa.Table:
    """The rows of `image_rows` with their rank in the split, worst first; ``first`` as in `first_ranks`."""
    errors = _errors(table)
    order = np.lexsort((np.arange(len(errors)), -errors))
    ordered = errors[order]
    start = np.searchsorted(-ordered, -ordered)  # where the run of equal numbers begins
    base = np.array([first[number] for number in ordered.tolist()], np.int64)
    rank = base + np.arange(len(ordered)) - start
    column = table.schema.get_field_index("rank")
    return table.take(pa.array(order)).set_column(column, table.schema.field("rank"), pa.array(rank, pa.int32()))


def _errors(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return tables.numpy(table, "n_missed") + tables.numpy(table, "n_false")
