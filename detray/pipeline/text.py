"""Protobuf's text format as a tree of places: which field stands where, so that a line can be named and edited.

What the values mean is left to protobuf; this only finds fields, also those that no schema knows.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from detray.errors import UsageError

MAX_DEPTH = 64
_TOKEN = re.compile(
    r"""(?P<gap>(?:\s+|\#[^\n]*)+)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<word>[\w.+/-]+)|(?P<mark>[{}<>\[\]:,;])"""
)
_CLOSING = {"{": "}", "<": ">", "[": "]"}


@dataclass(frozen=True)
class Node:
    """One field as it is written.

    Attributes:
        name: the field's.
        line: where it begins, from 1.
        start, end: the whole field in the text, without what separates it from the next.
        value_start: where its value begins; of a message its opening brace.
        children: the fields of a message; None where the value is none.
    """

    name: str
    line: int
    start: int
    end: int
    value_start: int
    children: "tuple[Node, ...] | None" = None


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Reader:
    """A place in the tokens of a text."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.breaks = [found.start() for found in re.finditer("\n", text)]
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> Iterator[_Token]:
        place = 0
        while place < len(self.text):
            found = _TOKEN.match(self.text, place)
            if found is None:
                raise self.error(place, f"{self.text[place]!r} cannot stand there")
            if found.lastgroup != "gap":
                yield _Token(found.lastgroup or "", found.group(), place, found.end())
            place = found.end()
        yield _Token("end", "", place, place)

    def error(self, place: int, what: str) -> UsageError:
        return UsageError(
            f"{self.path}, line {self.line(place)}: {what}, so it is not protobuf's text format; correct that line"
        )

    def line(self, place: int) -> int:
        return bisect_left(self.breaks, place) + 1

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.next
        if token.kind == "end":
            raise self.error(token.start, "the text ends within a field")
        self.at += 1
        return token

    def fields(self, closing: str | None, depth: int) -> tuple[Node, ...]:
        """The fields up to ``closing``, which is left; None: up to the end."""
        if depth > MAX_DEPTH:
            raise self.error(self.next.start, f"messages are nested over {MAX_DEPTH} deep")
        found = []
        while self.next.text != closing if closing else self.next.kind != "end":
            found.append(self.field(depth))
            if self.next.text in (",", ";"):
                self.at += 1
        return tuple(found)

    def field(self, depth: int) -> Node:
        first = self.take()
        name = first.text
        if name == "[":  # an extension
            while self.next.text != "]":
                name += self.take().text
            name += self.take().text
        elif first.kind != "word":
            raise self.error(first.start, f"{name} stands where a field's name is due")
        has_colon = self.next.text == ":"
        self.at += has_colon
        value = self.take()
        children = None
        if value.text in ("{", "<"):
            children = self.fields(_CLOSING[value.text], depth + 1)
            self.take()
        elif not has_colon:
            raise self.error(value.start, f"{name} has neither a colon nor a brace")
        elif value.text == "[":
            self.skip_list()
        elif value.kind not in ("word", "text"):
            raise self.error(value.start, f"{value.text} stands where a value of {name} is due")
        else:
            while value.kind == "text" and self.next.kind == "text":  # adjacent texts are one
                self.at += 1
        return Node(name, self.line(first.start), first.start, self.tokens[self.at - 1].end, value.start, children)

    def skip_list(self) -> None:
        open_marks = ["["]
        while open_marks:
            token = self.take()
            if token.kind == "mark" and token.text in _CLOSING:
                open_marks.append(token.text)
            elif token.kind == "mark" and token.text in _CLOSING.values() and token.text != _CLOSING[open_marks.pop()]:
                raise self.error(token.start, f"{token.text} closes what is not open")


def scan(text: str, path: str) -> tuple[Node, ...]:
    """The fields of ``text``, each with its place.

    Raises:
        UsageError: it is no text format, with the line.
    """
    return _Reader(text, path).fields(None, 0)
