"""The whole evaluation of tables in memory: no files, no Ray."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.errors import DetrayError
from detray.evaluate.classes import ClassRows, class_ids
from detray.evaluate.comparisons import comparison_table
from detray.evaluate.images import first_ranks, image_rows, ranked
from detray.evaluate.inputs import no_known_image
from detray.evaluate.matching import ShardMatches, match_shard
from detray.evaluate.metrics import Names, class_numbers, class_tables
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.slice_columns import Slice, resolve, survey
from detray.evaluate.slices import slice_table
from detray.evaluate.summary import confusion_table, summary_metrics
from detray.tables import Shard

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


def evaluate_tables(
    images: pa.Table,
    annotations: pa.Table,
    categories: pa.Table,
    predictions: pa.Table,
    settings: EvaluateSettings | None = None,
    run: str = "detray",
    against: pa.Table | None = None,
) -> dict[str, pa.Table]:
    """The tables of the stage evaluate for canonical tables, by name.

    Each split that has predictions is evaluated (all, where there are none), and compared with the
    predictions ``against``. The models are those of the predictions.

    Raises:
        DetrayError: no detection names an image of its split.
        UsageError: a slice names no column.
    """
    settings = settings or EvaluateSettings()
    slices = resolve(settings.slices, [survey(images, annotations, settings.slices)])
    results = []
    for split in (pc.unique(predictions["split"]) if predictions.num_rows else pc.unique(images["split"])).to_pylist():

        def of_split(table: pa.Table, split: str = split) -> pa.Table:
            return table.filter(pc.equal(table["split"], split))

        known = (of_split(images), of_split(annotations), of_split(categories))
        shard = Shard(split, *known, of_split(predictions))
        other = None if against is None else Shard(split, *known, of_split(against))
        results.append(_evaluate_split(shard, other, settings, slices, run))
    if not results:
        return {name: schema.empty(name) for name in TABLES}
    return {name: pa.concat_tables([result[name] for result in results]) for name in TABLES}


def _evaluate_split(
    shard: Shard, other: Shard | None, settings: EvaluateSettings, slices: Sequence[Slice], run: str
) -> dict[str, pa.Table]:
    """The tables of one split, all of which is in ``shard``; ``other`` holds the other model's predictions."""
    found = _matched(shard, settings, slices, run)
    names = Names(run, shard.split, _model(shard), tables.class_names(shard.categories))
    parts = [found]
    if other is not None:
        parts.append(_matched(other, settings, (), run))
    seen = [column["category_id"] for part in parts for column in (part.detections, part.boxes)]
    ids = class_ids(shard.categories, *seen)
    rows, *other_rows = (ClassRows.of(ids, part.detections, part.boxes, part.repairs) for part in parts)
    classes = class_tables(rows, names, settings)
    comparisons = schema.empty("comparisons")
    if other is not None:
        numbers = class_numbers(other_rows[0], settings)
        comparisons = comparison_table(classes.numbers, numbers, names, _model(other))
    image_table, histogram = image_rows(shard.images, names, found.detections, found.boxes, classes.class_metrics)
    return {
        "matches": found.matches,
        "class_metrics": classes.class_metrics,
        "summary_metrics": summary_metrics(classes.numbers, names),
        "pr_curves": classes.pr_curves,
        "confusion": confusion_table([found.confusion], names, settings),
        "errors": classes.errors,
        "image_metrics": ranked(image_table, first_ranks([histogram])[0]),
        "slices": slice_table(found.sliced_detections, found.sliced_boxes, names),
        "comparisons": comparisons,
    }


def _matched(shard: Shard, settings: EvaluateSettings, slices: Sequence[Slice], run: str) -> ShardMatches:
    found = match_shard(shard, settings, slices, run=run, model=_model(shard))
    n = shard.predictions.num_rows
    if n and found.left_out["detections of an unknown image"] == n:
        raise DetrayError(no_known_image(shard.split, n))
    return found


def _model(shard: Shard) -> str:
    model: str = shard.predictions["model"][0].as_py() if shard.predictions.num_rows else "detections"
    return model
