"""What a person left of a picture, compared with what was drawn: decisions.

What the person says outright (``accept``, ``reject``) counts, and beside it what they did: a box that is gone, moved,
of another class, or new. What is as it was drawn says nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from msgspec.structs import replace

from detray.boxes import paired_iou
from detray.clean.decisions import About, Decision
from detray.report.sections.common import Box
from detray.review.key import Drawn, Mark, Picture

BY_HAND = "review"
"""The kind of an edit that a person made unasked."""
ROUNDING = 0.5
"""Pixels by which an edge may have moved without a person's doing: tools round what they write."""

Word = Literal["accept", "reject"]
_WORDS: Mapping[str, Word] = {"accept": "accept", "reject": "reject"}


def word(text: object) -> Word | None:
    """What a text decides, if anything."""
    return _WORDS.get(text.strip().lower()) if isinstance(text, str) else None


@dataclass(frozen=True)
class Found:
    """A box as it came back. ``box`` in pixels, or in shares of the picture where `Answer.is_share`."""

    mark: Mark | None
    label: str | None
    box: Box | None
    word: Word | None = None


@dataclass(frozen=True)
class Answer:
    """A picture as it came back.

    Attributes:
        mark: of the picture, where the tool kept it.
        name: what the tool calls the picture.
        boxes: what is drawn on it.
        is_share: whether their numbers are shares of the picture.
        left: what else is drawn, that no edit can express, by what it is.
        is_seen: whether a person submitted it.
    """

    mark: Mark | None
    name: str | None
    boxes: Sequence[Found]
    is_share: bool = False
    left: Mapping[str, int] = field(default_factory=dict)
    is_seen: bool = True


@dataclass
class Comparison:
    """What comes of pictures: the decisions, and what no edit can express, by what it is."""

    decisions: list[Decision] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def compare(picture: Picture, answer: Answer, classes: Mapping[str, int]) -> Comparison:
    """The decisions that a person made on one picture; ``classes`` by what the tools call them."""
    found = [_in_pixels(one, picture) if answer.is_share else one for one in answer.boxes]
    pairs, new = _paired(picture, found)
    judge = _Judge(picture, pairs, classes)
    for drawn in picture.shapes:
        if drawn.annotation_row is not None:
            judge.annotation(drawn)
    for drawn in picture.shapes:
        if drawn.annotation_row is None and drawn.of is None:
            judge.suggestion(drawn)
    for one in new:
        judge.new(one)
    judge.made.left.update(answer.left)
    return judge.made


class _Judge:
    """Gathers the decisions about one picture; ``pairs`` has what became of each box, by number."""

    def __init__(self, picture: Picture, pairs: Mapping[int, Found], classes: Mapping[str, int]) -> None:
        self.picture, self.pairs, self.classes = picture, pairs, classes
        self.made = Comparison()
        self.instead = {drawn.of: drawn for drawn in picture.shapes if drawn.of is not None}

    def annotation(self, drawn: Drawn) -> None:
        """An annotation, and the box that was suggested in its place."""
        now, instead = self.pairs.get(drawn.number), self.instead.get(drawn.number)
        other = self.pairs.get(instead.number) if instead else None
        is_wanted = instead is not None and other is not None and other.word != "reject"
        if instead and other and is_wanted and (now is None or other.word == "accept"):  # of the two this one stays
            label = other.label if now is None or now.label == drawn.label else now.label
            self._edit(drawn, Found(None, label, other.box), instead)
        elif now is None:
            self._accept(self._asking(drawn, "drop"))
        elif not self._is_as_drawn(drawn, now):
            self._edit(drawn, now, drawn)
            if now.word == "reject":
                self._say("reject", drawn.asked)
        elif now.word == "accept":
            self._take(drawn, instead, other)
        elif now.word == "reject":
            self._say("reject", drawn.asked)
        elif instead and not is_wanted:
            self._say("reject", instead.asked)
        elif instead and other and not self._is_as_drawn(instead, other):
            self._edit(drawn, other, instead)

    def suggestion(self, drawn: Drawn) -> None:
        """A box that is to be added, or that stands for an annotation no tool can show."""
        now = self.pairs.get(drawn.number)
        (about,) = drawn.asked
        if now is None or now.word == "reject":
            self._say("reject", drawn.asked)
        elif now.word == "accept" and self._is_as_drawn(drawn, now):
            self._accept(about)
        elif not self._is_as_drawn(drawn, now):
            self._taken_changed(drawn, now, about)

    def _taken_changed(self, drawn: Drawn, now: Found, about: About) -> None:
        """A suggestion that was drawn anew: it is wanted, otherwise than suggested."""
        category_id = self._class_of(now, drawn)
        box = self._box_of(now, drawn)
        if category_id is None:
            return
        if about.action != "add":
            self._accept(replace(about, suggested_box=box))
            if category_id != drawn.category_id:
                self._accept(replace(about, action="relabel", suggested_category_id=category_id))
            return
        if box != drawn.box:  # what was suggested is not wanted beside it
            self._say("reject", [about])
        self._accept(replace(about, suggested_category_id=category_id, suggested_box=box))

    def new(self, found: Found) -> None:
        """A box that the person drew."""
        if found.word == "reject" or found.box is None:
            return
        category_id = self._class(found.label)
        if category_id is None:
            return
        about = About(BY_HAND, self.picture.split, self.picture.image_id, self.picture.file_name, action="add")
        self._accept(replace(about, suggested_category_id=category_id, suggested_box=found.box))

    # what is done to an annotation

    def _edit(self, drawn: Drawn, now: Found, seen: Drawn) -> None:
        """Relabel and move an annotation to what the person left; ``seen`` is what that was drawn as."""
        category_id, box = self._class_of(now, seen), self._box_of(now, seen)
        if category_id is not None and category_id != drawn.category_id:
            self._accept(replace(self._asking(drawn, "relabel"), suggested_category_id=category_id))
        if box != drawn.box:
            self._accept(replace(self._asking(drawn, "move"), suggested_box=box))

    def _asking(self, drawn: Drawn, action: Literal["drop", "move", "relabel"]) -> About:
        """What asks for an action: what was suspected, where that asks for it too, else the person alone."""
        like = (action, "clip") if action == "move" else (action,)
        found = next((about for wanted in like for about in drawn.asked if about.action == wanted), None)
        return replace(found or self._about(drawn), action=action, suggested_category_id=None, suggested_box=None)

    def _about(self, drawn: Drawn) -> About:
        return About(
            BY_HAND, self.picture.split, self.picture.image_id, self.picture.file_name, drawn.source_file,
            drawn.annotation_row, drawn.category_id, drawn.box,
        )  # fmt: skip

    def _take(self, drawn: Drawn, instead: Drawn | None, other: Found | None) -> None:
        """Accept what is asked about a box, the most suspicious first, and what goes together with it."""
        able = [about for about in drawn.asked if about.action is not None]
        if not able:
            self._say("accept", drawn.asked[:1])  # what no edit mends: clean says so
            self.made.left["boxes accepted about which nothing is asked"] += not drawn.asked
            return
        places: list[About] = []
        for about in able:
            if (about.action == "drop") != (able[0].action == "drop"):
                continue
            if about.action in ("move", "clip"):
                places.append(about)
            else:
                self._accept(about)
        for about in places[:1]:
            if instead and other and about in instead.asked:
                about = replace(about, suggested_box=self._box_of(other, instead))
            self._accept(about)

    # classes and boxes

    def _class_of(self, now: Found, drawn: Drawn) -> int | None:
        return drawn.category_id if now.label is None or now.label == drawn.label else self._class(now.label)

    def _box_of(self, now: Found, seen: Drawn) -> Box:
        return seen.box if now.box is None or self._is_close(seen.box, now.box) else now.box

    def _class(self, label: str | None) -> int | None:
        found = self.classes.get(label.strip()) if label is not None else None
        if found is None:
            self.made.left[f"boxes of a class that the data set does not have: {(label or 'none')[:40]}"] += 1
        return found

    def _is_as_drawn(self, drawn: Drawn, now: Found) -> bool:
        is_same = now.label is None or now.label == drawn.label
        return is_same and (now.box is None or self._is_close(drawn.box, now.box))

    def _is_close(self, box: Box, other: Box) -> bool:
        return is_close(self.picture, box, other)

    def _accept(self, about: About) -> None:
        self.made.decisions.append(Decision("accept", about))

    def _say(self, said: Word, asked: Iterable[About]) -> None:
        self.made.decisions += [Decision(said, about) for about in asked]


def is_close(picture: Picture, box: Box, other: Box) -> bool:
    """Whether a box is another but for `ROUNDING`, or is that cut at the picture's edges, as some tools do."""
    width, height = picture.width or np.inf, picture.height or np.inf

    def edges(one: Box) -> tuple[float, float, float, float]:
        return one[0], one[1], one[0] + one[2], one[1] + one[3]

    def near(left: Sequence[float], right: Sequence[float]) -> bool:
        return all(abs(a - b) <= ROUNDING for a, b in zip(left, right, strict=True))

    left, top, right, bottom = edges(box)
    cut = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    return near(edges(box), edges(other)) or near(cut, edges(other))


def _in_pixels(found: Found, picture: Picture) -> Found:
    width, height = picture.width or 1, picture.height or 1
    if found.box is None:
        return found
    x, y, wide, high = found.box
    return Found(found.mark, found.label, (x * width, y * height, wide * width, high * height), found.word)


def _paired(picture: Picture, found: Sequence[Found]) -> tuple[dict[int, Found], list[Found]]:
    """What became of each box, by its number, and the boxes that are new.

    A mark leads to its box; of several that bear it, as copies in a tool do, the nearest is the one. What bears none
    is the box that it equals.
    """
    drawn = {one.number: one for one in picture.shapes}
    pairs: dict[int, Found] = {}
    claims: dict[int, list[Found]] = {}
    new: list[Found] = []
    for one in found:
        number = one.mark.number if one.mark else None
        if number in drawn:
            claims.setdefault(number, []).append(one)
        else:
            new.append(one)
    for number, own in claims.items():
        nearest = max(own, key=lambda one, box=drawn[number].box: _overlap(box, one.box))  # type: ignore[misc]
        pairs[number] = nearest
        new += [one for one in own if one is not nearest]
    still = []
    for one in new:
        match = next(_equal(picture, drawn.values(), pairs, one), None)
        if match is None:
            still.append(one)
        else:
            pairs[match] = one
    return pairs, still


def _equal(picture: Picture, drawn: Iterable[Drawn], pairs: Mapping[int, Found], one: Found) -> Iterator[int]:
    for other in drawn:
        is_free = other.number not in pairs and one.box is not None
        if is_free and other.label == one.label and is_close(picture, other.box, one.box):  # type: ignore[arg-type]
            yield other.number


def _overlap(box: Box, other: Box | None) -> float:
    if other is None:
        return -1.0
    return float(paired_iou(np.array([box]), np.array([other]))[0])
