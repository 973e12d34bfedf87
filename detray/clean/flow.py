"""``detray clean``: a corrected data set from what the audit found and what the model suspects."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from detray.clean.edits import FreshIds
from detray.clean.steps import CORRECT, COUNT, DATASET, DESCRIBE, WRITE, Corrected, Correction, File, Ids, Work
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.store import ShardKey

_COUNTED = ("annotations_in", "annotations", "images", "quarantined", "segmentations_left_out")


def clean(flow: Flow, work: Work, merged: Collection[str], description: str) -> Outcome:
    """Correct every shard, and write one COCO file a split and ``dataset.yaml``.

    Args:
        flow: where it runs.
        work: settings and data.
        merged: the splits that are read from several files.
        description: the section ``dataset`` of a configuration for the files, as YAML text.
    """
    keys = flow.data.shards()
    counted = flow.map(COUNT, work, {key.name: key for key in keys})
    corrections = _corrections(keys, {name: result.facts for name, result in counted.items()}, merged)
    corrected = flow.map(CORRECT, work, corrections)
    by_split: dict[str, list[str]] = {}
    for key in keys:
        by_split.setdefault(key.split, []).append(key.name)
    files = {
        split: File(
            f"{split}.json",
            split,
            [corrected[name]["images"] for name in names],
            [corrected[name]["annotations"] for name in names],
        )
        for split, names in by_split.items()
    }
    flow.map(WRITE, work, files)
    flow.reduce(DESCRIBE, work, description)
    facts = {split: [corrected[name].facts for name in names] for split, names in by_split.items()}
    return _outcome(work.suspects, [split for split in by_split if split in merged], facts)


def _corrections(keys: Sequence[ShardKey], ids: Mapping[str, Ids], merged: Collection[str]) -> dict[str, Correction]:
    """A task for each shard. Its fresh ids follow from its place in the split, so the cut does not change them."""
    highest: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for key in keys:
        highest[key.split] = max(highest[key.split], ids[key.name].highest)
        size[key.split] += key.n_annotations
    row, added = +highest, highest + size
    tasks = {}
    for key in keys:
        fresh = FreshIds(row[key.split] + 1, added[key.split] + 1)
        tasks[key.name] = Correction(key, fresh, key.split in merged)
        row[key.split] += key.n_annotations
        added[key.split] += ids[key.name].additions
    return tasks


def _outcome(suspects: bool, merged: Sequence[str], facts: Mapping[str, Sequence[Corrected]]) -> Outcome:
    shards = [found for own in facts.values() for found in own]
    edits: Counter[tuple[str, str | None, str, str]] = Counter()
    not_followed: Counter[str] = Counter()
    for found in shards:
        not_followed.update(found.not_followed)
        for edit in found.edits:
            edits[edit.split, edit.category_name, edit.action, edit.reason] += edit.count
    totals = {
        split: {name: sum(getattr(found, name) for found in own) for name in _COUNTED} for split, own in facts.items()
    }
    everything = {name: sum(total[name] for total in totals.values()) for name in _COUNTED}
    notes = [f"not followed, {reason}: {count}" for reason, count in sorted(not_followed.items())]
    notes += [f"split {split} comes from several files: its annotations are numbered anew" for split in merged]
    if not suspects:
        notes.append("no label errors were used: diagnose has not run on this data")
    if count := everything["segmentations_left_out"]:
        notes.append(f"segmentations left out, since the changed box no longer holds them: {count}")
    files = {split: f"clean/{split}.json" for split in facts}
    return Outcome(
        counts={
            "in": everything["annotations_in"],
            "kept": everything["annotations"],
            "quarantined": everything["quarantined"],
        },
        facts={"files": files, "dataset": f"clean/{DATASET}", "edits": sum(edits.values())},
        summary=[
            Table(
                "Edits",
                ("split", "class", "action", "reason", "annotations"),
                [[*by, count] for by, count in sorted(edits.items())],
            ),
            Table(
                "Corrected data set",
                ("split", "file", "images", "annotations"),
                [[split, files[split], total["images"], total["annotations"]] for split, total in totals.items()],
            ),
        ],
        notes=notes,
    )
