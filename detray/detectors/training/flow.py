"""The flow of ``detray train``: one task trains the detector and keeps every epoch until it is whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from detray import schema
from detray.detectors.augmentation.settings import written_out
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.detectors.training.history import EVENTS, TRAIN, VAL, History, Judge, described
from detray.errors import DetrayError, UsageError
from detray.flow.data import Data
from detray.flow.epochs import Epochs
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.flow.step import Output, Resources, Step
from detray.flow.workspace import Workspace
from detray.store import ShardKey
from detray.tables import Shard, class_names, own_classes

if TYPE_CHECKING:
    pass


COLUMNS = {
    "images": ("split", "image_id", "file_name", "path"),
    "annotations": (
        *("annotation_id", "image_id", "category_id", "x", "y", "width", "height"),
        *("area", "is_crowd", "is_difficult"),
    ),
}
"""What is read of images and annotations; a judge has no more."""


def columns(settings: TrainSettings) -> Mapping[str, Sequence[str]]:
    """What a training reads: outlines too, where objects are cut along them."""
    pastes = written_out(settings.augmentation).copy_paste is not None
    return COLUMNS | {"annotations": (*COLUMNS["annotations"], "segmentation")} if pastes else COLUMNS


@dataclass(frozen=True)
class Work:
    """Settings, data, what makes a judge of the validation split, and the share of pictures that may be unreadable."""

    data: Data
    run: str
    detector: DetectorSettings
    settings: TrainSettings
    judge: Callable[[Shard], Judge]
    max_unreadable: float


@dataclass(frozen=True)
class Training:
    """The one task: which images to learn from, which to be judged on, and where epochs are kept."""

    train: Sequence[ShardKey]
    val: Sequence[ShardKey]
    workspace: Workspace


class ClassScore(msgspec.Struct, frozen=True):
    """The AP of a class, None without ground truth."""

    category_name: str
    ap: float | None
    ap50: float | None


class Trained(msgspec.Struct, frozen=True):
    """What the training came to: ``scores`` are those of ``epoch``, whose weights the model has, of ``epochs``;
    ``boxes_left_out`` counts boxes by reason; the reach is the share of boxes that anchors overlap by half."""

    images_in: int
    images: int
    boxes_left_out: dict[str, int]
    trainable_parameters: int
    anchors_reach: float | None
    default_anchors_reach: float | None
    epoch: int
    epochs: int
    scores: list[ClassScore]


def learn(work: Work, task: Training) -> Output[Trained]:
    """Train on the task's images: history, quarantine and the model."""
    from detray.detectors.data import CROWD, load  # these read pictures and learn, which other verbs need not wait for
    from detray.detectors.retinanet.export import saved_model
    from detray.detectors.retinanet.fitting import fitted
    from detray.detectors.training.loop import check_class_names, train
    from detray.detectors.training.step import require_precision

    require_precision(work.settings)
    shard = _read(work.data, TRAIN, task.train, columns(work.settings))
    classes = class_names(own_classes(shard.categories))
    if not classes:
        raise DetrayError("split train: no class to train; see the findings of 'detray audit'")
    check_class_names(work.settings, classes)
    read = partial(load, detector=work.detector, classes=classes, run=work.run, max_unreadable=work.max_unreadable)
    data = read([shard])
    sources, names, judge = [data], dict(classes), None
    if task.val:
        judged = _read(work.data, VAL, task.val, COLUMNS)
        sources.append(read([judged]))
        judge = work.judge(judged.without(sources[1].quarantine["image_id"]))
        names = {k: str(k) for k in judge.class_ids} | class_names(own_classes(judged.categories)) | names

    fit = fitted(work.detector, data.boxes[data.labels != CROWD])
    history = History(task.workspace, work.settings, judge, names)
    learned = train(
        data,
        sources[1] if judge else None,
        fit.detector,
        work.settings,
        classes,
        predict=PredictSettings(),
        on_epoch=history.keep,
        checkpoint=task.workspace,
    )
    rows = history.rows(learned)
    quarantine = pa.concat_tables([source.quarantine for source in sources])
    images, model = sum(len(source) for source in sources), learned.model
    facts = Trained(
        images_in=images + quarantine.num_rows,
        images=images,
        boxes_left_out=data.boxes_left_out,
        trainable_parameters=model.trainable_parameters,
        anchors_reach=fit.reached,
        default_anchors_reach=fit.default,
        epoch=learned.epoch,
        epochs=learned.epochs,
        scores=[
            ClassScore(row["category_name"], row["ap"], row["ap50"])
            for row in rows
            if row["is_kept"] and row["split"] == VAL
        ],
    )
    files = model.files() | (saved_model(model) if work.settings.export == "saved_model" else {})
    return Output(
        facts,
        {"history": schema.from_rows("history", rows, run=work.run), "quarantine": quarantine},
        files={f"model/{name}": content for name, content in files.items()}
        | {f"tensorboard/{EVENTS}": history.events(learned.epochs)},
    )


def _read(data: Data, split: str, keys: Sequence[ShardKey], names: Mapping[str, Sequence[str]]) -> Shard:
    """All images and annotations of a split, with the columns ``names``."""
    found = [data.read_shard(key, columns=names) for key in keys]
    return Shard(
        split,
        pa.concat_tables([shard.images for shard in found]),
        pa.concat_tables([shard.annotations for shard in found]),
        found[0].categories,
    )


LEARN = Step[Work, Training, Trained]("train", learn, Trained)


def training(flow: Flow, work: Work, gpus: float) -> Outcome:
    """Train on the split train, and judge every epoch on val where there is one; ``gpus`` as the task holds them."""
    task = Training(flow.data.shards([TRAIN]), flow.data.shards([VAL]), flow.workspace("train"))
    if not task.val and (work.settings.patience is not None or work.settings.focus):
        name = "patience" if work.settings.patience is not None else "focus"
        raise UsageError(f"train.{name} asks which epoch is best, which only a split {VAL} can tell; add one")
    with Epochs({"": task.workspace}, work.settings.epochs, described, flow.progress):
        facts = flow.reduce(LEARN, work, task, resources=Resources(flow.cpus, gpus)).facts
    which = "the best" if facts.epoch < facts.epochs else "the last"
    title = f"epoch {facts.epoch} of {facts.epochs}, {which}, on the split {VAL}"
    rows = [[score.category_name, score.ap, score.ap50] for score in facts.scores]
    return Outcome(
        counts={"in": facts.images_in, "kept": facts.images, "quarantined": facts.images_in - facts.images},
        facts={
            "trainable_parameters": facts.trainable_parameters,
            "boxes_left_out": facts.boxes_left_out,
            "anchors_reach": facts.anchors_reach,
            "default_anchors_reach": facts.default_anchors_reach,
            "epoch": facts.epoch,
            "epochs": facts.epochs,
        },
        seeds={"train": work.settings.seed},
        summary=[Table(title, ("class", "AP", "AP50"), rows)] if task.val else [],
        notes=[
            *(f"boxes not trained on: {count} ({reason})" for reason, count in facts.boxes_left_out.items()),
            *([_reached(facts)] if work.detector.anchors != "default" else []),
            *([_ended(facts, work.settings)] if facts.epochs < work.settings.epochs else []),
        ],
    )


def _reached(facts: Trained) -> str:
    ours, default = facts.anchors_reach or 0.0, facts.default_anchors_reach or 0.0
    return (
        f"anchors overlap {ours:.1%} of the training boxes by half at their best place; the default ones {default:.1%}"
    )


def _ended(facts: Trained, settings: TrainSettings) -> str:
    return (
        f"ended after epoch {facts.epochs} of {settings.epochs}: none was better than epoch {facts.epoch} for"
        f" {settings.patience} epochs (train.patience)"
    )
