"""Reading a pipeline.config: its text, what protobuf makes of it, where each field stands, and what is not judged."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from detray.errors import UsageError
from detray.files import open_file
from detray.pipeline.fields import declared, from_protobuf, message_class
from detray.pipeline.model import CenterNet, FasterRcnn, Ssd
from detray.pipeline.schema import TrainEvalPipelineConfig
from detray.pipeline.text import Node, scan

MAX_BYTES = 1 << 20
"""A pipeline.config of the model zoo has 5 kB."""


@dataclass(frozen=True)
class Unknown:
    """A field that no rule reads: its place (``model.ssd.matcher``) and line, from 1."""

    place: str
    line: int


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline.config.

    Attributes:
        path: where it lies.
        text: all of it, which an edit keeps but for what it changes.
        config: what it states, with the API's defaults for the rest.
        lines: the line, from 1, of each field that is stated, by its place; of repeated ones with a number:
            ``eval_input_reader[0].label_map_path``.
        unknown: the fields that no rule reads, each without those below it.
    """

    path: str
    text: str
    config: TrainEvalPipelineConfig
    lines: dict[str, int]
    unknown: tuple[Unknown, ...]

    @property
    def name(self) -> str:
        """What sentences call it."""
        return PurePath(self.path).name

    @property
    def architecture(self) -> Ssd | FasterRcnn | CenterNet | None:
        """The model's part that holds num_classes and the resizer; None where it is of a kind that no rule knows."""
        model = self.config.model
        return model.ssd or model.faster_rcnn or model.center_net

    @property
    def architecture_place(self) -> str:
        """Where that stands: ``model.ssd``."""
        names = ("ssd", "faster_rcnn", "center_net")
        return "model." + next((name for name in names if getattr(self.config.model, name)), "ssd")

    def at(self, place: str) -> str:
        """A field as sentences name it, with its line where it is stated: ``num_classes (line 2)``."""
        line = self.lines.get(place)
        where = f"line {line}" if line is not None else "not stated"
        return f"{place} ({where})"

    def write(self, place: str, value: str) -> str:
        """What to write, as a sentence ends: the line itself, and where it belongs."""
        section, _, name = place.rpartition(".")
        line = self.lines.get(place, self.lines.get(f"{place}[0]"))
        where = f"line {line}, in {section}" if line is not None else f"in {section}"
        return f"write `{name}: {value}` ({where})"


def read_pipeline(path: str) -> PipelineFile:
    """Read a pipeline.config.

    Raises:
        UsageError: it cannot be read, or is not what the API reads, with the line.
    """
    try:
        with open_file(Path(path)) as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not a pipeline.config")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text, so not a pipeline.config") from None
    return parse_pipeline(text, path)


def parse_pipeline(text: str, path: str) -> PipelineFile:
    """As `read_pipeline`, of a text.

    Raises:
        UsageError: it is not what the API reads, with the line.
    """
    from google.protobuf import text_format

    nodes = scan(text, path)
    read = message_class(TrainEvalPipelineConfig)()
    try:
        text_format.Parse(text, read, allow_unknown_field=True, allow_unknown_extension=True)
    except text_format.ParseError as error:
        raise UsageError(f"{path}, {_in_words(str(error))}; correct that line") from None
    lines: dict[str, int] = {}
    unknown = tuple(_walk(nodes, TrainEvalPipelineConfig, "", lines))
    if not lines:
        raise UsageError(f"{path}: states no model, training or evaluation, so it is not a pipeline.config")
    return PipelineFile(path, text, from_protobuf(TrainEvalPipelineConfig, read), lines, unknown)


def _walk(nodes: Sequence[Node], message: type, prefix: str, lines: dict[str, int]) -> Iterator[Unknown]:
    """The fields that ``message`` does not declare; ``lines`` is given those that it does."""
    known = declared(message)
    seen: dict[str, int] = {}
    for node in nodes:
        field = known.get(node.name)
        place = prefix + node.name
        if field is None:
            yield Unknown(place, node.line)
            continue
        if field.repeated and (field.is_message or field.type is str):
            place += f"[{seen.get(node.name, 0)}]"
            seen[node.name] = seen.get(node.name, 0) + 1
        lines.setdefault(place, node.line)
        if field.is_message and node.children is not None:
            yield from _walk(node.children, field.type, f"{place}.", lines)


def _in_words(error: str) -> str:
    """Protobuf's error, which begins with line and column from 1, in our words."""
    place, _, message = " ".join(error.split()).partition(" : ")
    if not re.fullmatch(r"\d+:\d+", place):
        place, message = "", error
    line = f"line {place.partition(':')[0]}: " if place else ""
    message = re.sub(r"^'.*?': (?=\S)", "", message).replace('"', "'").rstrip(".")
    return f"{line}{message.replace('object_detection.protos.', '')}"
