"""Diagnosis of one split from tables in memory: no files, no Ray."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from detray import schema, tables
from detray.diagnose import mapping
from detray.diagnose import thresholds as t
from detray.diagnose.evidence import Case, Reference, Surroundings, View
from detray.diagnose.label_map import find_remaps
from detray.diagnose.observe import Observation, Tally, observe
from detray.diagnose.pairing import find_pairing
from detray.diagnose.rank import Ranked, ranked
from detray.diagnose.repairs import Repairs
from detray.diagnose.scene import Scene, read_scene
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.accumulate import average_precision
from detray.evaluate.kernel import Matches, match
from detray.settings import to_yaml

Aps = Mapping[int, tuple[float | None, float | None]]
"""AP and AP50 by class; None without ground truth."""


def diagnose_tables(
    images: pa.Table,
    annotations: pa.Table,
    categories: pa.Table,
    predictions: pa.Table,
    settings: DiagnoseSettings,
    *,
    run: str,
    split: str = "val",
    model: str = "model",
    train: pa.Table | None = None,
) -> pa.Table:
    """The table ``diagnoses`` of one split.

    Args:
        images, annotations, categories: canonical tables of the split.
        predictions: detections, before any were left out for unknown images or negative sizes.
        settings: what counts as weak.
        run, split, model: what the rows are marked with.
        train: training annotations, if given.
    """
    scene = read_scene(images, annotations, predictions)
    names = tables.class_names(categories)
    matches = match(scene.gt, scene.dt)
    aps = class_aps(scene, matches, names)
    weak = weak_classes(aps, names, settings)
    cases = examine(scene, names, weak, matches, file_names(images), counts(train))
    rows = [row for case in cases for row in rows_of(case, ranked(case))]
    marked = [{"split": split, "model": model} | row for row in rows]
    return schema.from_rows("diagnoses", marked, run=run)


def counts(annotations: pa.Table | None) -> dict[int, int] | None:
    """Boxes by class; None without a table."""
    if annotations is None:
        return None
    values, n = np.unique(tables.numpy(annotations, "category_id", -1), return_counts=True)
    return dict(zip(values.astype(int).tolist(), n.tolist(), strict=True))


@dataclass(frozen=True)
class Listing:
    """Names and order of a scene's images (by id), as their source lists them."""

    names: list[str | None]
    order: np.ndarray


def file_names(images: pa.Table) -> Listing:
    """The listing of a table ``images``."""
    ids = tables.numpy(images, "image_id", -1).astype(np.int64)
    _, first = np.unique(ids, return_index=True)
    order = tables.numpy(images, "image_row", -1).astype(np.int64)[first]
    return Listing(images["file_name"].take(pa.array(first)).to_pylist(), order)


def class_aps(scene: Scene, matches: Matches, names: Mapping[int, str]) -> Aps:
    """AP and AP50 of every class that is named, has boxes or detections."""
    gt, dt = scene.gt, scene.dt
    boxes = dict(zip(*(x.tolist() for x in np.unique(gt.category[~gt.crowd], return_counts=True)), strict=True))
    rows = np.flatnonzero(matches.kept)
    rows = rows[np.argsort(dt.category[rows], kind="stable")]
    result: dict[int, tuple[float | None, float | None]] = {}
    for category in sorted(set(names) | set(boxes)):
        n = boxes.get(category, 0)
        if not n:
            result[category] = (None, None)
            continue
        low, high = np.searchsorted(dt.category[rows], [category, category + 1])
        own = rows[low:high]
        levels = average_precision(
            dt.score[own], dt.image[own], dt.rank[own], matches.matched[own, 0], matches.ignored[own, 0], n
        )
        result[category] = (float(levels.mean()), float(levels[0]))
    return result


def weak_classes(aps: Aps, names: Mapping[int, str], settings: DiagnoseSettings) -> list[int]:
    """Classes without AP, with AP or AP50 below the settings', or named in them."""
    return [
        category
        for category, (ap, ap50) in sorted(aps.items())
        if ap is None
        or ap50 is None
        or ap < settings.weak_ap_below
        or ap50 < settings.weak_below
        or names.get(category) in settings.classes
    ]


def examine(
    scene: Scene,
    names: Mapping[int, str],
    weak: list[int],
    matches: Matches | None = None,
    listing: Listing | None = None,
    n_train: Mapping[int, int] | None = None,
) -> list[Case]:
    """The case of every weak class."""
    if not weak:
        return []
    classes = np.array(weak)
    given = observe(scene, classes, matches)
    around, repairs = find_faults(scene, given, names, weak, listing)
    repaired = observe(repairs.apply(scene), classes) if repairs else given
    working = frozenset(k for k in repaired.tally.boxes if k not in weak)
    around = around.seen_as(given.tally, repaired.tally, Reference.of(repaired.tally, working))
    cases = []
    for category in weak:
        view = view_of(given, category)
        mended = view_of(repaired, category) if repairs.touches(category) else view
        train = None if n_train is None else n_train.get(category, 0)
        cases.append(
            Case(
                category,
                names.get(category, str(category)),
                given.tally.crowds.get(category, 0),
                view,
                mended,
                around,
                train,
            )
        )
    return cases


def find_faults(
    scene: Scene, given: Observation, names: Mapping[int, str], weak: list[int], listing: Listing | None
) -> tuple[Surroundings, Repairs]:
    """Faults of the mapping between the files, and their repairs."""
    reading = pairing = None
    if mapping.is_suspicious(scene):
        reading = mapping.reading_of_all(scene)
        if reading is None and listing is not None:
            pairing = find_pairing(scene, listing.names, listing.order)
    repairs = Repairs(
        pairing=pairing.pairing if pairing is not None and pairing.recall_under is not None else None,
        reading=reading.reading if reading is not None else None,
    )
    seen, repaired = given, scene
    if repairs:
        repaired = repairs.apply(scene)
        seen = observe(repaired, np.array(weak))
    labels = find_remaps(seen.tally)
    if labels is not None:
        repairs = Repairs(repairs.pairing, repairs.reading, {}, labels.classes)
        repaired = repairs.apply(scene)
    class_readings = {}
    if reading is None and pairing is None:
        for category in weak:
            if labels is None and seen.tally.hits.get(category, 0) > (1 - t.RECALL_RAISE) * seen.tally.boxes.get(
                category, 0
            ):
                continue
            fault = mapping.reading_of_class(repaired, category)
            if fault is not None:
                class_readings[category] = fault
    repairs = Repairs(
        repairs.pairing, repairs.reading, {k: fault.reading for k, fault in class_readings.items()}, repairs.classes
    )
    around = Surroundings(
        names, given.tally, seen.tally, Reference(None, {}), pairing, reading, class_readings, labels
    )
    return around, repairs


def view_of(observation: Observation, category: int) -> View:
    """The class's rows."""
    boxes, found = observation.boxes, observation.found
    return View(boxes.take(boxes.category == category), found.take(found.category == category))


def rows_of(case: Case, found: list[Ranked]) -> list[dict[str, Any]]:
    """The rows of ``diagnoses`` about one class, without run, split and model."""
    return [
        {
            "category_id": case.category,
            "category_name": case.name,
            "rank": place,
            "cause": entry.cause.name,
            "confidence": entry.verdict.confidence,
            "ap": case.given.ap,
            "ap50": case.given.ap50,
            "d_ap": entry.verdict.d_ap,
            "evidence": json.dumps(_rounded(entry.verdict.numbers)),
            "sentence": entry.verdict.sentence,
            "remedy": entry.verdict.remedy,
            "remedy_config": to_yaml(entry.verdict.config) if entry.verdict.config else None,
        }
        for place, entry in enumerate(found, start=1)
    ]


def _rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in numbers.items()}


__all__ = ["Aps", "Tally", "class_aps", "diagnose_tables", "examine", "rows_of", "weak_classes"]
