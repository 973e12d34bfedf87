"""The flow of ``detray train``: one task trains the detector and keeps every epoch until it is whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from detray import schema
from detray.arrays import Floats
from detray.detectors.augmentation.settings import written_out
from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.errors import DetrayError
from detray.flow.data import Data
from detray.flow.epochs import Epochs, epoch_file
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.flow.step import Output, Resources, Step
from detray.flow.workspace import Workspace
from detray.store import ShardKey
from detray.tables import Shard, class_names, own_classes

if TYPE_CHECKING:
    from detray.detectors.training.loop import EpochResult

TRAIN, VAL = "train", "val"
"""The splits that are learnt from and judged on."""

Rows = list[dict[str, Any]]
"""Of the table history: an epoch's."""

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


class Judge(Protocol):
    """Judges detections on the validation split."""

    @property
    def class_ids(self) -> Sequence[int]:
        """The classes that have a box there."""
        ...

    def __call__(self, detections: pa.Table, class_ids: Sequence[int]) -> Floats:
        """The AP of each class at each IoU threshold, the first of which is .5, ``[c, t]``; NaN without a box."""
        ...


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
    """What the training came to; ``boxes_left_out`` counts boxes by reason."""

    images_in: int
    images: int
    boxes_left_out: dict[str, int]
    trainable_parameters: int
    last: list[ClassScore]


def learn(work: Work, task: Training) -> Output[Trained]:
    """Train on the task's images: history, quarantine and the model."""
    from detray.detectors.data import load  # these read pictures and learn, which other verbs need not wait for
    from detray.detectors.training.loop import train

    learned = _read(work.data, TRAIN, task.train, columns(work.settings))
    classes = class_names(own_classes(learned.categories))
    if not classes:
        raise DetrayError("split train: no class to train; see the findings of 'detray audit'")
    read = partial(load, detector=work.detector, classes=classes, run=work.run, max_unreadable=work.max_unreadable)
    data = read([learned])
    sources, names, judge = [data], dict(classes), None
    if task.val:
        judged = _read(work.data, VAL, task.val, COLUMNS)
        sources.append(read([judged]))
        judge = work.judge(judged.without(sources[1].quarantine["image_id"]))
        names = {k: str(k) for k in judge.class_ids} | class_names(own_classes(judged.categories)) | names

    def keep(result: "EpochResult") -> bool:
        fields = ("epoch", "loss", "class_loss", "box_loss", "learning_rate", "seconds")
        rows: Rows = [{"split": TRAIN} | {name: getattr(result, name) for name in fields}]
        if judge is not None and result.detections is not None:
            rows += _judged(judge, result.detections, result.epoch, names)
        task.workspace.write_json(epoch_file(result.epoch), rows)
        return True

    model = train(
        data,
        sources[1] if judge else None,
        work.detector,
        work.settings,
        classes,
        predict=PredictSettings(),
        on_epoch=keep,
        checkpoint=task.workspace.folder,
    )
    epochs = [_kept(task.workspace, number) for number in range(1, work.settings.epochs + 1)]
    history = schema.from_rows("history", [row for rows in epochs for row in rows], run=work.run)
    last = [ClassScore(row["category_name"], row["ap"], row["ap50"]) for row in epochs[-1] if row["split"] == VAL]
    quarantine = pa.concat_tables([source.quarantine for source in sources])
    images = sum(len(source) for source in sources)
    return Output(
        Trained(images + quarantine.num_rows, images, data.boxes_left_out, model.trainable_parameters, last),
        {"history": history, "quarantine": quarantine},
        files={f"model/{name}": content for name, content in model.files().items()},
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


def _judged(judge: Judge, detections: pa.Table, epoch: int, names: dict[int, str]) -> Rows:
    """Rows of the table history, one for each class."""
    ids = sorted(names)
    return [
        {
            "epoch": epoch,
            "split": VAL,
            "category_id": number,
            "category_name": names[number],
            "ap": None if np.isnan(ap[0]) else float(ap.mean()),
            "ap50": None if np.isnan(ap[0]) else float(ap[0]),
        }
        for number, ap in zip(ids, judge(detections, ids), strict=True)
    ]


def _kept(workspace: Workspace, number: int) -> Rows:
    rows = workspace.read_json(epoch_file(number), Rows)
    if rows is None:
        raise workspace.damaged(epoch_file(number), "gone")
    return rows


def _described(content: bytes, before: bytes | None) -> str:
    """The rows of an epoch in words."""
    first, *judged = msgspec.json.decode(content, type=Rows)
    found = [row["ap50"] for row in judged if row["ap50"] is not None]
    scores = f", mAP50 {sum(found) / len(found):.3f}" if found else ""
    return f"loss {first['loss']:.3f}{scores}, {first['seconds']:.1f} s"


LEARN = Step[Work, Training, Trained]("train", learn, Trained)


def training(flow: Flow, work: Work, gpus: float) -> Outcome:
    """Train on the split train, and judge every epoch on val where there is one; ``gpus`` as the task holds them."""
    task = Training(flow.data.shards([TRAIN]), flow.data.shards([VAL]), flow.workspace("train"))
    with Epochs({"": task.workspace}, work.settings.epochs, _described, flow.progress):
        facts = flow.reduce(LEARN, work, task, resources=Resources(gpus=gpus)).facts
    title = f"after {work.settings.epochs} epochs of training, on the split {VAL}"
    rows = [[score.category_name, score.ap, score.ap50] for score in facts.last]
    return Outcome(
        counts={"in": facts.images_in, "kept": facts.images, "quarantined": facts.images_in - facts.images},
        facts={"trainable_parameters": facts.trainable_parameters, "boxes_left_out": facts.boxes_left_out},
        seeds={"train": work.settings.seed},
        summary=[Table(title, ("class", "AP", "AP50"), rows)] if task.val else [],
        notes=[f"boxes not trained on: {count} ({reason})" for reason, count in facts.boxes_left_out.items()],
    )
