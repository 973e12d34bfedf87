"""The classes of two folders: AP as each folder has it, and, where they share images, compared in pairs on these.

In pairs both models are judged by the later folder's annotations of the shared images, so that a change of the data set
is none of the model.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.compare.sides import Pair
from detray.evaluate.against import OtherModel, OtherRun
from detray.evaluate.flow import evaluate
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData
from detray.flow.memory import run_in_memory
from detray.tables import Shard

Row = dict[str, Any]


def compare_classes(pair: Pair, settings: EvaluateSettings) -> Iterator[Row]:
    """Rows of the table compared_classes; of each split that both evaluated the mean over the classes first."""
    for split in _evaluated(pair):
        earlier, later = (_metrics(side.rows("class_metrics"), split) for side in (pair.earlier, pair.later))
        paired, mean = _paired(pair, split, settings)
        names = dict.fromkeys([*later, *earlier])
        rows = [_row(pair, split, name, earlier.get(name), later.get(name), paired.get(name)) for name in names]
        yield _mean(pair, split, rows) | mean
        yield from sorted(rows, key=lambda row: (row["delta"] is None, row["delta"] or 0.0, row["category_name"] or ""))


def _evaluated(pair: Pair) -> list[str]:
    """The splits that both have metrics of."""
    sides = [{row["split"] for row in side.rows("class_metrics", ["split"])} for side in (pair.earlier, pair.later)]
    return sorted(sides[0] & sides[1])


def _metrics(rows: Iterable[Row], split: str) -> dict[str | None, Row]:
    """The row for all sizes of each class, by its name."""
    return {row["category_name"]: row for row in rows if row["split"] == split and row["area_range"] == "all"}


def _row(pair: Pair, split: str, name: str | None, earlier: Row | None, later: Row | None, paired: Row | None) -> Row:
    known = later or earlier or {}
    row: Row = {**pair.label, "split": split, "category_id": known.get("category_id"), "category_name": name}
    row["ap_earlier"], row["ap_later"] = earlier and earlier["ap"], later and later["ap"]
    if paired is not None:
        row |= {"n_images": paired["n_images"], "paired_earlier": paired["ap_a"], "paired_later": paired["ap_b"]}
        row |= {key: paired[key] for key in ("delta", "delta_low", "delta_high", "verdict")}
    elif row["ap_earlier"] is not None and row["ap_later"] is not None:
        row["delta"] = row["ap_later"] - row["ap_earlier"]
    return {"delta": None, "verdict": None, **row}


def _mean(pair: Pair, split: str, rows: list[Row]) -> Row:
    """The mean over the classes that have the value."""
    row: Row = {**pair.label, "split": split, "category_id": None, "category_name": None}
    for name in ("ap_earlier", "ap_later", "paired_earlier", "paired_later", "delta"):
        known = [one[name] for one in rows if one.get(name) is not None]
        row[name] = float(np.mean(known)) if known else None
    return row


def _paired(pair: Pair, split: str, settings: EvaluateSettings) -> tuple[dict[str | None, Row], Row]:
    """The comparison of both models' detections of the shared images, by class, and of all classes; empty without such
    images."""
    shared = pair.shared(split)
    if not shared.num_rows or not (pair.earlier.has("predictions") and pair.later.has("predictions")):
        return {}, {}
    shards = [_shard(pair, key, shared["later"]) for key in pair.later.store.shards([split])]
    ours = pair.later.store.read("predictions", filters=[("split", "=", split)])
    theirs = _translated(pair, split, shared)
    ingest = pair.later.store.manifest("ingest")
    data = MemoryData(_with(shards, theirs), manifests={"ingest": ingest or {}, "predict": _predict("earlier")})
    other = OtherModel("later", pair.later.name, OtherRun(MemoryData(_with(shards, ours))))
    # without what is about other files and further tables
    own = msgspec.structs.replace(settings, against=None, expect_file=None, expect={}, slices=())
    found = run_in_memory(evaluate, data, "compare", [split], own, other, tables=("comparisons",))
    rows = found.tables["comparisons"].to_pylist()
    gain = found.outcome.facts["gains"].get(split, {})
    names = {"delta": "delta", "low": "delta_low", "high": "delta_high", "verdict": "verdict"}
    return {row["category_name"]: row for row in rows}, {names[key]: value for key, value in gain.items()}


def _predict(model: str) -> dict[str, Any]:
    return {"facts": {"model": model}, "counts": {}}


def _shard(pair: Pair, key: Any, ids: pa.ChunkedArray) -> Shard:
    """A shard of the later folder with the shared images alone."""
    shard = pair.later.store.read_shard(key)
    images, annotations = (
        rows.filter(pc.is_in(rows["image_id"], value_set=ids.combine_chunks()))
        for rows in (shard.images, shard.annotations)
    )
    return replace(shard, images=images, annotations=annotations)


def _with(shards: list[Shard], predictions: pa.Table) -> list[Shard]:
    """The shards with those of the predictions that are about their images."""
    found = []
    for shard in shards:
        mine = pc.is_in(predictions["image_id"], value_set=shard.images["image_id"].combine_chunks())
        found.append(replace(shard, predictions=predictions.filter(mine).sort_by("image_id")))
    return found


def _translated(pair: Pair, split: str, shared: pa.Table) -> pa.Table:
    """The earlier model's detections of the shared images, by the later folder's ids of images and classes."""
    found = pair.earlier.store.read("predictions", filters=[("split", "=", split)])
    ids = pair.class_ids(split)
    classes = pa.table({"earlier": pa.array(list(ids), pa.int64()), "later": pa.array(list(ids.values()), pa.int64())})
    columns = {
        "image_id": tables.lookup(found["image_id"], shared, "earlier", "later"),
        "category_id": tables.lookup(found["category_id"], classes, "earlier", "later"),
    }
    for name, values in columns.items():
        place = found.schema.get_field_index(name)
        found = found.set_column(place, found.schema.field(name).with_nullable(True), values)
    found = found.filter(pc.and_(found["image_id"].is_valid(), found["category_id"].is_valid()))
    return schema.conform(found, "predictions")
