"""Diagnosis of one split from tables in memory: no files, no Ray."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import schema, tables
from detray.diagnose.case import Case
from detray.diagnose.columns import take
from detray.diagnose.evidence.counts import ClassCounts
from detray.diagnose.evidence.inputs import Inputs, Training
from detray.diagnose.evidence.observe import Observation, observe
from detray.diagnose.evidence.reference import HIGH_RECALL, Reference
from detray.diagnose.evidence.result import ClassResult
from detray.diagnose.evidence.shapes import box_shapes
from detray.diagnose.evidence.split import Split
from detray.diagnose.image_set import ImageSet, read_detections, read_image_set, subset
from detray.diagnose.mapping.faults import find_split_faults, reading_of_class
from detray.diagnose.mapping.label_map import find_remaps
from detray.diagnose.mapping.pairing import Listing, Named, sample_images
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.rank import ranked, rows_of
from detray.diagnose.settings import DiagnoseSettings
from detray.evaluate.accumulate import average_precision
from detray.evaluate.kernel import Detections, GroundTruth, Matches, match

Aps = Mapping[int, tuple[float, float]]
"""AP and AP50 by class, of the classes that have boxes."""


@dataclass(frozen=True)
class SplitTables:
    """Canonical tables of one split; ``predictions`` None: none are given."""

    images: pa.Table
    annotations: pa.Table
    categories: pa.Table
    predictions: pa.Table | None = None


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
    train: SplitTables | None = None,
    base_predictions: pa.Table | None = None,
    label_map: Mapping[int, str] | None = None,
    findings: pa.Table | None = None,
    input_size: tuple[int, int] | None = None,
) -> pa.Table:
    """The table ``diagnoses`` of one split.

    Args:
        images, annotations, categories: canonical tables of the split.
        predictions: detections, before any were left out for unknown images or negative sizes.
        settings: what counts as weak.
        run, split, model: what the rows are marked with.
        train: the training split, with the model's detections on it if known.
        base_predictions: detections, on the evaluated split, of the model it was fine-tuned from.
        label_map: names by id, as the model was trained with.
        findings: the audit's.
        input_size: width and height in pixels that the model resizes pictures to.
    """
    everything = read_image_set(images, annotations, predictions)
    scene = replace(everything, dt=take(everything.dt, np.isin(everything.dt.image, everything.images.id)))
    names = own_names(categories)
    matches = match(scene.gt, scene.dt)
    weak = weak_classes(class_aps(scene, matches), names, settings)
    outside = Inputs(
        shapes=box_shapes(scene),
        label_map=label_map,
        findings=None if findings is None else count_findings(findings, split),
        input_size=input_size,
    )
    if train is not None:
        outside = replace(outside, **_training(train, names))
    if base_predictions is not None:
        base = replace(scene, dt=read_detections(base_predictions))
        outside = replace(outside, base_aps=class_aps(base, match(base.gt, base.dt)))
    cases = examine(scene, everything.dt, names, weak, matches, read_listing(images), outside)
    rows = [
        {"split": split, "model": model, "is_weak": is_weak(case.given.ap, case.given.ap50, settings)} | row
        for case in cases
        for row in rows_of(case, ranked(case))
    ]
    return schema.from_rows("diagnoses", rows, run=run)


def own_names(categories: pa.Table) -> dict[int, str]:
    """The classes that the annotations list or name, by id."""
    return tables.class_names(categories.filter(pc.equal(categories["source"], "annotations")))


def count_findings(findings: pa.Table, split: str) -> dict[tuple[int, str], int]:
    """Findings about a class, by class and rule, of a split or of no split."""
    own = findings.filter(pc.fill_null(pc.equal(findings["split"], split), True))
    counted = own.filter(pc.is_valid(own["category_id"])).group_by(["category_id", "rule"])
    rows = counted.aggregate([([], "count_all")]).to_pylist()
    return {(row["category_id"], row["rule"]): row["count_all"] for row in rows}


def _training(train: SplitTables, names: Mapping[int, str]) -> dict[str, Any]:
    """The fields of `Inputs` that the training split gives."""
    predictions = schema.empty("predictions") if train.predictions is None else train.predictions
    scene = read_image_set(train.images, train.annotations, predictions)
    there = own_names(train.categories)
    found: dict[str, Any] = {"training": Training(box_shapes(scene), there)}
    if train.predictions is not None:
        here = {name: k for k, name in sorted(names.items(), reverse=True)}
        aps = class_aps(scene, match(scene.gt, scene.dt))
        found["training_aps"] = {here.get(there.get(k, ""), k): ap for k, ap in aps.items()}
    return found


def read_listing(images: pa.Table) -> Listing:
    """The images of a table ``images``, each id once."""
    ids = tables.numpy(images, "image_id", -1).astype(np.int64)
    ids, first = np.unique(ids, return_index=True)
    position = tables.numpy(images, "image_row", -1).astype(np.int64)[first]
    return Listing(ids, images["file_name"].take(pa.array(first)).to_pylist(), position)


def class_aps(scene: ImageSet, matches: Matches) -> Aps:
    """AP and AP50 of every class that has boxes."""
    gt, dt = scene.gt, scene.dt
    rows = np.flatnonzero(matches.kept)
    rows = rows[np.argsort(dt.category[rows], kind="stable")]
    result: dict[int, tuple[float, float]] = {}
    classes, n_boxes = np.unique(gt.category[~gt.crowd], return_counts=True)
    for category, n in zip(classes.tolist(), n_boxes.tolist(), strict=True):
        low, high = np.searchsorted(dt.category[rows], [category, category + 1])
        own = rows[low:high]
        levels = average_precision(
            dt.score[own], dt.image[own], dt.rank[own], matches.matched[own, 0], matches.ignored[own, 0], n
        )
        result[category] = (float(levels.mean()), float(levels[0]))
    return result


def is_weak(ap: float | None, ap50: float | None, settings: DiagnoseSettings) -> bool:
    """Whether AP or AP50 is unknown or below the settings'."""
    return ap is None or ap50 is None or ap < settings.weak_ap_below or ap50 < settings.weak_below


def weak_classes(aps: Aps, names: Mapping[int, str], settings: DiagnoseSettings) -> list[int]:
    """Classes, of those that are named or have boxes, without AP, with AP or AP50 below the settings',
    or named in them."""
    weak = []
    for category in sorted({*names, *aps}):
        ap, ap50 = aps.get(category, (None, None))
        if is_weak(ap, ap50, settings) or names.get(category) in settings.classes:
            weak.append(category)
    return weak


def examine(
    scene: ImageSet,
    dt: Detections,
    names: Mapping[int, str],
    weak: Sequence[int],
    matches: Matches,
    listing: Listing,
    outside: Inputs,
) -> list[Case]:
    """The case of every weak class; ``dt`` holds detections of unknown images too."""
    if not weak:
        return []
    classes = np.array(weak)
    given = observe(scene, classes, matches)

    def boxes() -> Iterator[GroundTruth]:
        yield scene.gt

    named = Named(*np.unique(dt.image, return_counts=True))
    sample = subset(scene, sample_images(scene.gt))
    faults, pairing = find_split_faults(sample, listing, named, lambda ids: take(dt, np.isin(dt.image, ids)), boxes)
    renamed = pairing.apply(replace(scene, dt=dt)) if pairing is not None else scene
    seen = given
    if faults.pairing is not None or faults.reading is not None:
        seen = observe(faults.repairs.apply(renamed), classes)
    labels = find_remaps(seen.counts, names, outside.class_lists)
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
    return cases_of(given, seen, faults, names, weak, outside)


def cases_of(
    given: Observation,
    repaired: Observation,
    faults: MappingFaults,
    names: Mapping[int, str],
    weak: Sequence[int],
    outside: Inputs,
) -> list[Case]:
    """The weak classes of observations as given and with the faults repaired."""
    working = working_classes(repaired.counts, weak, bool(faults.repairs) or faults.pairing is not None)
    reference = Reference.of(repaired.counts, working)
    split = Split(names, given.counts, repaired.counts, reference, faults, outside)
    cases = []
    for category in weak:
        view = ClassResult(*_rows(given, category))
        mended = ClassResult(*_rows(repaired, category)) if faults.touch(category) else view
        cases.append(Case(category, given.counts.crowds.get(category, 0), view, mended, split))
    return cases


def working_classes(tally: ClassCounts, weak: Sequence[int], is_repaired: bool) -> frozenset[int]:
    """Classes that are not weak; where faults were repaired, also those that find their boxes now."""
    found = {k for k, n in tally.boxes.items() if is_repaired and tally.hits.get(k, 0) >= HIGH_RECALL * n}
    return frozenset(tally.boxes) - frozenset(weak) | found


def _rows(observation: Observation, category: int) -> tuple:
    boxes, found = observation.boxes, observation.detections
    return take(boxes, boxes.category == category), take(found, found.category == category)
