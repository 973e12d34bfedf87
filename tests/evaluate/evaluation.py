"""The shipped flow on tables in memory."""

from collections.abc import Sequence

import pyarrow as pa

from detray.evaluate.against import OtherModel, OtherRun
from detray.evaluate.flow import TABLES, evaluate
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData, cut
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.tables import Shard

Tables = tuple[pa.Table, pa.Table, pa.Table, pa.Table]


def shards_of(tables: Sequence[pa.Table], n: int = 1) -> list[Shard]:
    """Images, annotations, categories and predictions of the split val in ``n`` shards, each sorted by image."""
    images, annotations, categories, predictions = tables
    rows = (table.sort_by("image_id") for table in (images, annotations, predictions))
    images, annotations, predictions = rows
    return cut(Shard("val", images, annotations, categories, predictions), n)


def run_evaluation(
    tables: Sequence[pa.Table],
    settings: EvaluateSettings | None = None,
    against: pa.Table | None = None,
    run: str = "test",
    n_shards: int = 1,
) -> InMemoryRun:
    """Evaluate the predictions of a model a, and compare them with those of a model b."""
    manifests = {"predict": {"facts": {"model": "a"}}}
    data = MemoryData(shards_of(tables, n_shards), manifests=manifests)
    other = None
    if against is not None:
        other = OtherModel("b", "b", OtherRun(MemoryData(shards_of((*tables[:3], against), n_shards))))
    return run_in_memory(evaluate, data, run, ["val"], settings or EvaluateSettings(), other, tables=TABLES)


def evaluate_tables(
    images: pa.Table,
    annotations: pa.Table,
    categories: pa.Table,
    predictions: pa.Table,
    settings: EvaluateSettings | None = None,
    against: pa.Table | None = None,
) -> dict[str, pa.Table]:
    """The tables of the evaluation."""
    found = run_evaluation((images, annotations, categories, predictions), settings, against).tables
    return {name: found[name] for name in TABLES}
