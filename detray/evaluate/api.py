"""The whole evaluation of tables in memory: no files, no Ray."""

import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.errors import DetrayError
from detray.evaluate.classes import ClassRows, class_ids
from detray.evaluate.images import first_ranks, image_rows, ranked
from detray.evaluate.inputs import no_known_image
from detray.evaluate.matching import match_shard
from detray.evaluate.metrics import Names, class_tables
from detray.evaluate.settings import EvaluateSettings
from detray.evaluate.summary import confusion_table, summary_metrics
from detray.tables import Shard

TABLES = ("matches", "class_metrics", "summary_metrics", "pr_curves", "confusion", "errors", "image_metrics")


def evaluate_tables(
    images: pa.Table,
    annotations: pa.Table,
    categories: pa.Table,
    predictions: pa.Table,
    settings: EvaluateSettings | None = None,
    run: str = "detray",
) -> dict[str, pa.Table]:
    """The tables of the stage evaluate for canonical tables, by name.

    Each split that has predictions is evaluated. The model is that of the predictions.

    Raises:
        DetrayError: no detection names an image of its split.
    """
    settings = settings or EvaluateSettings()
    results = []
    for split in pc.unique(predictions["split"]).to_pylist() or pc.unique(images["split"]).to_pylist():
        parts = [
            table.filter(pc.equal(table["split"], split)) for table in (images, annotations, categories, predictions)
        ]
        results.append(evaluate_shard(Shard(split, *parts), settings, run))
    if not results:
        return {name: schema.empty(name) for name in TABLES}
    return {name: pa.concat_tables([result[name] for result in results]) for name in TABLES}


def evaluate_shard(shard: Shard, settings: EvaluateSettings, run: str) -> dict[str, pa.Table]:
    """The tables of one split, all of which is in ``shard``."""
    model = shard.predictions["model"][0].as_py() if shard.predictions.num_rows else "detections"
    names = Names(run, shard.split, model, tables.class_names(shard.categories))
    found = match_shard(shard, settings, run=run, model=model)
    if shard.predictions.num_rows and found.left_out["detections of an unknown image"] == shard.predictions.num_rows:
        raise DetrayError(no_known_image(shard.split, shard.predictions.num_rows))
    ids = class_ids(shard.categories, found.detections["category_id"], found.boxes["category_id"])
    rows = ClassRows.of(ids, found.detections, found.boxes, found.repairs)
    classes = class_tables(rows, names, settings)
    image_table, histogram = image_rows(shard.images, names, found.detections, found.boxes, classes.class_metrics)
    return {
        "matches": found.matches,
        "class_metrics": classes.class_metrics,
        "summary_metrics": summary_metrics(classes.numbers, names),
        "pr_curves": classes.pr_curves,
        "confusion": confusion_table([found.confusion], names, settings),
        "errors": classes.errors,
        "image_metrics": ranked(image_table, first_ranks([histogram])[0]),
    }
