"""What every detector is to the rest: pictures in, detections out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Bytes, Floats, Ints, Ints32, Pixels
from detray.boxes import Reach
from detray.detectors.io import Layout
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.extras import NETWORK


@dataclass(frozen=True)
class Prepared:
    """A picture as its detector takes it.

    ``pixels``: uint8 of any shape, the detector's own: the picture as it is, resized, letterboxed, or
    encoded again; ``width`` and ``height`` of the picture as displayed, px, which lead back to its pixels.
    """

    pixels: Bytes
    width: int
    height: int


OfPicture = tuple[Floats, Floats, Ints]
"""Of one picture: boxes ``[n, 4]``, scores ``[n]`` and category ids ``[n]``, as in `Detections`."""

Prepare = Callable[[Pixels], Prepared]
"""Makes RGB pictures ``[height, width, 3]`` ready, one by one: NumPy and OpenCV only, from any thread."""


@dataclass(frozen=True)
class Detections:
    """Detections in some pictures, picture by picture, best first.

    ``image``: ``[n]``, position of the picture among those given; ``category_id``: ``[n]``, as the model counts,
    from 0 or 1: what its ids mean in a data set is settled where they are named; ``boxes``:
    float64 ``[n, 4]``, x, y, width, height in pixels of the picture as displayed; ``scores``: float64
    ``[n]``; ``rank``: int32 ``[n]``, from 1 in each picture.
    """

    image: Ints
    category_id: Ints
    boxes: Floats
    scores: Floats
    rank: Ints32

    @staticmethod
    def of(pictures: "Sequence[OfPicture]") -> "Detections":
        """Those of each picture, which come best first, put together."""
        counts = [len(scores) for _, scores, _ in pictures]
        none: OfPicture = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
        boxes, scores, classes = (np.concatenate(columns) for columns in zip(none, *pictures, strict=True))
        return Detections(
            image=np.repeat(np.arange(len(pictures)), counts),
            category_id=classes,
            boxes=boxes,
            scores=scores,
            rank=np.concatenate([np.zeros(0, np.int32), *(np.arange(1, n + 1, dtype=np.int32) for n in counts)]),
        )

    def columns(self, image_ids: Ints) -> dict[str, NDArray]:
        """As columns of the table predictions; ``image_ids``: ``[b]`` of the pictures given."""
        sides = {side: self.boxes[:, number] for number, side in enumerate(("x", "y", "width", "height"))}
        return {
            "image_id": image_ids[self.image],
            "category_id": self.category_id,
            **sides,
            "score": self.scores,
            "rank": self.rank,
        }


class Detector(Protocol):
    """A trained detector, loaded where it is used: it does not pickle."""

    @property
    def classes(self) -> Mapping[int, str]:
        """category_id to name."""
        ...

    def prepare(self, picture: Pixels) -> Prepared:
        """An RGB picture ``[height, width, 3]`` of any size as `detect` takes it: see `Prepare`."""
        ...

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """The detections in any number of pictures of any sizes.

        What a picture gets does not depend on the others.
        """
        ...


class Load(Protocol):
    """Makes a detector, in the process that runs it."""

    def __call__(
        self, detector: DetectorSettings, path: str, predict: PredictSettings, *, trust_model: bool
    ) -> Detector:
        """The detector at ``path``, a file or folder, local or a URI.

        Args:
            detector: the section; its ``io`` says what the model does not tell.
            path: of the model.
            predict: which detections it gives, and how many pictures it takes at once.
            trust_model: run a model even if its graph reads files or the network.

        Raises:
            DetrayError: there is none, or it may not be run.
        """
        ...


class Check(Protocol):
    """Refuses a model that may not or cannot be run, without loading it."""

    def __call__(self, detector: DetectorSettings, path: str, *, trust_model: bool) -> None:
        """As `Load`, of which it has the arguments and errors."""
        ...


@dataclass(frozen=True)
class DetectorKind:
    """A value of ``detector.kind``, and what detectors of that kind can do.

    Args:
        name: the value.
        marker: what tells such a model: the suffix of its file (``.tflite``), or a file in its folder.
        load: makes the detector of a path.
        read_classes: category_id to name of the model at a path, without loading it; empty where it does not
            name its classes.
        read_prepare: how the model at a path takes its pictures, without loading it: a small value that
            pickles and does what `Detector.prepare` does, so that other processes can decode for it.
        read_layout: what the model at a path takes and gives, without loading it; None where it is our own.
        check: refuses before anything starts what ``load`` would refuse later; None: ``read_classes`` does.
        is_trainable: whether 'detray train' and 'detray tune' make such detectors.
        reach: what a detector that is trained with some settings can see; None where that is not known.
        read_reach: what the model at a path can see, without loading it; None where it does not tell.
        modules: that ``load`` imports and a plain install leaves out.
        read_modules: the same of the ``read_`` functions.
        largest_batch: pictures that it takes at once at most; None: any number.

    The ``read_`` functions raise `DetrayError` where the path holds no such model.
    """

    name: str
    marker: str
    load: Load
    read_classes: Callable[[DetectorSettings, str], dict[int, str]]
    read_prepare: Callable[[DetectorSettings, str], Prepare]
    read_layout: Callable[[DetectorSettings, str], Layout] | None = None
    check: Check | None = None
    is_trainable: bool = False
    reach: Callable[[DetectorSettings], Reach | None] | None = None
    read_reach: Callable[[DetectorSettings, str], Reach | None] | None = None
    modules: tuple[str, ...] = NETWORK
    read_modules: tuple[str, ...] = ()
    largest_batch: int | None = None

    def batch_size(self, asked: int) -> int:
        """How many pictures it is given at once where ``asked`` are configured."""
        return asked if self.largest_batch is None else min(asked, self.largest_batch)
