"""Which epoch a training keeps, and when it has waited long enough for a better one."""

from dataclasses import dataclass, field
from typing import Any

from detray.detectors.settings import TrainSettings


@dataclass
class Best:
    """The best epoch so far: its number, 0 where none was judged, how good it is, and its weights if they are kept."""

    settings: TrainSettings
    epoch: int = 0
    score: float | None = None
    weights: list[Any] = field(default_factory=list)

    def take(self, epoch: int, score: float | None, network: Any) -> None:
        """See how good an epoch is; None: nobody knows. Of equal ones the first stays."""
        if score is None or (self.score is not None and score <= self.score):
            return
        self.epoch, self.score = epoch, score
        if self.settings.keep == "best":
            self.weights = network.get_weights()

    def is_over(self, epoch: int) -> bool:
        """Whether patience has come to its end with ``epoch``."""
        patience = self.settings.patience
        return patience is not None and self.score is not None and epoch - self.epoch >= patience

    def put_back(self, epoch: int, network: Any) -> int:
        """Give ``network``, which is at ``epoch``, the weights that are kept; their epoch."""
        if not self.weights:
            return epoch
        network.set_weights(self.weights)
        return self.epoch
