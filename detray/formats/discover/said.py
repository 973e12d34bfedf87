"""What was taken of a folder, in a line, and the question where two answers fit."""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detray.errors import UsageError
from detray.formats.discover.candidates import Answer
from detray.formats.discover.tree import Tree
from detray.formats.settings import SplitSettings
from detray.formats.tfrecord.reader import TFRecord

_MAX_CHOICES = 8
_PLAIN = re.compile(r"[\w/][\w./-]*\.[A-Za-z]+")
"""A path that YAML reads as text."""


@dataclass(frozen=True)
class Choice:
    """One of the answers: what it is, and the arguments that pick it, of which the first is a file or folder."""

    what: str
    arguments: tuple[str, ...]


class SeveralFit(UsageError):
    """More than one answer fits; the command that picks each is known to whoever knows the verb."""

    def __init__(self, problem: str, choices: Sequence[Choice]) -> None:
        super().__init__(problem)
        self.problem = problem
        self.choices = tuple(choices)

    def question(self, verb: str, others: Sequence[str]) -> UsageError:
        """The error with the commands of ``verb``; ``others``: its further files."""
        lines = []
        for one in self.choices[:_MAX_CHOICES]:
            command = shlex.join([verb, one.arguments[0], *others, *one.arguments[1:]])
            lines.append(f"  detray {command}  # {one.what}")
        more = len(self.choices) - _MAX_CHOICES
        return UsageError("\n".join([f"{self.problem}:", *lines, *([f"  and {more} more"] if more > 0 else [])]))


def described(root: str, splits: Mapping[str, SplitSettings]) -> str:
    """What was taken, with the places below ``root``."""
    formats = list(dict.fromkeys(split.format for split in splits.values()))
    parts = [f"{name} from {_annotations(split, root)}" for name, split in splits.items()]
    return f"{_relative(root)}: took {', '.join(formats)}: {'; '.join(parts)}"


def _annotations(split: SplitSettings, root: str) -> str:
    stated = (split.annotations,) if isinstance(split.annotations, str) else split.annotations
    first = _below(stated[0], root) if len(stated) == 1 else f"{_below(stated[0], root)} and {len(stated) - 1} more"
    first += f" (list {_below(split.list, root)})" if split.list else ""
    if split.format == TFRecord.name:
        return f"{first}, pictures in the records"
    return f"{first}, pictures {'not found' if split.images is None else f'in {_below(split.images, root)}'}"


def several_data_sets(tree: Tree, found: Sequence[Answer]) -> SeveralFit:
    """Of which each is a data set."""
    formats = [answer[0].format for answer in found]
    by_format = len(set(formats)) == len(formats)
    choices = []
    for answer in found:
        splits = ", ".join(one.split or "val" for one in answer)
        what = f"{answer[0].format}: {splits} in {', '.join(one.place or '.' for one in answer)}"
        picked = (_relative(tree.root), "--format", answer[0].format) if by_format else _by_place(tree, answer, found)
        choices.append(Choice(what, picked))
    return SeveralFit(f"{_relative(tree.root)}: {len(found)} data sets fit; say which", choices)


def several_picture_folders(tree: Tree, fits: Sequence[str]) -> SeveralFit:
    """Of which each holds the pictures that annotations name."""
    here = _relative(tree.root)
    choices = [Choice(f"pictures in {_below(fit, tree.root)}", (here, "--images", _relative(fit))) for fit in fits]
    return SeveralFit(f"{here}: {len(fits)} folders hold the pictures that annotations name; say which", choices)


def _by_place(tree: Tree, answer: Answer, found: Sequence[Answer]) -> tuple[str, ...]:
    """Arguments that name the folder that only this answer lies in, or else its files."""
    others = [one.place for other in found if other is not answer for one in other]
    common = os.path.commonpath([one.place for one in answer]) if len(answer) > 1 else answer[0].place
    parts = common.split("/") if common else []
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        alone = not any(f"{place}/".startswith(f"{folder}/") for place in others)
        if alone and os.path.isdir(os.path.join(tree.root, folder)):  # noqa: PTH112, PTH118
            return (_relative(f"{tree.root}/{folder}"),)
    by_split = {one.split or "val": one for one in answer}
    first = by_split.pop("val", None) or by_split.pop(next(iter(by_split)))
    arguments = [_relative(first.paths[0])]
    if "train" in by_split and len(by_split["train"].paths) == 1:
        arguments += ["--train", _relative(by_split.pop("train").paths[0])]
    if len(first.paths) > 1:
        by_split["val"] = first
    root = first.paths[0] if os.path.isdir(first.paths[0]) else os.path.dirname(first.paths[0])  # noqa: PTH112, PTH120
    for name, one in by_split.items():
        arguments += [
            "--set",
            f"dataset.splits.{name}.annotations={_value([_below(path, root) for path in one.paths])}",
        ]
    return tuple(arguments)


def _value(paths: Sequence[str]) -> str:
    """Paths as YAML."""
    is_plain = len(paths) == 1 and _PLAIN.fullmatch(paths[0])
    return paths[0] if is_plain else json.dumps(paths if len(paths) > 1 else paths[0], ensure_ascii=False)


def _below(path: str, root: str) -> str:
    return os.path.relpath(path, root)


def _relative(path: str) -> str:
    """As a person in the current directory would write it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("../..") else relative
