"""Detections from another tool's file as predictions: checked image by image, and what is left out with its reason."""

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from detray.flow.account import Account
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.flow.pieces import Piece, cut
from detray.flow.step import Output, Step
from detray.formats.detections.check import REASONS, left_out, validate
from detray.formats.detections.file import DetectionsFile, read_file
from detray.formats.detections.ids import with_classes
from detray.formats.detections.meaning import meaning_of
from detray.meaning.settle import Meaning, Stated, facts_of

_LONG = re.compile(r"(\.\d\d)\d+")
"""More decimals than a summary shows."""


@dataclass(frozen=True)
class FilePredictions:
    """The predictions that a file of detections comes to; small, for tasks.

    Attributes:
        file: its rows as they were written.
        run, model, stage: what predictions, and rows that are left out, are marked with.
        meaning: of its class ids and names.
    """

    file: DetectionsFile
    run: str
    model: str
    stage: str
    meaning: Meaning

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return self.file.rows

    def of(self, data: Data, piece: Piece) -> tuple[pa.Table, pa.Table, Account]:
        """The predictions of the images of a piece, by image and then as in the file; what is left out; the account.

        Rows that name no image count to the first piece of the split.
        """
        key = piece.key(data)
        rows = with_classes(self.file.of(key, unnamed=piece.number == 0 and piece.shard.low is None), self.meaning)
        images = data.read_range("images", key, ("image_id", "file_name"))
        categories = data.read("categories", filters=[("split", "=", key.split)])
        predictions, quarantine = validate(
            rows, images, categories, run=self.run, model=self.model, split=key.split, stage=self.stage
        )
        placed = predictions.num_rows
        if rows.num_rows and not placed:  # detections that cannot be scored may name images all the same
            known = pc.unique(images["image_id"]).drop_null()
            placed = pc.sum(pc.is_in(rows["image_id"], value_set=known)).as_py()
        account = Account(rows.num_rows, predictions.num_rows, placed, left_out(quarantine))
        return predictions, quarantine, account

    def tables(self, account: Account, title: str) -> list[Table]:
        """Why rows of the file were left out; no table where none was."""
        found = [
            [reason, left.rows, why, f"row {left.row}: " + _LONG.sub(r"\1", left.detail)]
            for reason, why in REASONS.items()
            if (left := account.left_out.get(reason)) is not None
        ]
        return [Table(title, ("reason", "rows", "why", "first"), found)] if found else []

    def notes(self) -> list[str]:
        """What else there is to say of the file."""
        named, notes = self.file.named, list(self.meaning.notes)
        return [f"{named:,} detections name their image by its file name", *notes] if named else notes


@dataclass(frozen=True)
class Checking:
    """What the detections of a file are checked against."""

    data: Data
    predictions: FilePredictions


def check(work: Checking, piece: Piece) -> Output[Account]:
    """The predictions of a piece's images, and the rows that are left out."""
    predictions, quarantine, account = work.predictions.of(work.data, piece)
    return Output(account, {"predictions": predictions, "quarantine": quarantine})


CHECK: Step[Checking, Piece, Account] = Step("predictions", check, Account, label="check detections", streams=True)


def take_over(flow: Flow, path: str, split: str, stated: Stated, run: str) -> Outcome:
    """Write the detections of a file as the predictions of the images of ``split``.

    Args:
        flow: of the stage ``predict``.
        path: of the file, whose stem is the model's name.
        split: whose images it is about.
        stated: of its class ids.
        run: name of the run.
    """
    model = Path(path).stem
    file = read_file(flow, path, split)
    found = FilePredictions(file, run, model, "predict", meaning_of(flow, path, file, split, stated))
    pieces = cut(flow.data.shards([split]), found.rows)
    checked = flow.map(CHECK, Checking(flow.data, found), {piece.name: piece for piece in pieces})
    account = Account.total(checked.facts)
    reasons = {reason: account.left_out[reason].rows for reason in REASONS if reason in account.left_out}
    return Outcome(
        account.counts,
        {"model": model, "placed": account.placed, "left_out": reasons} | facts_of({split: found.meaning}),
        summary=[
            Table("detections", ("model", "read", "kept"), [[model, account.read, account.kept]]),
            *found.tables(account, "Detections left out"),
        ],
        notes=found.notes(),
    )
