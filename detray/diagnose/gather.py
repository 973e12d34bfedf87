"""What is given beside the evaluated split: training, other detections, findings of the audit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.diagnose.causes.ground_truth.noisy_boxes import LOOSE_RULES
from detray.diagnose.causes.training_data.train_eval_shift import SHIFT_RULES
from detray.diagnose.evidence.inputs import Inputs, Training
from detray.diagnose.observation.shapes import Shapes
from detray.diagnose.request import Request
from detray.diagnose.steps.look import COUNT_SHAPES
from detray.diagnose.steps.others import Aps, aps_of_file
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import ShardTask, Work
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.meaning.settle import Stated


def gather(
    flow: Flow, request: Request, work: Work, prefix: str, metrics: pa.Table, shapes: Shapes
) -> tuple[Inputs, list[str]]:
    """All that is given beside a split, and what there is to say of it.

    Args:
        flow, request: of the diagnosis.
        work: of the split.
        prefix: starts the keys of the tasks.
        metrics: AP of every class and split.
        shapes: of the split's boxes.
    """
    settings, notes = request.settings, []
    training, training_aps, base_aps = None, None, None

    def aps_of(name: str, path: str, there: Work, stated: Stated) -> Aps:
        aps, lost = aps_of_file(flow, work, there, path, f"{prefix}-{name.partition('_')[0]}", stated)
        if lost:
            notes.append(f"diagnose.{name}: {lost:,} detections have no score from 0 to 1, no image, class or box")
        return aps

    if request.train is not None and request.train != work.split:
        there = replace(work, split=request.train, names=own_names(flow.data, request.train))
        training = _training(flow, there, prefix)
        if settings.train_detections is None:
            training_aps = _evaluated(metrics, there, work.names) or None
        else:
            training_aps = aps_of("train_detections", settings.train_detections, there, request.stated)
    if settings.base_detections is not None:
        base_aps = aps_of("base_detections", settings.base_detections, work, Stated())
    inputs = Inputs(
        training=training,
        label_map=request.label_map,
        model_classes=request.model_classes,
        training_aps=training_aps,
        base_aps=base_aps,
        findings=_findings(flow.data, work.split) if flow.data.manifest("audit") is not None else None,
        shapes=shapes,
        reach=request.reach,
        settled=request.settled.get(work.split, {}),
        max_detections=request.max_detections,
    )
    return inputs, notes


def own_names(data: Data, split: str) -> dict[int, str]:
    """The classes that the annotations of a split list or name, by id."""
    categories = data.read("categories", filters=[("split", "=", split)])
    return tables.class_names(categories.filter(pc.equal(categories["source"], "annotations")))


def _training(flow: Flow, there: Work, prefix: str) -> Training:
    nothing = DetectionSource(flow.data, there.split, ())
    tasks = {f"{prefix}-{key.name}": ShardTask(key, nothing) for key in flow.data.shards([there.split])}
    counted = flow.map(COUNT_SHAPES, there, tasks)
    return Training(Shapes.sum(kept.read() for kept in counted.kept("shapes").values()), there.names)


def _evaluated(metrics: pa.Table, there: Work, here: Mapping[int, str]) -> Aps:
    """AP and AP50 on another split that was evaluated too, by the classes' ids here."""
    by_name = {name: k for k, name in sorted(here.items(), reverse=True)}
    return {
        by_name.get(there.names.get(row["category_id"], ""), row["category_id"]): (row["ap"], row["ap50"])
        for row in metrics.filter(pc.equal(metrics["split"], there.split)).to_pylist()
        if row["ap"] is not None
    }


def _findings(data: Data, split: str) -> dict[tuple[int, str], int]:
    """The audit's findings that a cause asks for, of a split or of no split, by class and rule."""
    wanted = [("rule", "in", (*LOOSE_RULES, *SHIFT_RULES))]
    counts: Counter[tuple[int, str]] = Counter()
    for part in data.files("findings", "audit"):
        rows = data.read_files([part], "findings", ("rule", "category_id", "split"), wanted)
        own = rows.filter(pc.fill_null(pc.equal(rows["split"], split), True))
        own = own.filter(pc.is_valid(own["category_id"]))
        counts.update(zip(own["category_id"].to_pylist(), own["rule"].to_pylist(), strict=True))
    return dict(counts)
