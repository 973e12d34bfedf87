"""Folders side by side, as tables, a page, and files for continuous integration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from detray import __version__, schema
from detray.compare import facts, gate
from detray.compare.annotations import changes, counts
from detray.compare.classes import compare_classes
from detray.compare.sides import Pair, Side
from detray.evaluate.settings import EvaluateSettings
from detray.report import rendering

TABLES = ("compared_classes", "compared_causes", "compared_findings", "compared_settings", "compared_annotations")
PAGE, JUNIT, MARKDOWN = "index.html", "junit.xml", "summary.md"
MAX_SHOWN = 300
"""Rows of a table on the page; the tables hold all."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison came to: tables, files by name, and sentences on what is worse than may be."""

    tables: dict[str, pa.Table]
    files: dict[str, bytes]
    worse: list[str]


def compare(sides: Sequence[Side], settings: EvaluateSettings, most: float | None, run: str) -> Comparison:
    """Compare each later folder with the first; every difference is the later one less the earlier one.

    The tables annotations and predictions of two folders are held in memory at once.

    Args:
        sides: the folders, the earliest first.
        settings: how the detections of images that two folders share are evaluated.
        most: AP that a class may lose; None: nothing is said to be worse than may be.
        run: goes into the column run.
    """
    pairs = [Pair(sides[0], later) for later in sides[1:]]
    rows: dict[str, list[dict[str, Any]]] = {
        "compared_classes": [row for pair in pairs for row in compare_classes(pair, settings)],
        "compared_causes": [row for pair in pairs for row in facts.compare_causes(pair)],
        "compared_findings": [row for pair in pairs for row in facts.compare_findings(pair)],
        "compared_settings": [row for pair in pairs for row in facts.compare_settings(pair)],
        "compared_annotations": [row for pair in pairs for row in changes(pair)],
    }
    tables: dict[str, pa.Table] = {name: schema.from_rows(name, found, run=run) for name, found in rows.items()}
    rows = {name: found.to_pylist() for name, found in tables.items()}
    classes, counted = rows["compared_classes"], counts(rows["compared_annotations"])
    worse = [row for row in classes if most is not None and gate.is_worse(row, most)]
    page = rendering.page(
        "compare.html.j2", "style.css", "page.js",
        sides=sides, rows=rows, counts=counted, most=most, worse=worse, max_shown=MAX_SHOWN, version=__version__,
        title=gate.title,
    )  # fmt: skip
    files = {PAGE: page, JUNIT: gate.junit(classes, most), MARKDOWN: gate.markdown(classes, counted, most)}
    return Comparison(tables, files, [f"{gate.title(row)}: {gate.told(row)}" for row in worse])
