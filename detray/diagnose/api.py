"""Diagnosis of one split from tables in memory: no files, no Ray."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from detray import schema, tables
from detray.diagnose.columns import take
from detray.diagnose.evidence import Case, Reference, Surroundings, View
from detray.diagnose.faults import find_split_faults
from detray.diagnose.label_map import find_remaps
from detray.diagnose.mapping import reading_of_class
from detray.diagnose.observe import Observation, observe
from detray.diagnose.pairing import Listing, Named, sample_images
from detray.diagnose.rank import ranked, rows_of
from detray.diagnose.repairs import Faults
from detray.diagnose.scene import Scene, read_scene, sub_scene
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.training import Outside, box_shapes
from detray.evaluate.accumulate import average_precision
from detray.evaluate.kernel import Detections, GroundTruth, Matches, match

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
    outside: Outside | None = None,
) -> pa.Table:
    """The table ``diagnoses`` of one split.

    Args:
        images, annotations, categories: canonical tables of the split.
        predictions: detections, before any were left out for unknown images or negative sizes.
        settings: what counts as weak.
        run, split, model: what the rows are marked with.
        outside: what is known beside the split; None: nothing.
    """
    everything = read_scene(images, annotations, predictions)
    scene = replace(everything, dt=take(everything.dt, np.isin(everything.dt.image, everything.images.id)))
    names = tables.class_names(categories)
    matches = match(scene.gt, scene.dt)
    weak = weak_classes(class_aps(scene, matches), names, settings)
    cases = examine(scene, everything.dt, names, weak, matches, read_listing(images), outside or Outside())
    rows = [{"split": split, "model": model} | row for case in cases for row in rows_of(case, ranked(case))]
    return schema.from_rows("diagnoses", rows, run=run)


def read_listing(images: pa.Table) -> Listing:
    """The images of a table ``images``, each id once."""
    ids = tables.numpy(images, "image_id", -1).astype(np.int64)
    ids, first = np.unique(ids, return_index=True)
    position = tables.numpy(images, "image_row", -1).astype(np.int64)[first]
    return Listing(ids, images["file_name"].take(pa.array(first)).to_pylist(), position)


def class_aps(scene: Scene, matches: Matches) -> Aps:
    """AP and AP50 of every class that has boxes."""
    gt, dt = scene.gt, scene.dt
    rows = np.flatnonzero(matches.kept)
    rows = rows[np.argsort(dt.category[rows], kind="stable")]
    result: dict[int, tuple[float | None, float | None]] = {}
    classes, n_boxes = np.unique(gt.category[~gt.crowd], return_counts=True)
    for category, n in zip(classes.tolist(), n_boxes.tolist(), strict=True):
        low, high = np.searchsorted(dt.category[rows], [category, category + 1])
        own = rows[low:high]
        levels = average_precision(
            dt.score[own], dt.image[own], dt.rank[own], matches.matched[own, 0], matches.ignored[own, 0], n
        )
        result[category] = (float(levels.mean()), float(levels[0]))
    return result


def weak_classes(aps: Aps, names: Mapping[int, str], settings: DiagnoseSettings) -> list[int]:
    """Classes, of those that are named or have boxes, without AP, with AP or AP50 below the settings',
    or named in them."""
    weak = []
    for category in sorted({*names, *aps}):
        ap, ap50 = aps.get(category, (None, None))
        is_low = ap is None or ap50 is None or ap < settings.weak_ap_below or ap50 < settings.weak_below
        if is_low or names.get(category) in settings.classes:
            weak.append(category)
    return weak


def examine(
    scene: Scene,
    dt: Detections,
    names: Mapping[int, str],
    weak: Sequence[int],
    matches: Matches,
    listing: Listing,
    outside: Outside,
) -> list[Case]:
    """The case of every weak class; ``dt`` holds detections of unknown images too."""
    if not weak:
        return []
    classes = np.array(weak)
    given = observe(scene, classes, matches)

    def boxes() -> Iterator[GroundTruth]:
        yield scene.gt

    named = Named(*np.unique(dt.image, return_counts=True))
    sample = sub_scene(scene, sample_images(scene.gt))
    faults, pairing = find_split_faults(sample, listing, named, lambda ids: take(dt, np.isin(dt.image, ids)), boxes)
    renamed = pairing.apply(replace(scene, dt=dt)) if pairing is not None else scene
    seen = given
    if faults.pairing is not None or faults.reading is not None:
        seen = observe(faults.repairs.apply(renamed), classes)
    labels = find_remaps(seen.tally)
    if labels is not None:
        faults = replace(faults, labels=labels)
        seen = observe(faults.repairs.apply(renamed), classes)
    readings = {}
    if faults.reading is None:
        readings = {k: reading_of_class(*_rows(seen, k)) for k in weak}
    found = {category: fault for category, fault in readings.items() if fault is not None}
    if found:
        faults = replace(faults, class_readings=found)
        seen = observe(faults.repairs.apply(renamed), classes)
    outside = replace(outside, shapes=box_shapes(scene))
    working = frozenset(seen.tally.boxes) - frozenset(weak)
    return cases_of(given, seen, faults, names, weak, working, outside)


def cases_of(
    given: Observation,
    repaired: Observation,
    faults: Faults,
    names: Mapping[int, str],
    weak: Sequence[int],
    working: frozenset[int],
    outside: Outside,
) -> list[Case]:
    """The weak classes of observations as given and with the faults repaired."""
    reference = Reference.of(repaired.tally, working)
    around = Surroundings(names, given.tally, repaired.tally, reference, faults, outside)
    cases = []
    for category in weak:
        view = View(*_rows(given, category))
        mended = View(*_rows(repaired, category)) if faults.touch(category) else view
        cases.append(Case(category, given.tally.crowds.get(category, 0), view, mended, around))
    return cases


def _rows(observation: Observation, category: int) -> tuple:
    boxes, found = observation.boxes, observation.found
    return take(boxes, boxes.category == category), take(found, found.category == category)
