"""The paths that a pipeline.config states."""

from collections.abc import Iterator
from dataclasses import dataclass

from detray.pipeline.read import PipelineFile
from detray.pipeline.schema import InputReader

TRAIN, EVAL = "train_input_reader", "eval_input_reader"
CHECKPOINT = "train_config.fine_tune_checkpoint"
RECORDS, LABEL_MAP = "tf_record_input_reader.input_path", "label_map_path"


@dataclass(frozen=True)
class StatedPath:
    """A path that a pipeline.config states.

    Attributes:
        place: its field: ``train_input_reader.label_map_path``.
        stated: the path as written.
        files: the files that it is, none where it leads to none.
        problem: why it leads to none, in words.
        looked: whether its place was looked at; places outside of the data set's folder and URLs are not.
        instead: a path that leads to a file, if one of that name lies elsewhere in the data set's folder.
    """

    place: str
    stated: str
    files: tuple[str, ...] = ()
    problem: str | None = None
    looked: bool = True
    instead: str | None = None

    @property
    def is_records(self) -> bool:
        """Whether it names records."""
        return RECORDS in self.place

    def is_of(self, reader: str) -> bool:
        """Whether the reader ``reader``, or one of several, states it."""
        return self.place.startswith(reader)


def readers(file: PipelineFile) -> Iterator[tuple[str, InputReader]]:
    """The readers that are stated, each with its place."""
    if TRAIN in file.lines:
        yield TRAIN, file.config.train_input_reader
    for number, reader in enumerate(file.config.eval_input_reader):
        yield f"{EVAL}[{number}]", reader


def stated_paths(file: PipelineFile) -> Iterator[tuple[str, str]]:
    """Field and path of each label map, of records and of the checkpoint."""
    for place, reader in readers(file):
        if reader.label_map_path:
            yield f"{place}.{LABEL_MAP}", reader.label_map_path
        records = reader.tf_record_input_reader
        for number, path in enumerate(records.input_path if records is not None else ()):
            yield f"{place}.{RECORDS}[{number}]", path
    if file.config.train_config.fine_tune_checkpoint:
        yield CHECKPOINT, file.config.train_config.fine_tune_checkpoint
