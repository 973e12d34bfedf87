"""What is given beside the evaluated split: training, other detections, findings of the audit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.audit.picture_measures import PROPERTIES
from detray.detectors.training.history import TRAIN
from detray.diagnose.causes.ground_truth.noisy_boxes import LOOSE_RULES
from detray.diagnose.causes.training_data.train_eval_shift import SHIFT_RULES
from detray.diagnose.evidence.inputs import Inputs, Training, TrainingSeen
from detray.diagnose.evidence.learning import Course
from detray.diagnose.evidence.pictures import PictureDrift, drifts_of, measured
from detray.diagnose.mapping.repairs import MappingRepairs
from detray.diagnose.observation.shapes import Shapes
from detray.diagnose.request import ModelAtHand, Request
from detray.diagnose.steps.look import COUNT_SHAPES, Round, ShardRows, look_at_all
from detray.diagnose.steps.others import aps_of_file
from detray.diagnose.steps.sources import DetectionSource, file_source
from detray.diagnose.steps.work import ShardTask, Work
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.flow.sample import Sample
from detray.meaning.settle import Stated


@dataclass(frozen=True)
class Gathered:
    """All that is given beside a split, the rows of the training pictures, and what there is to say of it."""

    inputs: Inputs
    trained: tuple[ShardRows, ...]
    notes: tuple[str, ...]


def gather(flow: Flow, request: Request, work: Work, prefix: str, metrics: pa.Table, given: Round) -> Gathered:
    """All that is given beside a split.

    Args:
        flow, request: of the diagnosis.
        work: of the split.
        prefix: starts the keys of the tasks.
        metrics: AP of every class and split.
        given: a look at the split.
    """
    settings, notes = request.settings, []
    training, seen, ids, base_aps, sample = None, None, {}, None, None

    def note(name: str, lost: int) -> None:
        if lost:
            notes.append(f"diagnose.{name}: {lost:,} detections have no score from 0 to 1, no image, class or box")

    if request.train is not None and request.train != work.split:
        there = replace(work, split=request.train, names=own_names(flow.data, request.train))
        training = _training(flow, there, prefix)
        ids = _ids(work.names, there.names, training.shapes)
        source, sample, lost = _detections(flow, request, there, prefix, metrics)
        note("train_detections", lost)
        if source is not None and work.weak:
            weak = tuple(sorted(ids[k] for k in work.weak if k in ids))
            there = replace(there, weak=weak, floors={}, sample=sample)
            keys = flow.data.shards([there.split])
            seen = look_at_all(flow, there, keys, source, f"{prefix}-trained", MappingRepairs())
    if settings.base_detections is not None:
        base_aps, lost = aps_of_file(flow, work, work, settings.base_detections, f"{prefix}-base", Stated())
        note("base_detections", lost)
    inputs = Inputs(
        training=training,
        label_map=request.label_map,
        model_classes=request.model_classes,
        trained=None
        if seen is None
        else TrainingSeen(seen.counts, ids, seen.n_images, given.n_images, is_sample=sample is not None),
        pictures=None if request.train in (None, work.split) else _pictures(flow.data, work.split, request.train),
        course=_course(flow.data) if request.is_trained_here else None,
        base_aps=base_aps,
        findings=_findings(flow.data, work.split) if flow.data.manifest("audit") is not None else None,
        shapes=given.shapes,
        reach=request.reach,
        settled=request.settled.get(work.split, {}),
        max_detections=request.max_detections,
        thresholds=_thresholds(request.model, work),
    )
    return Gathered(inputs, () if seen is None else seen.shards, tuple(notes))


def _thresholds(model: ModelAtHand | None, work: Work) -> dict[int, float]:
    """By class the score up to which the detector leaves detections out; none where it cannot be run without that."""
    if model is None or work.split not in model.pictured:
        return {}
    predict = model.work.predict
    return {k: predict.score_thresholds.get(name, predict.score_threshold) for k, name in work.names.items()}


def own_names(data: Data, split: str) -> dict[int, str]:
    """The classes that the annotations of a split list or name, by id."""
    categories = data.read("categories", filters=[("split", "=", split)])
    return tables.class_names(categories.filter(pc.equal(categories["source"], "annotations")))


def _pictures(data: Data, split: str, train: str) -> tuple[PictureDrift, ...] | None:
    """In what the pictures differ from those of training, as far as the audit has measured them."""
    if data.manifest("audit") is None:
        return None
    sides: dict[str, list[pa.Table]] = {split: [], train: []}
    for part in data.files("image_stats", "audit"):
        rows = data.read_files([part], "image_stats", ("split", *PROPERTIES), [("split", "in", list(sides))])
        for name, own in sides.items():
            own.append(rows.filter(pc.equal(rows["split"], name)))
    return drifts_of(*(measured(own) for own in sides.values()))


def _course(data: Data) -> Course | None:
    """The losses of the training, where it was run in the same output."""
    if data.manifest("train") is None:
        return None
    rows = data.read("history", columns=("epoch", "split", "category_id", "loss"))
    rows = rows.filter(pc.and_(pc.is_null(rows["category_id"]), pc.is_valid(rows["loss"])))
    rows = rows.filter(pc.equal(rows["split"], TRAIN)).sort_by("epoch")
    return Course(tuple(rows["loss"].to_pylist())) if rows.num_rows else None


def _training(flow: Flow, there: Work, prefix: str) -> Training:
    nothing = DetectionSource(flow.data, there.split, ())
    tasks = {f"{prefix}-{key.name}": ShardTask(key, nothing) for key in flow.data.shards([there.split])}
    counted = flow.map(COUNT_SHAPES, there, tasks)
    return Training(Shapes.sum(kept.read() for kept in counted.kept("shapes").values()), there.names)


def _ids(here: Mapping[int, str], there: Mapping[int, str], shapes: Shapes) -> dict[int, int]:
    """The ids of classes in the training annotations by those here: of the same name, else of the same id where
    training has boxes of an id without a name."""
    named = {name: k for k, name in sorted(there.items(), reverse=True)}
    unnamed = {k for k in shapes.boxes if k not in there}
    found = {k: named.get(name, k if k in unnamed else None) for k, name in here.items()}
    return {k: other for k, other in found.items() if other is not None}


def _detections(
    flow: Flow, request: Request, there: Work, prefix: str, metrics: pa.Table
) -> tuple[DetectionSource | None, Sample | None, int]:
    """The detections on training pictures: of a file, of the evaluation, or of those that predict took beside; the
    sample, where they are of one; and rows that cannot be used."""
    if request.settings.train_detections is not None:
        path = request.settings.train_detections
        source, lost = file_source(flow, path, there.split, f"{prefix}-train", request.stated)
        return source, None, lost
    own, sample = DetectionSource(flow.data, there.split), Sample.of(flow.data.manifest("predict") or {})
    if pc.sum(pc.equal(metrics["split"], there.split)).as_py():
        return own, None, 0
    return (own, sample, 0) if sample is not None and sample.split == there.split else (None, None, 0)


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
