"""An output folder with one suspect of each kind, exported to a tool, and what clean makes of what comes back."""

from pathlib import Path
from typing import Any

import clean_tables as t
import pyarrow as pa
from people import PEOPLE, Person
from test_clean_stage import CONFIG, cleaned, ingested

from detray.clean.decisions import Decision
from detray.review.catalogue import TOOLS
from detray.review.export import Request, Written, write
from detray.review.read import read_all
from detray.store import Store

BY_NAME = {tool.name: tool for tool in TOOLS}
HERE = "pictures/"
"""Where the pictures are said to lie: none is opened."""

WRONG = t.annotation(0, (10, 10, 20.25, 20))
LOOSE = t.annotation(1, (50, 40, 10, 10), category_id=2)
SPURIOUS = t.annotation(2, (5, 5, 9, 9), image_id=2)
OUT = t.annotation(3, (90, 10, 20, 20), image_id=2)
PLAIN = t.annotation(4, (60, 60, 30, 15), image_id=3)
ROWS = [WRONG, LOOSE, SPURIOUS, OUT, PLAIN]
FINDINGS = t.findings(("out-of-bounds", OUT))
SUSPECTS = t.label_errors(
    t.suspect("wrong_class", WRONG, 0.97, category_id=2),
    t.suspect("bad_box", LOOSE, 0.96, category_id=2, box=(53, 41, 14, 12)),
    t.suspect("spurious", SPURIOUS, 0.95),
    t.suspect("missing", {"image_id": 3, "category_id": 2}, 0.94, category_id=2, box=(40, 40, 10, 12)),
)


def folder(place: Path, *args: Any) -> Store:
    """An output folder; without ``args`` that of one suspect of each kind."""
    return ingested(place / "out", *(args or ([t.shard(ROWS)], FINDINGS, SUSPECTS)))


def export(store: Store, name: str, into: Path, **request: Any) -> Written:
    return write(store, "r", BY_NAME[name], Request(prefix=HERE, **request), Store(str(into)))


def opened(store: Store, name: str, into: Path, **request: Any) -> Person:
    """A person who has opened an export."""
    export(store, name, into, **request)
    return PEOPLE[name](into)


def decisions(store: Store, file: str) -> list[tuple[str, str, str | None]]:
    """The decisions of a file, as word, kind and action."""
    return [_short(one) for one in read_all([file], store).made]


def _short(one: Decision) -> tuple[str, str, str | None]:
    return one.decision, one.about.kind, one.about.action


def followed(store: Store, file: str, **settings: Any) -> tuple[Any, pa.Table]:
    """What clean makes of a file: its outcome, and the edits."""
    return cleaned(store, CONFIG | {"clean": {"format": "coco", "decisions": file, "actions": []} | settings})


def done(edits: pa.Table) -> list[tuple[str, str, int | None]]:
    return [(row["action"], row["reason"], row["annotation_row"]) for row in edits.to_pylist()]
