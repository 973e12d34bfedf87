"""What a cause is, and what it says about a class."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from detray.arrays import Flags
from detray.diagnose.case import Case
from detray.diagnose.evidence.inputs import Input

MAPPING, GROUND_TRUTH, OUTPUT, TRAINING_DATA, TRAINING, SYMPTOM = range(1, 7)
"""The groups, in the order in which they explain each other."""

GROUPS = {
    MAPPING: "mapping between the files",
    GROUND_TRUTH: "ground truth",
    OUTPUT: "output settings",
    TRAINING_DATA: "training data",
    TRAINING: "training",
    SYMPTOM: "symptoms",
}
"""What the groups are called."""

LEARNT = (TRAINING_DATA, TRAINING, SYMPTOM)
"""Groups whose remedy is another training. What that regains shows when it is done: a counterfactual on the detections
at hand is a ceiling, the AP under a remedy that leaves nothing of the fault."""


@dataclass(frozen=True)
class Verdict:
    """A cause holds for a class.

    ``confidence`` is in [0, 1], ``d_ap`` the AP regained if this alone were mended (None: unknown; see `is_ceiling`),
    ``numbers`` the evidence as JSON values, ``sentence`` what is wrong with its numbers, ``remedy``
    what to do in a sentence; ``config`` is a fragment of the configuration that tune or clean runs,
    or a corrected label map, None where the mend is by hand.
    """

    confidence: float
    d_ap: float | None
    numbers: dict[str, Any]
    sentence: str
    remedy: str
    config: dict[str, Any] | None = None
    explains: tuple[str, ...] = ()
    """Names of causes that come of it here, beside those that always do."""
    is_ceiling: bool = False
    """``d_ap`` is the most that could be regained: how much it is depends on what is not at hand, such as detections
    that were never written. Of groups in `LEARNT` every ``d_ap`` is that."""
    boxes: Flags | None = field(default=None, repr=False, compare=False)
    """The boxes of the class, ``[n]``, that the cause is about; None: it is not about single boxes."""
    detections: Flags | None = field(default=None, repr=False, compare=False)
    """The same of the detections, ``[m]``."""


class Cause(ABC):
    """One cause.

    Its docstring says what is wrong in the first line, then ``Tells:`` (the evidence), ``Source:``,
    ``Example:`` and ``Remedy:``; the page of causes is made from it, and from the `Criterion` constants of its
    module.
    """

    name: ClassVar[str]
    group: ClassVar[int]
    inputs: ClassVar[tuple[Input, ...]] = ()
    """What it needs beside ground truth and detections, one of these; without any it is not looked for."""
    explains: ClassVar[tuple[str, ...]] = ()
    """Symptoms that come of it."""

    @abstractmethod
    def judge(self, case: Case) -> Verdict | None:
        """What the cause says of the class; None where the evidence does not pass."""


def confidence(value: float, threshold: float, full: float = 1.0) -> float:
    """.5 where ``value`` just passes ``threshold``, rising to 1 at ``full`` (on either side of it)."""
    return round(0.5 + 0.5 * min(max((value - threshold) / (full - threshold), 0.0), 1.0), 3)


def number(n: int, one: str, many: str) -> str:
    """So many things as sentences write it: 1 box, 2 boxes."""
    return f"{n} {one if n == 1 else many}"


def percent(share: float) -> str:
    """A share as sentences write it."""
    return f"{100 * share:.0f}%"


def tune(case_name: str, **space: list[Any]) -> dict[str, Any]:
    """The fragment of a configuration by which tune searches these train settings for the class."""
    return {"tune": {"focus": [case_name], "space": space}}


def clean(*actions: str, min_score: float = 0.9) -> dict[str, Any]:
    """The fragment by which clean makes these kinds of edits."""
    return {"clean": {"actions": list(actions), "min_score": min_score}}
