"""Another model, whose detections of the same images are compared."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from detray import schema
from detray.flow.account import Account
from detray.flow.data import Data
from detray.flow.outcome import Table
from detray.flow.pieces import Piece


class OtherPredictions(Protocol):
    """Where the other model's predictions are: a file, or the folder of another run. It crosses processes."""

    @property
    def rows(self) -> int:
        """About how many there are."""
        ...

    def of(self, data: Data, piece: Piece) -> tuple[pa.Table, pa.Table, Account]:
        """The predictions of a piece of ``data``, the rows of a file that are left out, and the account of its rows."""
        ...

    def tables(self, account: Account, title: str) -> list[Table]:
        """Why rows were left out; no table where none was."""
        ...

    def notes(self) -> list[str]:
        """What else there is to say."""
        ...


@dataclass(frozen=True)
class OtherRun:
    """The predictions of another run of the same data set."""

    predicted: Data

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part["rows"] for part in self.predicted.files("predictions", "predict"))

    def of(self, data: Data, piece: Piece) -> tuple[pa.Table, pa.Table, Account]:
        """The predictions of a piece; there is no file whose rows could be left out."""
        return self.predicted.read_range("predictions", piece.key(data)), schema.empty("quarantine"), Account()

    def tables(self, account: Account, title: str) -> list[Table]:
        """Nothing."""
        return []

    def notes(self) -> list[str]:
        """Nothing."""
        return []


@dataclass(frozen=True)
class OtherModel:
    """The other model.

    Attributes:
        name: another one than that of the model it is compared with.
        path: of its file or folder, for messages.
        predictions: what it found.
    """

    name: str
    path: str
    predictions: OtherPredictions
