"""What is given beside the evaluated split: training, other detections, label map, findings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.detectors.catalogue import detector_kind
from detray.diagnose.api import count_findings
from detray.diagnose.causes.ground_truth import noisy_boxes
from detray.diagnose.causes.training_data import train_eval_shift
from detray.diagnose.evidence.inputs import Inputs, Training
from detray.diagnose.evidence.shapes import Shapes, box_shapes
from detray.evaluate.accumulate import average_precision
from detray.evaluate.kernel import match
from detray.formats.label_map import read_category_map, read_label_map
from detray.formats.resolve import stated_path
from detray.store import Json, ShardKey, absolute
from detray.verbs.base import Context
from detray.verbs.diagnose_sources import Source, Work, read_file, read_shard
from detray.verbs.precomputed import names_of

ON_TRAINING, BASE = "on-training", "base"
OTHERS = {ON_TRAINING: "diagnose.train_detections", BASE: "diagnose.base_detections"}
"""Further files of detections: the names of their shards, and the keys that state them."""


def count_training(work: Work, task: tuple[str, ShardKey]) -> Json:
    """The shapes of a training shard's boxes."""
    name, key = task
    return work.stage.write(name, {}, {"shapes": box_shapes(read_shard(work, key, Source(work, ()))).to_json()})


def match_others(work: Work, task: tuple[str, ShardKey, Source, dict[int, int]]) -> Json:
    """Match another model's detections in a shard; the rows of the classes in question go to scratch."""
    name, key, source, classes = task
    scene = read_shard(work, key, source)
    found = match(scene.gt, scene.dt)
    rows = np.flatnonzero(found.kept & np.isin(scene.dt.category, list(classes)))
    columns = {"category": scene.dt.category, "score": scene.dt.score, "image": scene.dt.image, "rank": scene.dt.rank}
    words = {"matched": found.matched[:, 0], "ignored": found.ignored[:, 0]}
    work.stage.write_scratch(name, pa.table({key: values[rows] for key, values in (columns | words).items()}))
    boxes = dict(
        zip(*(x.tolist() for x in np.unique(scene.gt.category[~scene.gt.crowd], return_counts=True)), strict=True)
    )
    return work.stage.write(name, {}, {"boxes": [[k, n] for k, n in boxes.items() if k in classes]})


def average_others(work: Work, task: tuple[str, tuple[str, ...], dict[int, int], dict[int, int]]) -> Json:
    """AP and AP50 of some classes from the shards that `match_others` kept."""
    name, shards, classes, n_boxes = task
    rows = pa.concat_tables([work.stage.read_scratch(shard) for shard in shards])
    category, *columns = (rows[key].to_numpy() for key in ("category", "score", "image", "rank", "matched", "ignored"))
    aps = []
    for there, here in classes.items():
        n = n_boxes.get(there, 0)
        if n:
            score, image, rank, matched, ignored = (column[category == there] for column in columns)
            levels = average_precision(score, image, rank, matched, ignored, n)
            aps.append([here, float(levels.mean()), float(levels[0])])
    return work.stage.write(name, {}, {"aps": aps})


def other_aps(
    context: Context,
    work: Work,
    done: dict[str, bytes],
    path: str,
    split: str,
    name: str,
    meant: Mapping[int, int] = MappingProxyType({}),
) -> tuple[list[Json], dict[int, tuple[float, float]]]:
    """AP and AP50, by weak class, of the detections of another file on a split; ``meant`` says what their
    class ids mean."""
    there = replace(work, split=split)
    by_name = {label: k for k, label in sorted(there.names().items(), reverse=True)}
    classes = {by_name.get(label, k): k for k, label in work.names().items() if k in set(work.weak)}
    read, parts = read_file(context, work.stage, done, path, split, f"{work.prefix}-{name}", meant)
    keys = context.store.shards([split])
    tasks = {
        label: (label, key, Source(there, parts), classes)
        for key in keys
        for label in [f"{work.prefix}-{name}-match-{key.name}"]
    }
    matched = context.run_tasks("match other detections", partial(match_others, there), tasks, done)
    n_boxes: Counter[int] = Counter()
    for receipt in matched:
        n_boxes.update(dict(receipt["facts"]["boxes"]))
    last = f"{work.prefix}-{name}-aps"
    averaged = context.run_tasks(
        "average other detections",
        partial(average_others, there),
        {last: (last, tuple(tasks), classes, dict(n_boxes))},
        done,
    )
    aps = {here: (ap, ap50) for here, ap, ap50 in averaged[0]["facts"]["aps"]}
    return [*read, *matched, *averaged], aps


def lost_rows(receipts: Sequence[Json]) -> list[str]:
    """What to say of rows of the other files of detections that cannot be used."""
    lost: Counter[str] = Counter()
    for receipt in receipts:
        for name, words in OTHERS.items():
            if f"-{name}-part-" in receipt["shard"]:
                lost[words] += receipt["facts"]["lost"]
    return [
        f"{words}: {n:,} detections have no score from 0 to 1, no image, class or box" for words, n in lost.items() if n
    ]


def outside_of(
    context: Context, work: Work, done: dict[str, bytes], metrics: pa.Table, shapes: Shapes
) -> tuple[list[Json], Inputs]:
    """All that is given beside the split."""
    config, store = context.config, context.store
    receipts: list[Json] = []
    outside = Inputs(shapes=shapes)
    train = "train" if "train" in config.dataset.splits and work.split != "train" else None
    if train is not None:
        there = replace(work, split=train)
        tasks = {name: (name, key) for key in store.shards([train]) for name in [f"{work.prefix}-training-{key.name}"]}
        counted = context.run_tasks("count training boxes", partial(count_training, there), tasks, done)
        total = Shapes()
        for receipt in counted:
            total.add(Shapes.from_json(receipt["facts"]["shapes"]))
        receipts += counted
        outside = replace(outside, training=Training(total, there.names()))
    if config.diagnose.train_detections is not None and train is not None:
        meant = read_category_map(config.predict.category_map, names_of(store, train))
        found, aps = other_aps(context, work, done, config.diagnose.train_detections, train, ON_TRAINING, meant)
        receipts += found
        outside = replace(outside, training_aps=aps)
    elif train is not None:
        aps = _aps(metrics, train, there.names(), work.names())
        outside = replace(outside, training_aps=aps or None)
    if config.diagnose.base_detections is not None:
        found, aps = other_aps(context, work, done, config.diagnose.base_detections, work.split, BASE)
        receipts += found
        outside = replace(outside, base_aps=aps)
    if config.dataset.label_map is not None:
        path = stated_path(config.dataset.label_map, config.dataset.root, "dataset.label_map")
        outside = replace(outside, label_map=read_label_map(path).names)
    if store.manifest("audit") is not None:
        outside = replace(outside, findings=_findings(context, work.split))
    if not config.detector.is_precomputed:
        kind = detector_kind(config.detector)
        path = absolute(config.detector.path or f"{store.root.rstrip('/')}/train/model")
        outside = replace(outside, model_classes=kind.read_classes(path))
        if kind.reach is not None:
            reach = kind.reach(config.detector)
            outside = replace(outside, input_size=(reach.input_width, reach.input_height))
    return receipts, outside


def _aps(
    metrics: pa.Table, split: str, there: Mapping[int, str], here: Mapping[int, str]
) -> dict[int, tuple[float, float]]:
    """AP and AP50 on another split that was evaluated too, by the classes' ids here."""
    by_name = {name: k for k, name in sorted(here.items(), reverse=True)}
    return {
        by_name.get(there.get(row["category_id"], ""), row["category_id"]): (row["ap"], row["ap50"])
        for row in metrics.filter(pc.equal(metrics["split"], split)).to_pylist()
        if row["ap"] is not None
    }


def _findings(context: Context, split: str) -> dict[tuple[int, str], int]:
    """The audit's findings that a cause asks for, by class and rule."""
    wanted = (*noisy_boxes.LOOSE_RULES, *train_eval_shift.SHIFT_RULES)
    counts: Counter[tuple[int, str]] = Counter()
    for part in context.store.files("findings", "audit"):
        rows = context.store.read_files([part], "findings", ("rule", "category_id", "split"), [("rule", "in", wanted)])
        counts.update(count_findings(rows, split))
    return dict(counts)
