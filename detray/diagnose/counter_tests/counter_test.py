"""What a counter-test is, and what it is told of the diagnosis that it tests."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.observation.columns import Columns
from detray.diagnose.observation.image_set import ImageSet


@dataclass(frozen=True)
class Edits(Columns):
    """Corrections of annotations, ``[n]``: what ``row`` of ``image`` becomes; row -1: a box that is added.

    ``category`` int64 and ``box`` float64 ``[n, 4]`` in pixels are the whole annotation as corrected.
    """

    image: Ints
    row: Ints
    category: Ints
    box: Floats

    @classmethod
    def none(cls) -> "Edits":
        """No correction."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing, np.empty((0, 4)))


@dataclass(frozen=True)
class Claim:
    """A diagnosis, as far as counter-tests ask.

    Attributes:
        category: the class.
        cause: its cause.
        d_ap: AP regained as told, be it at most; None: unknown.
        numbers: the evidence.
        config: the remedy's fragment of the configuration.
        cap: detections that the evaluation takes an image and class.
        edits: what clean would correct in boxes of the class for this cause.
    """

    category: int
    cause: str
    d_ap: float | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    cap: int = 100
    edits: Edits = field(default_factory=Edits.none)


class CounterTest(ABC):
    """The remedy of a cause, applied to the files.

    Its docstring is what ``docs/causes.md`` says of it. Before and after it the class is evaluated by the
    evaluation's own kernel, with all other faults between the files repaired in both.
    """

    cause: ClassVar[str]
    words: ClassVar[str]
    """What is done, as sentences say it."""
    mends: ClassVar[tuple[str, ...]] = ()
    """Faults between the files that it mends, by their names in `MappingFaults`."""
    measures: ClassVar[bool] = False
    """It tries the whole remedy, so that AP gained is AP regained."""

    def obstacle(self, claim: Claim) -> str | None:
        """Why it cannot be tried on these files; None: it can."""
        return None

    def done(self, claim: Claim) -> str:
        """What is done, with its numbers."""
        return self.words

    def denies(self, claim: Claim) -> bool:
        """Whether AP that stays as it was speaks against the cause."""
        return True

    def cap(self, claim: Claim) -> int:
        """Detections an image and class that count after it."""
        return claim.cap

    def remedied(self, images: ImageSet, claim: Claim) -> ImageSet:
        """Images with the remedy applied, those of ``mends`` already are."""
        return images
