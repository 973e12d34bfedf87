"""The review page: an HTML file with what is to be decided, its style and its script; pictures lie beside it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from detray import __version__
from detray.boxes import pairwise_iou
from detray.report import rendering, text
from detray.report.review import thumbnails
from detray.report.review.items import Item, Picture, Review
from detray.report.review.thumbnails import Thumbnail
from detray.report.sections.common import Box

PAGE = "review.html"
COUNTERPART = 0.5
"""IoU from which a box of one picture of a pair stands for one of the other."""


@dataclass(frozen=True)
class Album:
    """The items, the thumbnails that they want, and of each item the number of its own and of its pair's."""

    items: Sequence[Item]
    thumbnails: Sequence[Thumbnail]
    numbers: Sequence[tuple[int, int | None]]


def album(items: Sequence[Item]) -> Album:
    """Number the thumbnails of some items, and name the copies of pictures that no browser opens where they lie."""
    wanted: list[Thumbnail] = []
    copied: set[str] = set()

    def want(picture: Picture, focus: Box | None) -> int:
        copy = copy_name(picture)
        wanted.append(Thumbnail(len(wanted), picture.path, focus, None if copy in copied else copy))
        if copy:
            copied.add(copy)
        return len(wanted) - 1

    numbers = [(want(item.picture, item.focus), want(item.pair, None) if item.pair else None) for item in items]
    return Album(items, wanted, numbers)


def copy_name(picture: Picture) -> str | None:
    """The file that a picture is copied to; None where a browser opens it where it lies, or there is none."""
    if picture.path is None or thumbnails.is_shown(picture.path):
        return None
    return f"{thumbnails.FOLDER}/picture-{hashlib.blake2b(picture.path.encode(), digest_size=9).hexdigest()}.jpg"


def packs(wanted: Sequence[Thumbnail]) -> dict[str, Sequence[Thumbnail]]:
    """The thumbnails of each pack."""
    starts = range(0, len(wanted), thumbnails.CELLS)
    return {f"{start:07d}": wanted[start : start + thumbnails.CELLS] for start in starts}


def render(run: str, data: str, review: Review, shown: Album, places: pa.Table) -> bytes:
    """The page as UTF-8 HTML.

    Nothing runs but the page's own script, by its hash, and nothing is loaded but pictures beside it and on this
    machine. What comes from the data is JSON that the script puts into the page as text.

    Args:
        run: the configuration's name.
        data: what tells this data set from others, so that the browser keeps decisions apart.
        review: what is to be decided.
        shown: its album.
        places: `thumbnails.PLACES` of the album's thumbnails.
    """
    by_number = {row["number"]: row for row in places.to_pylist()}
    content = {
        "run": text.visible(run),
        "name": run,
        "data": data,
        "pack": {"columns": thumbnails.COLUMNS, "cells": thumbnails.CELLS, "side": thumbnails.SIDE},
        "sheet": [thumbnails.COLUMNS * thumbnails.SIDE, thumbnails.ROWS * thumbnails.SIDE],
        "items": list(_items(shown, by_number)),
    }
    # no text of the data can end the element, since no "<" is left
    data_text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return rendering.page(
        "review.html.j2", "review.css", "review.js", images="'self' data: file:",
        run=run, version=__version__, content=Markup(data_text), left_out=review.left_out,  # noqa: S704
    )  # fmt: skip


def _items(shown: Album, places: Mapping[int, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for item, (own, other) in zip(shown.items, shown.numbers, strict=True):
        row = {
            "key": item.key,
            "group": item.group,
            "kind": item.about.kind,
            "split": item.about.split,
            "file": item.about.file_name or f"image {item.about.image_id}",
            "category": item.category,
            "becomes": item.suggested_category,
            "score": None if item.score is None else round(item.score, 4),
            "message": item.message,
            "accepting": item.accepting,
            "box": item.box,
            "suggested": item.suggested,
            "other": item.other,
            "about": item.text,
            "picture": _picture(item.picture, own, places, item.pair),
            "pair": None if item.pair is None or other is None else _picture(item.pair, other, places, item.picture),
        }
        yield {name: _visible(name, value) for name, value in row.items() if value is not None}


def _visible(name: str, value: Any) -> Any:
    """What a person reads without characters that hide or reorder; what is exported stays as it is."""
    return value if name == "about" else text.visible(value)


def _alone(picture: Picture, other: Picture | None) -> list[int]:
    """Which of a picture's boxes overlap none of the other of its pair well, by their numbers."""
    if other is None or not picture.drawn or (picture.width, picture.height) != (other.width, other.height):
        return []
    ious = pairwise_iou(np.array(picture.drawn), np.array(other.drawn).reshape(-1, 4))
    return [int(k) for k in np.flatnonzero((ious < COUNTERPART).all(axis=1))]


def _picture(
    picture: Picture, number: int, places: Mapping[int, Mapping[str, Any]], other: Picture | None
) -> dict[str, Any]:
    place = places[number]
    found: dict[str, Any] = {
        "number": number,
        "drawn": [[round(side, 1) for side in box] for box in picture.drawn],
        "alone": _alone(picture, other),
        "file": text.visible(f"{picture.file_name or picture.image_id} ({picture.split})"),
        "problem": place["problem"],
        "pack": thumbnails.pack_name(number),
    }
    if place["problem"] is None:
        found["view"] = [place[name] for name in ("x", "y", "width", "height")]
        found["size"] = [place["full_width"], place["full_height"]]
        copy = copy_name(picture)
        found["large"] = copy or (thumbnails.address(picture.path) if picture.path else None)
    else:
        found["size"] = [picture.width or 1, picture.height or 1]
    return {name: value for name, value in found.items() if value is not None}
