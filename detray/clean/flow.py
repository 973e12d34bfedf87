"""``detray clean``: a corrected data set from what the audit found and what the model suspects."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from detray.clean.back import LIST, WRITE_BACK, Back
from detray.clean.edits import FreshIds
from detray.clean.steps import CORRECT, COUNT, DATASET, DESCRIBE, WRITE, Corrected, Correction, File, Ids, Work
from detray.flow.flow import Flow
from detray.flow.outcome import Outcome, Table
from detray.store import ShardKey

IMAGES_OF_BUCKET = 2000
MAX_BUCKETS = 256
"""Files are written back in as many tasks as there are buckets of their changes."""

_COUNTED = ("annotations_in", "annotations", "images", "quarantined", "segmentations_left_out")


def clean(
    flow: Flow, work: Work, merged: Collection[str], beside: Mapping[str, str], back: Mapping[str, str] | None = None
) -> Outcome:
    """Correct every shard, and write the data set: back in its own format, or one COCO file a split.

    Args:
        flow: where it runs.
        work: settings and data.
        merged: the splits that are read from several files.
        beside: small files beside the data, ``dataset.yaml`` among them, by path: their text.
        back: of the splits that are written back, which file or folder of the result holds each.
    """
    keys, back = flow.data.shards(), back or {}
    counted = flow.map(COUNT, work, {key.name: key for key in keys})
    corrections = _corrections(keys, {name: result.facts for name, result in counted.items()}, merged, back)
    buckets = min(1 + sum(key.n_images for key in keys if key.split in back) // IMAGES_OF_BUCKET, MAX_BUCKETS)
    corrected = flow.map(CORRECT, work, corrections, buckets=buckets)
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
        if split not in back
    }
    flow.map(WRITE, work, files)
    if back and work.formats is not None:
        own = Back(work.formats)
        listed = flow.map(LIST, own, {split: split for split in back}, buckets=buckets)
        names = [name for split in back for name in by_split[split]]
        parts = {
            "changes": [(name, corrected[name]["changes"]) for name in names],
            "files": [(split, listed[split]["files"]) for split in back],
        }
        flow.exchange(WRITE_BACK, own, parts, buckets)
    flow.reduce(DESCRIBE, work, beside)
    facts = {split: [corrected[name].facts for name in names] for split, names in by_split.items()}
    stated = {split: f"clean/{back.get(split, f'{split}.json')}" for split in by_split}
    return _outcome(work, [split for split in by_split if split in merged and split not in back], facts, stated)


def _corrections(
    keys: Sequence[ShardKey], ids: Mapping[str, Ids], merged: Collection[str], back: Collection[str]
) -> dict[str, Correction]:
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
        tasks[key.name] = Correction(key, fresh, key.split in merged, key.split in back)
        row[key.split] += key.n_annotations
        added[key.split] += ids[key.name].additions
    return tasks


def _by_words(edited: tuple[tuple[str | None, ...], int]) -> list[str]:
    return [word or "" for word in edited[0]]  # a class that no list has is None


def _outcome(
    work: Work, merged: Sequence[str], facts: Mapping[str, Sequence[Corrected]], files: Mapping[str, str]
) -> Outcome:
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
    notes = [] if edits else [_why_nothing(not_followed)]
    notes += [f"not followed, {reason}: {count}" for reason, count in sorted(not_followed.items())]
    notes += [f"split {split} comes from several files: its annotations are numbered anew" for split in merged]
    refused = _refused(work, shards)
    if work.decisions:
        notes.append(f"decisions: {len(work.decisions) - len(refused)} followed, {len(refused)} refused")
    if not work.suspects:
        notes.append("no label errors were used: diagnose has not run on this data")
    if count := everything["segmentations_left_out"]:
        notes.append(f"segmentations left out, since the changed box no longer holds them: {count}")
    return Outcome(
        counts={
            "in": everything["annotations_in"],
            "kept": everything["annotations"],
            "quarantined": everything["quarantined"],
        },
        facts={"files": dict(files), "dataset": f"clean/{DATASET}", "edits": sum(edits.values())},
        summary=[
            Table(
                "Edits",
                ("split", "class", "action", "reason", "annotations"),
                [[*by, count] for by, count in sorted(edits.items(), key=_by_words)],
            ),
            *([Table("Decisions that are not followed", ("decision", "about", "why"), refused)] if refused else []),
            Table(
                "Corrected data set",
                ("split", "file", "images", "annotations"),
                [[split, files[split], total["images"], total["annotations"]] for split, total in totals.items()],
            ),
        ],
        notes=notes,
    )


def _refused(work: Work, shards: Sequence[Corrected]) -> list[list[str]]:
    """The decisions that are not followed, by name."""
    why = {refused.number: refused.why for found in shards for refused in found.refused}
    seen = {number for found in shards for number in found.decided}
    why |= dict.fromkeys(work.decisions.keys() - seen, "there is no such image any more")
    return [[work.decisions[n].decision, work.decisions[n].about.name, why[n]] for n in sorted(why)]


def _why_nothing(not_followed: Mapping[str, int]) -> str:
    """Why there is no edit."""
    if count := sum(not_followed.values()):
        return f"nothing was edited: what asks for an edit, {count} in all, is not followed for the reasons below"
    return "nothing was edited: no finding or label error asks for anything that an edit can mend"
