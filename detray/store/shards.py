"""How a data set is cut: ranges of images, the same for every stage after ingest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ShardKey:
    """A range of images of one split: ``low <= image_id < high``, None for no bound.

    ``index`` numbers the ingest parts across splits: ``images/part-<index>.parquet`` holds the
    images and ``annotations/part-<index>.parquet`` their annotations.
    """

    index: int
    split: str
    low: int | None
    high: int | None
    n_images: int = 0
    n_annotations: int = 0

    @property
    def name(self) -> str:
        return f"{self.index:05d}"

    def may_hold(self, part: Mapping[str, Any]) -> bool:
        """Whether a part of a table, as the manifest lists it, may have rows about these images."""
        if "split" not in part:
            return True
        return bool(
            part["split"] == self.split
            and (self.low is None or part["high"] >= self.low)
            and (self.high is None or part["low"] < self.high)
        )

    def filters(self) -> list[tuple[str, str, Any]]:
        """These images, as pyarrow's filters."""
        found: list[tuple[str, str, Any]] = [("split", "=", self.split)]
        if self.low is not None:
            found.append(("image_id", ">=", self.low))
        if self.high is not None:
            found.append(("image_id", "<", self.high))
        return found


def absolute(place: str) -> str:
    """A path or URI that names the same place from any working directory, as workers have their own."""
    return place if "://" in place else str(Path(place).absolute())
