"""The steps of counter-tests that run the detector again: which pictures, how bright they are, and what is found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.arrays import Ints, Pixels
from detray.detectors import flow as inference
from detray.detectors.detector import Detections, Detector, Prepared
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Light
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.image_set import ImageSet, joined, read_detections, subset
from detray.diagnose.steps.confirm import TRIED, TrialBoxes, matched_class, trial_rows
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import ShardTask, Work, image_set, read_tables
from detray.flow.data import unseen_images
from detray.flow.kept import Kept
from detray.flow.sample import spread
from detray.flow.step import Keep, Output, Step
from detray.pictures import PictureError, read_picture
from detray.store import ShardKey

IMAGES = (*inference.COLUMNS, "width", "height")


@dataclass(frozen=True)
class Choosing:
    """The choice of ``n`` pictures of these shards, for the sake of some classes."""

    keys: tuple[ShardKey, ...]
    classes: tuple[int, ...]
    n: int


class Chosen(msgspec.Struct, frozen=True):
    """How many pictures were chosen, and the medians of their sides, px; 0: not known."""

    n: int
    width: int
    height: int


def choose(work: Work, task: Choosing) -> Output[Chosen]:
    """Choose the pictures; their rows of ``images`` are kept."""
    parts, boxes = [], []
    for key in task.keys:
        images = work.data.read_range("images", key, IMAGES)
        unseen = unseen_images(work.data, key)["image_id"]
        is_there = pc.and_(images["image_id"].is_valid(), images["path"].is_valid())
        parts.append(images.filter(pc.and_(is_there, pc.invert(pc.is_in(images["image_id"], value_set=unseen)))))
        boxes.append(work.data.read_range("annotations", key, ("image_id", "category_id")).drop_null())
    images, own = pa.concat_tables(parts), pa.concat_tables(boxes)
    ids, first = np.unique(images["image_id"].to_numpy(), return_index=True)
    chosen = chosen_images(ids, own["image_id"].to_numpy(), own["category_id"].to_numpy(), task.classes, task.n)
    rows = images.take(pa.array(first[np.isin(ids, chosen)], pa.int64()))
    width, height = (
        int(np.median(tables.numpy(rows, side, 0))) if rows.num_rows else 0 for side in ("width", "height")
    )
    return Output(Chosen(rows.num_rows, width, height), kept={"images": rows})


def chosen_images(ids: Ints, image: Ints, category: Ints, classes: Sequence[int], n: int) -> Ints:
    """At most ``n`` of the images ``ids`` ``[k]``: half of them with boxes of the classes in turn, the rest any.

    ``image`` and ``category`` ``[m]`` are of the boxes.
    """
    turns = []
    for one in classes:
        own = np.intersect1d(image[category == one], ids)
        own = own[np.argsort(spread(own), kind="stable")]
        turns.append(np.stack([np.arange(len(own)), own], axis=1))
    listed = np.concatenate([np.empty((0, 2), np.int64), *turns])
    listed = listed[np.argsort(listed[:, 0], kind="stable"), 1]
    any_ = ids[np.argsort(spread(ids), kind="stable")]
    first = list(dict.fromkeys(listed.tolist()))[: -(-n // 2)]
    return np.array(sorted(list(dict.fromkeys([*first, *any_.tolist()]))[:n]), np.int64)


CHOOSE: Step[Work, Choosing, Chosen] = Step(
    "choose-pictures", choose, Chosen, (Keep("images"),), label="choose pictures for counter-tests"
)


class Grey(msgspec.Struct, frozen=True):
    """Grey levels of pictures, 0 to 255; ``n`` pictures could be read."""

    n: int
    mean: float
    deviation: float

    @property
    def light(self) -> Light | None:
        """The same for counter-tests; None of no picture."""
        return Light(self.mean, self.deviation) if self.n else None


def measure(work: Work, images: Kept) -> Output[Grey]:
    """The mean and the mean standard deviation of the grey levels of pictures; those that cannot be read are left."""
    found = []
    for path in images.read(["path"])["path"].to_pylist():
        try:
            grey = read_picture(path).mean(axis=2)
        except PictureError:
            continue
        found.append((grey.mean(), grey.std()))
    mean, deviation = np.mean(found, axis=0).tolist() if found else (0.0, 0.0)
    return Output(Grey(len(found), mean, deviation))


MEASURE: Step[Work, Kept, Grey] = Step("light", measure, Grey, label="measure pictures for counter-tests")


@dataclass(frozen=True)
class Changed:
    """A detector that sees changed pictures."""

    detector: Detector
    again: Again

    @property
    def classes(self) -> dict[int, str]:
        return dict(self.detector.classes)

    def prepare(self, picture: Pixels) -> Prepared:
        """Change the picture, then as the detector does."""
        change = self.again.change
        return self.detector.prepare(picture if change is None else change(picture))

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """As the detector does."""
        return self.detector.detect(pictures)


@dataclass(frozen=True)
class AgainWork:
    """A split, and the detector as it is run again."""

    work: Work
    model: inference.Work
    again: Again


@dataclass(frozen=True)
class Ready:
    """The same with the detector loaded."""

    work: Work
    loaded: inference.Loaded

    @staticmethod
    def of(again: AgainWork) -> "Ready":
        loaded = inference.Loaded.of(replace(again.model, predict=again.again.predict))
        detector = Changed(loaded.inference.detector, again.again)
        return Ready(again.work, replace(loaded, inference=replace(loaded.inference, detector=detector)))


@dataclass(frozen=True)
class AgainTask:
    """Pictures, the shards that they lie in, their detections as given, and what is claimed."""

    images: Kept
    keys: tuple[ShardKey, ...]
    source: DetectionSource
    faults: MappingFaults
    claims: tuple[Claim, ...]


def detect_again(ready: Ready, task: AgainTask) -> Output[TrialBoxes]:
    """Detect in the pictures, and match the class of each claim by the detections as given and as found now."""
    images = task.images.read()
    found = ready.loaded.inference.predict(images)
    lost = found.quarantine["image_id"].to_numpy()
    ids = np.setdiff1d(images["image_id"].to_numpy(), lost)
    given = _boxes(ready.work, task, ids)
    now = replace(given, dt=read_detections(found.predictions))
    sides = [task.faults.repairs.apply(one) for one in (given, now)]
    parts, boxes = [], {}
    for number, claim in enumerate(task.claims):
        for trial, side in enumerate(sides, 2 * number):
            rows, boxes[trial] = matched_class(side, claim.category, claim.cap)
            parts.append(trial_rows(rows, trial))
    return Output(TrialBoxes(boxes), kept={"tried": pa.concat_tables([TRIED.empty_table(), *parts])})


def _boxes(work: Work, task: AgainTask, ids: Ints) -> ImageSet:
    """The pictures with boxes and detections as given."""
    parts: list[ImageSet] = []
    for key in task.keys:
        low, high = -np.inf if key.low is None else key.low, np.inf if key.high is None else key.high
        if ((ids >= low) & (ids < high)).any() or not parts:
            parts.append(subset(image_set(read_tables(work, ShardTask(key, task.source))), ids))
    return joined(parts)


DETECT_AGAIN: Step[AgainWork, AgainTask, TrialBoxes] = Step(
    "detect-again",
    detect_again,
    TrialBoxes,
    (Keep("tried", TRIED),),
    setup=Ready.of,
    label="detect again for counter-tests",
)
