"""Decisions of a file that a person saved: the review page's own, or of a tool that `detray review` wrote for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from detray import mirror
from detray.clean.decisions import Decision, read_decisions
from detray.errors import DetrayError, UsageError
from detray.files import open_file
from detray.formats.json import whole
from detray.review.answer import Answer, compare
from detray.review.canvas import labels
from detray.review.catalogue import TOOLS
from detray.review.key import Key, Picture
from detray.review.tool import Tool
from detray.store import Store

MAX_TOLD = 20
"""Kinds of what no edit can express that are told by name."""
_ZIP = b"PK\x03\x04"


@dataclass
class Decisions:
    """The decisions of some files, and of each what no edit can express: sentences."""

    made: list[Decision] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_all(paths: Sequence[str], store: Store) -> Decisions:
    """What people decided, of files of any kind; ``store``: the output folder that the exports were made from.

    Raises:
        UsageError: a file cannot be read, or is not of this folder's exports.
    """
    found = Decisions()
    for path in paths:
        tool = _tool(path)
        if tool is None:
            made = Decisions(read_decisions(path))
            found.made += made.made
            found.notes.append(f"{path}: {_said(made.made)}")
            continue
        try:
            made = _compared(path, list(tool.read(mirror.here(path))), store)
        except (DetrayError, RecursionError) as error:
            raise UsageError(f"{path}: {error}") from None
        found.made += made.made
        found.notes += [f"{path}, of {tool.name}: {note}" for note in (_said(made.made), *made.notes)]
    return found


def _said(made: Sequence[Decision]) -> str:
    words = Counter(one.decision for one in made)
    return f"{words['accept']} accepted, {words['reject']} rejected"


def _tool(path: str) -> Tool | None:
    """The tool that saved a file; None for the review page.

    Raises:
        UsageError: it cannot be read, or is none that anything here saves.
    """
    try:
        with open_file(path) as file:
            if file.read(len(_ZIP)) == _ZIP:
                raise UsageError(f"{path}: a zip archive; unpack it, and name the file within")
        here = str(mirror.here(path))
        fitting = [tool for tool in TOOLS if tool.recognises(here)]
        is_page = not fitting and "detray" in whole.keys(here)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except DetrayError as error:
        raise UsageError(str(error)) from None
    if is_page:
        return None
    if len(fitting) != 1:
        names = ", ".join(tool.name for tool in fitting or TOOLS)
        what = (
            f"may be of several tools ({names})" if fitting else f"neither what the review page exports nor of {names}"
        )
        raise UsageError(f"{path}: {what}; name a file of decisions.json, or one that a tool saved")
    return fitting[0]


def _compared(path: str, answers: Sequence[Answer], store: Store) -> Decisions:
    """Compare what came back with what was drawn, export by export."""
    by_export: dict[str | None, list[Answer]] = {}
    for answer in answers:
        by_export.setdefault(_export(answer), []).append(answer)
    unmarked = by_export.pop(None, [])
    if not by_export:
        raise DetrayError(
            "nothing in it bears a mark of detray review (attribute detray), so it cannot be compared with what was"
            " drawn; save it with the attributes of its boxes"
        )
    found, left = Decisions(), Counter[str]()
    for export, own in by_export.items():
        key = Key(store, str(export))
        if not key.is_there:
            raise DetrayError(
                f"it is of the export {export}, which was not made from {store.path()}; name the folder that it was"
                " made from with --output"
            )
        others = unmarked if len(by_export) == 1 else []
        found.made += _decided(_placed([*own, *others], key, left), key, store, left)
    if len(by_export) > 1:
        left["pictures without a mark, in a file of several exports"] += len(unmarked)
    told = (+left).most_common(MAX_TOLD)
    found.notes += [f"{count} {what}" for what, count in sorted(told)]
    if rest := left.total() - sum(count for _, count in told):
        found.notes.append(f"{rest} more of other kinds")
    return found


def _export(answer: Answer) -> str | None:
    """The export that a picture is of, as its mark says or those of its boxes do."""
    marks = [answer.mark, *(one.mark for one in answer.boxes)]
    return next((mark.export for mark in marks if mark), None)


def _placed(answers: Sequence[Answer], key: Key, left: Counter[str]) -> dict[int, list[Answer]]:
    """The answers by the number of their picture: as marks say, else by the picture's name."""
    numbers = key.numbers()
    picture_of = dict(zip(numbers["number"].to_pylist(), numbers["picture"].to_pylist(), strict=True))
    found: dict[int, list[Answer]] = {}
    unmarked = []
    for answer in answers:
        marks = [answer.mark, *(one.mark for one in answer.boxes)]
        number = next((picture_of[mark.number] for mark in marks if mark and mark.number in picture_of), None)
        if number is None:
            unmarked.append(answer)
        else:
            found.setdefault(number, []).append(answer)
    if unmarked:
        named = _by_name(numbers, set(found))
        for answer in unmarked:
            number = named.get(_base(answer.name))
            if number is None:
                left["pictures that the export does not have, or has twice"] += 1
            else:
                found.setdefault(number, []).append(answer)
    return found


def _by_name(numbers: pa.Table, known: set[int]) -> Mapping[str | None, int | None]:
    """Pictures by the last part of their name, where one has it; of the splits that the file is known to be of."""
    pictures = numbers.filter(pc.equal(numbers["picture"], numbers["number"]))
    rows = pictures.to_pylist()
    splits = {row["split"] for row in rows if row["picture"] in known}
    found: dict[str | None, int | None] = {}
    for row in rows:
        if not splits or row["split"] in splits:
            name = _base(row["name"])
            found[name] = None if name in found else row["picture"]
    return found


def _base(name: str | None) -> str | None:
    return None if name is None else name.replace("\\", "/").rpartition("/")[2]


def _decided(placed: Mapping[int, Sequence[Answer]], key: Key, store: Store, left: Counter[str]) -> list[Decision]:
    found: list[Decision] = []
    classes: dict[str, dict[str, int]] = {}
    pictures = key.pictures(list(placed))
    for number, answers in placed.items():
        picture = pictures[number]
        if picture.split not in classes:
            known = labels(store.read("categories", filters=[("split", "=", picture.split)]))
            classes[picture.split] = {label: category_id for category_id, label in known.items()}
        found += _of_picture(picture, answers, classes[picture.split], left)
    return found


def _of_picture(
    picture: Picture, answers: Iterable[Answer], classes: Mapping[str, int], left: Counter[str]
) -> list[Decision]:
    """What one person, or several who agree, decided about a picture."""
    made = [compare(picture, answer, classes) for answer in answers if answer.is_seen]
    left["pictures that nobody submitted"] += not made
    for one in made:
        left.update(one.left)
    said = [one.decisions for one in made if one.decisions]
    if any(other != said[0] for other in said[1:]):
        left["pictures that two people decided differently"] += 1
        return []
    return said[0] if said else []
