"""Which edits are made: requests turned into the table ``edits``.

An annotation gets at most one chain of edits, always in this order: relabel, then move or else clip,
then renumber. A drop stands alone and wins over all of these. What is planned for an image depends
on the rows of that image only, so the plan is the same for any cut of the data set.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detray import schema, tables
from detray.arrays import Flags, Floats, Ints, Rows
from detray.boxes import to_corners
from detray.clean.coco import annotation_objects
from detray.clean.decisions import Decided
from detray.clean.requests import collect, first_by_annotation, image_sizes, positions, repeated_box
from detray.clean.rows import new_rows, replace_rows, with_columns
from detray.clean.segmentation import holds
from detray.clean.settings import Action, CleanSettings
from detray.clean.shared import Roots
from detray.tables import Shard

_NO_CLASS = "suggested class is none of the data set's"
_NO_BOX = "suggested box is none inside an image"
_EMPTIED = "nothing would be left of the box, and drop is not in clean.actions"
_STANDS = "the box stands there already"


@dataclass(frozen=True)
class FreshIds:
    """Annotation ids that no row of the split has: row k of the shard may take ``rows + k``, the box of its j-th
    request to add one ``added + j``."""

    rows: int
    added: int


@dataclass(frozen=True)
class Plan:
    """The table ``edits`` of a shard; how many segmentations are left out since their box no longer holds them;
    how many findings and label errors are not followed, by reason."""

    edits: pa.Table
    segmentations_left_out: int
    not_followed: Counter[str]


def plan(
    shard: Shard,
    findings: pa.Table,
    label_errors: pa.Table,
    settings: CleanSettings,
    fresh: FreshIds,
    *,
    run: str,
    roots: Roots | None = None,
    decided: Decided | None = None,
) -> Plan:
    """The edits that ``findings`` and ``label_errors`` ask for, as far as ``settings`` allow them.

    Args:
        shard: whole images: their annotations (each with an image, a class and a box), the images and the classes.
        findings: of the audit about these images; rules that ask for nothing are not read.
        label_errors: suspects in these images, of any model.
        settings: the actions that are allowed, and the score from which a suspect is followed.
        fresh: ids for annotations that are added or renumbered.
        run: for the column run.
        roots: the faults that many boxes share.
        decided: what a person decided about them.
    """
    decided = decided or Decided([], [], [], frozenset())
    requests, not_followed = collect(shard, findings, label_errors, settings, roots or Roots(), decided)
    draft = _Draft(shard, run, not_followed)
    draft.relabel(first_by_annotation(requests, "relabel"))
    draft.move(first_by_annotation(requests, "move"))
    emptied = draft.clip(first_by_annotation(requests, "clip"))
    draft.renumber(first_by_annotation(requests, "renumber"), fresh.rows)
    draft.add(requests.filter(pc.equal(requests["action"], "add")), fresh.added)
    draft.drop(first_by_annotation(requests, "drop"))
    if "drop" in settings.actions:
        draft.drop(emptied)
        draft.drop_repeats()
    else:
        not_followed[_EMPTIED] += emptied.num_rows
    return draft.finish()


class _Draft:
    """A shard's annotations while they are edited, boxes that are added after them, and the edits so far."""

    def __init__(self, shard: Shard, run: str, not_followed: Counter[str]) -> None:
        self.shard = shard
        self.run = run
        self.not_followed = not_followed
        self.original = shard.annotations
        self.rows = self.original
        self.classes = tables.own_classes(shard.categories)
        self.moved = np.zeros(self.rows.num_rows, bool)
        self.changed = self.moved.copy()  # class or box
        self.dropped = self.moved.copy()
        self.edits: list[pa.Table] = []

    def relabel(self, requests: pa.Table) -> None:
        suggested = tables.numpy(requests, "suggested_category_id")
        known = self._is_known(suggested)
        self.not_followed[_NO_CLASS] += int((~known).sum())
        kept = known & (suggested != tables.numpy(self.rows, "category_id")[positions(requests)])
        self._change("relabel", requests.filter(kept), category_id=suggested[kept])

    def move(self, requests: pa.Table) -> None:
        at = positions(requests)
        target = _clipped(tables.boxes(requests), self._sizes(requests))
        usable = _has_area(target)
        self.not_followed[_NO_BOX] += int((~usable).sum())
        kept = usable & (target != tables.boxes(self.rows)[at]).any(axis=1)
        self._change_boxes("move", requests.filter(kept), target[kept])
        self.moved[at[kept]] = True

    def clip(self, requests: pa.Table) -> pa.Table:
        """Clip what sticks out; the requests about boxes of which nothing would be left are returned."""
        requests = requests.filter(~self.moved[positions(requests)])
        box, size = tables.boxes(self.rows)[positions(requests)], self._sizes(requests)
        target = _clipped(box, size)
        out, whole = (target != box).any(axis=1), _has_area(target)
        self._change_boxes("clip", requests.filter(out & whole), target[out & whole])
        return requests.filter(out & ~whole)

    def renumber(self, requests: pa.Table, first: int) -> None:
        """Give new ids; row k of the shard gets ``first + k``."""
        self._change("renumber", requests, annotation_id=first + positions(requests))

    def add(self, requests: pa.Table, first: int) -> None:
        """Add boxes; that of the j-th request gets the id ``first + j``."""
        known = self._is_known(tables.numpy(requests, "suggested_category_id"))
        self.not_followed[_NO_CLASS] += int((~known).sum())
        box = _clipped(tables.boxes(requests), self._sizes(requests))
        in_image = pc.is_in(requests["image_id"], value_set=self.shard.images["image_id"].combine_chunks())
        usable = _has_area(box) & in_image.to_numpy()
        self.not_followed[_NO_BOX] += int((known & ~usable).sum())
        kept = np.flatnonzero(known & usable)
        requests = with_columns(requests.take(kept), at=self.rows.num_rows + np.arange(len(kept)))
        image_ids, classes = tables.numpy(requests, "image_id"), tables.numpy(requests, "suggested_category_id")
        rows = new_rows(self.run, self.shard.split, first + kept, image_ids, classes, box[kept])
        self.rows = pa.concat_tables([self.rows, rows])
        self.changed = np.concatenate([self.changed, np.ones(len(kept), bool)])
        self.dropped = np.concatenate([self.dropped, np.zeros(len(kept), bool)])
        self._note("add", requests, rows, before=None, after=rows)

    def drop(self, requests: pa.Table) -> None:
        requests = requests.filter(~self.dropped[positions(requests)])
        at = positions(requests)
        self.dropped[at] = True
        rows = self.original.take(at)
        self._note("drop", requests, rows, before=rows, after=None)

    def drop_repeats(self) -> None:
        """Of boxes that edits made equal only the first stays."""
        alive = np.flatnonzero(~self.dropped)
        again = alive[_repeats(self.rows.take(alive), self.changed[alive])]
        is_added = again >= self.original.num_rows
        self.dropped[again[is_added]] = True
        self.not_followed[_STANDS] += int(is_added.sum())
        again = again[~is_added]
        self.drop(repeated_box(again, self.original["image_id"].take(again)))

    def finish(self) -> Plan:
        made = pa.concat_tables(self.edits)
        is_drop = pc.equal(made["action"], "drop").to_numpy()
        made = made.filter(is_drop | ~self.dropped[positions(made)])
        made = made.sort_by([(name, "ascending") for name in ("image_id", "at", "step")])
        columns = {
            "run": pa.array([self.run] * made.num_rows, pa.string()),
            "split": pa.array([self.shard.split] * made.num_rows, pa.string()),
            "file_name": tables.lookup(made["image_id"], self.shard.images, "image_id", "file_name"),
            "category_name": tables.lookup(made["category_id"], self.classes, "category_id", "category_name"),
        }
        edits = made.drop_columns(["at", "step"])
        for name, values in columns.items():
            edits = edits.append_column(name, values)
        had, has = self.original["segmentation"], self.rows["segmentation"].slice(0, self.original.num_rows)
        lost = pc.and_(pc.is_valid(had), pc.is_null(has)).to_numpy() & ~self.dropped[: len(had)]
        return Plan(schema.conform(edits, "edits"), int(lost.sum()), +self.not_followed)

    def _is_known(self, category_ids: Ints) -> Flags:
        return np.isin(category_ids, tables.numpy(self.classes, "category_id"))

    def _sizes(self, requests: pa.Table) -> Floats:
        return image_sizes(requests, self.shard.images)

    def _change_boxes(self, action: Action, requests: pa.Table, target: Floats) -> None:
        """Set boxes. A segmentation stays, and with it its area, where the box still holds it."""
        before = self.rows.take(positions(requests))
        texts = before["segmentation"].to_pylist()
        held = np.array(
            [text is not None and holds(box, text) for box, text in zip(to_corners(target), texts, strict=True)], bool
        )
        self._change(
            action,
            requests,
            **dict(zip(("x", "y", "width", "height"), target.T, strict=True)),
            area=np.where(held, tables.numpy(before, "area"), target[:, 2] * target[:, 3]),
            segmentation=pa.array(texts, pa.string(), mask=~held),
        )

    def _change(self, action: Action, requests: pa.Table, **columns: pa.Array | NDArray) -> None:
        at = positions(requests)
        before = self.rows.take(at)
        after = with_columns(before, **columns)
        self.rows = replace_rows(self.rows, at, after)
        self.changed[at] |= action != "renumber"
        self._note(action, requests, before, before=before, after=after)

    def _note(
        self, action: Action, requests: pa.Table, rows: pa.Table, *, before: pa.Table | None, after: pa.Table | None
    ) -> None:
        """Keep one edit for each request, about ``rows``."""
        count = requests.num_rows
        texts = {
            name: pa.nulls(count, pa.string()) if table is None else annotation_objects(table).cast(pa.string())
            for name, table in (("before", before), ("after", after))
        }
        named = ("image_id", "annotation_id", "annotation_row", "source_file", "category_id")
        columns = {
            "at": requests["at"],
            "step": pa.array(np.full(count, len(self.edits))),
            "action": pa.array([action] * count, pa.string()),
            "reason": requests["reason"],
            "reason_id": requests["reason_id"],
        }
        self.edits.append(pa.table(columns | texts | {name: rows[name] for name in named}))


def _clipped(box: Floats, size: Floats) -> Floats:
    """Boxes ``[k, 4]`` cut at the borders of images ``[k, 2]``; a side that is not cut keeps its very bits."""
    far = box[:, :2] + box[:, 2:]
    low, high = np.maximum(box[:, :2], 0.0), np.minimum(far, size)
    cut = (low != box[:, :2]) | (high != far)
    return np.concatenate([low, np.where(cut, high - low, box[:, 2:])], axis=1)


def _has_area(box: Floats) -> Flags:
    return np.asarray(np.isfinite(box).all(axis=1) & (box[:, 2:] > 0).all(axis=1), np.bool_)


def _repeats(rows: pa.Table, changed: Flags) -> Rows:
    """Positions of rows that equal an earlier one in image, class, annotator, crowd flag and box, if any of the
    equal ones was changed."""
    near = np.flatnonzero(np.isin(tables.numpy(rows, "image_id"), tables.numpy(rows, "image_id")[changed]))
    keys = [tables.numpy(rows, name)[near] for name in ("image_id", "category_id", "is_crowd")]
    keys.append(pc.fill_null(rows["annotator"].combine_chunks().dictionary_encode().indices, -1).to_numpy()[near])
    order = np.lexsort([near, *tables.boxes(rows)[near].T, *keys])
    sides = np.stack([*tables.boxes(rows)[near[order]].T], axis=1)
    same = (sides[1:] == sides[:-1]).all(axis=1)
    for key in keys:
        same &= key[order][1:] == key[order][:-1]
    group = np.concatenate([[0], np.cumsum(~same)]) if len(order) else order
    touched = np.bincount(group, weights=changed[near[order]]) > 0
    again = np.concatenate([[False], same]) if len(order) else same
    return np.sort(near[order][again & touched[group]])
