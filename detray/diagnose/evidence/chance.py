"""What chance alone can do."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats
from detray.diagnose.criterion import Criterion

BAD_AUC = Criterion(0.4, "below it true detections mostly score less than false ones; chance is .5")
RARELY = Criterion(0.001, "one false call in a thousand classes")
CHANCE_ERRORS = Criterion(3, "standard errors beyond chance: one false call in a thousand classes")


@dataclass(frozen=True)
class Auc:
    """The chance that a value of one kind lies above one of another, such as the score of a true detection
    above that of a false one, and its standard error if both were alike (Mann and Whitney, 1947)."""

    value: float
    error: float

    @classmethod
    def of(cls, high: Floats, low: Floats) -> "Auc | None":
        """The chance that one of ``high`` is greater than one of ``low``; None without either."""
        n, m = len(high), len(low)
        if not n or not m:
            return None
        low = np.sort(low)
        below, through = np.searchsorted(low, high, side="left"), np.searchsorted(low, high, side="right")
        return cls(float((below + through).mean() / 2 / m), float(np.sqrt((n + m + 1) / (12 * n * m))))

    @property
    def is_bad(self) -> bool:
        """Whether false detections outscore true ones, by more than chance."""
        return self.value + self.error < BAD_AUC


def chance_of_count(k: int, n: int, share: float) -> float:
    """The chance that ``k`` or more of ``n`` do what each does with the probability ``share``."""
    from scipy.special import bdtrc  # the tail of scipy.stats.binom, without the second that its import takes

    return float(bdtrc(k - 1, n, share))


def chance_of_median(position: float, n: int) -> float:
    """The chance that the median of ``n`` values drawn from others lies below this share of them: half do."""
    return chance_of_count((n + 1) // 2, n, position)
