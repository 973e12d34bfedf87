"""Counter-tests of faulty labels: the edits that clean makes by itself, applied to a copy."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray import tables
from detray.diagnose.causes.ground_truth.missing_labels import MissingLabels
from detray.diagnose.causes.ground_truth.noisy_boxes import NoisyBoxes
from detray.diagnose.causes.ground_truth.wrong_labels import WrongLabels
from detray.diagnose.counter_tests.counter_test import Claim, CounterTest, Edits
from detray.diagnose.evidence.sides import TRAIN
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.image_set import ImageSet

ENOUGH = 0.5
"""Share of the labels in question that edits must mend before AP that stays speaks against the cause."""

_SIDES = ("x", "y", "width", "height")


class LabelsEdited(CounterTest):
    """Evaluate with the edits that clean makes; the base of the three kinds."""

    kind = ""
    """Of label error."""
    verb = ""
    counted: tuple[str, ...] = ()
    """Numbers of the evidence that count the labels in question."""

    def obstacle(self, claim: Claim) -> str | None:
        if claim.numbers.get("split") == TRAIN:
            return "takes another training, with its labels mended"
        return None if len(claim.edits) else "needs a person: no suspected label is sure enough for clean to edit it"

    def denies(self, claim: Claim) -> bool:
        n = sum(claim.numbers.get(name, 0) for name in self.counted)
        return n > 0 and len(claim.edits) >= ENOUGH * n

    def done(self, claim: Claim) -> str:
        n = len(claim.edits)
        return f"{n} {'box' if n == 1 else 'boxes'} {self.verb} as clean does"

    def remedied(self, images: ImageSet, claim: Claim) -> ImageSet:
        return edited(images, claim.edits)


class BoxesAdded(LabelsEdited):
    """Evaluate with the boxes that clean adds at its `min_score`; where it is sure of none, a person must look."""

    cause = MissingLabels.name
    kind = "missing"
    counted = ("unlabelled",)
    verb = "added"


class BoxesRelabelled(LabelsEdited):
    """Evaluate with the labels that clean corrects at its `min_score`; where it is sure of none, a person must look."""

    cause = WrongLabels.name
    kind = "wrong_class"
    counted = ("covered", "on_other", "contradicted")
    verb = "relabelled"


class BoxesMoved(LabelsEdited):
    """Evaluate with the boxes that clean moves at its `min_score`; where it is sure of none, a person must look."""

    cause = NoisyBoxes.name
    kind = "bad_box"
    verb = "moved"


def edits_of(label_errors: pa.Table, kind: str, category: int, min_score: float) -> Edits:
    """What clean would correct in boxes that are, or become, of a class.

    Args:
        label_errors: the table.
        kind: of label error.
        category: the class.
        min_score: below it nothing is corrected.
    """
    to = pc.coalesce(label_errors["suggested_category_id"], label_errors["category_id"])
    is_own = pc.or_(pc.equal(label_errors["category_id"], category), pc.equal(to, category))
    wanted = pc.and_(is_own, pc.greater_equal(label_errors["score"], min_score))
    wanted = pc.and_(wanted, pc.equal(label_errors["kind"], kind))
    if kind != "missing":  # rows of several files may share their number
        wanted = pc.and_(wanted, label_errors["source_file"].is_valid())
    found, to = label_errors.filter(wanted), to.filter(wanted)
    box = [pc.coalesce(found[f"suggested_{side}"], found[side]) for side in _SIDES]
    row = tables.numpy(found, "annotation_row", -1).astype(np.int64)
    return Edits(
        found["image_id"].to_numpy(),
        np.full(len(row), -1) if kind == "missing" else row,
        to.to_numpy(),
        np.stack([side.to_numpy() for side in box], axis=1).reshape(-1, 4),
    )


def edited(images: ImageSet, edits: Edits) -> ImageSet:
    """Images with annotations corrected; edits of other images are left aside."""
    edits = take(edits, np.isin(edits.image, images.images.id))
    gt, category, box, area = images.gt, images.gt.category.copy(), images.gt.box.copy(), images.gt.area.copy()
    place = {pair: n for n, pair in enumerate(zip(gt.image.tolist(), images.annotation_row.tolist(), strict=True))}
    changed = take(edits, edits.row >= 0)
    for n, pair in enumerate(zip(changed.image.tolist(), changed.row.tolist(), strict=True)):
        if pair in place:
            category[place[pair]], box[place[pair]] = changed.category[n], changed.box[n]
    area = np.where((box != gt.box).any(axis=1), box[:, 2] * box[:, 3], area)
    new = take(edits, edits.row < 0)
    crowd = np.append(gt.crowd, np.zeros(len(new), np.bool_))
    boxes = np.concatenate([box, new.box])
    merged = replace(
        gt,
        image=np.append(gt.image, new.image),
        category=np.append(category, new.category),
        box=boxes,
        area=np.append(area, new.box[:, 2] * new.box[:, 3]),
        crowd=crowd,
    )
    unnamed = np.full(len(new), -1)
    return replace(
        images,
        gt=merged,
        annotation_id=np.append(images.annotation_id, unnamed),
        annotation_row=np.append(images.annotation_row, unnamed),
    )
