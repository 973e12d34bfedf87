"""``detray clean``: a corrected data set from what the audit found and what the model suspects.

Each shard is corrected by itself and written as pieces of JSON text; the pieces of a split are then
strung together, so that nothing of the size of the data set is ever held.

Annotation ids stay as they are, those that collide too, unless ``renumber`` is among clean.actions:
other files may refer to them. Annotations without an id, as Pascal VOC has them, and those of a split
that is read from several files are numbered anew.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from detray import __version__, schema, tables
from detray.clean import coco
from detray.clean.apply import apply
from detray.clean.edits import FreshIds, plan
from detray.clean.requests import FINDING_COLUMNS, LABEL_ERRORS, count_additions
from detray.clean.rows import with_ids
from detray.clean.settings import CleanSettings
from detray.clean.writable import split_writable
from detray.settings import to_yaml
from detray.store import PARTIAL, Json, ShardKey, Stage, Store
from detray.verbs.base import Context, Old, StageDefinition, Table
from detray.verbs.config import Config

DATASET = "dataset.yaml"
_COUNTED = ("annotations_in", "annotations", "images", "quarantined", "segmentations_left_out")
_MAX_KNOWN_ID = 1 << 62
"""Fresh ids start below it, so that they fit int64 whatever ids the data set has."""


def run(context: Context, stage: Stage, done: dict[str, bytes]) -> Old:
    store, settings = context.store, context.config.clean
    suspects = _has_label_errors(store)
    keys = store.shards()
    additions = [0] * len(keys)
    if suspects and "add" in settings.actions:
        counting = {f"count-{key.name}": key for key in keys}
        counts = context.run_tasks("count additions", partial(_count, stage, settings), counting, done)
        additions = [receipt["facts"]["additions"] for receipt in counts]
    clean = _Cleaner(stage, settings, context.config.name, suspects)
    shards = context.run_tasks("correct annotations", clean, _tasks(context.config, store, keys, additions), done)
    by_split: dict[str, list[ShardKey]] = {}
    for key in keys:
        by_split.setdefault(key.split, []).append(key)
    files = {f"file-{split}": own for split, own in by_split.items()}
    context.run_tasks("write files", partial(_write_file, stage, context.config.name), files, done)
    store.write_bytes(_dataset(context.config, store, list(by_split)).encode(), stage.name, DATASET)
    merged = [split for split in by_split if _is_merged(context.config, split)]
    return _outcome(suspects, merged, shards, by_split)


def _has_label_errors(store: Store) -> bool:
    """Whether diagnose has run on the data as it now is; suspects of other data would name other rows."""
    diagnose, ingest = store.manifest("diagnose"), store.manifest("ingest")
    return diagnose is not None and ingest is not None and diagnose["created"] >= ingest["created"]


def _count(stage: Stage, settings: CleanSettings, key: ShardKey) -> Json:
    label_errors = stage.store.read_range("label_errors", key, ["kind", "score"])
    return stage.write(f"count-{key.name}", {}, {"additions": count_additions(label_errors, settings)})


@dataclass(frozen=True)
class _Task:
    """A shard; ``anew``: all its annotations get new ids, as those of several files together are not unique."""

    key: ShardKey
    fresh: FreshIds
    anew: bool


def _tasks(config: Config, store: Store, keys: Sequence[ShardKey], additions: Sequence[int]) -> dict[str, _Task]:
    """A task for each shard. Its fresh ids follow from its place in the split, so the cut does not change them."""
    highest: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for key in keys:
        highest[key.split] = max(highest[key.split], _highest_id(store, key))
        size[key.split] += key.n_annotations
    row, added = +highest, highest + size
    tasks = {}
    for key, count in zip(keys, additions, strict=True):
        fresh = FreshIds(row[key.split] + 1, added[key.split] + 1)
        tasks[key.name] = _Task(key, fresh, _is_merged(config, key.split))
        row[key.split] += key.n_annotations
        added[key.split] += count
    return tasks


def _is_merged(config: Config, split: str) -> bool:
    stated = config.dataset.splits[split].annotations if split in config.dataset.splits else ""
    return not isinstance(stated, str) and len(stated) > 1


def _highest_id(store: Store, key: ShardKey) -> int:
    """From the Parquet footer alone; 0 where no annotation has a positive id."""
    path = store.path("ingest", "annotations", f"part-{key.name}.parquet")
    footer = pq.read_metadata(path, filesystem=store.fs)
    column = footer.schema.to_arrow_schema().get_field_index("annotation_id")
    groups = (footer.row_group(number).column(column).statistics for number in range(footer.num_row_groups))
    ids = [group.max for group in groups if group is not None and group.has_min_max]
    return min(max([0, *ids]), _MAX_KNOWN_ID)


@dataclass(frozen=True)
class _Cleaner:
    """Corrects a shard: its edits go to the table, its images and annotations to pieces of the split's file."""

    stage: Stage
    settings: CleanSettings
    run: str
    suspects: bool

    def __call__(self, task: _Task) -> Json:
        store, key = self.stage.store, task.key
        found = store.read_shard(key)
        shard, quarantine = split_writable(found, run=self.run)
        shard = replace(shard, annotations=with_ids(shard.annotations, task.fresh.rows, anew=task.anew))
        findings = store.read_range("findings", key, FINDING_COLUMNS)
        label_errors = store.read_range("label_errors", key) if self.suspects else schema.empty("label_errors")
        planned = plan(shard, findings, label_errors, self.settings, task.fresh, run=self.run)
        annotations = apply(shard.annotations, planned.edits)
        store.write_chunks(coco.fragments(shard.images, coco.image_objects), *_piece(key, "images"))
        store.write_chunks(coco.fragments(annotations, coco.annotation_objects), *_piece(key, "annotations"))
        facts = {
            "annotations_in": found.annotations.num_rows,
            "annotations": annotations.num_rows,
            "images": shard.images.num_rows,
            "quarantined": quarantine.num_rows,
            "edits": _tally(planned.edits),
            "segmentations_left_out": planned.segmentations_left_out,
            "not_followed": dict(planned.not_followed),
        }
        return self.stage.write(key.name, {"edits": planned.edits, "quarantine": quarantine}, facts)


def _piece(key: ShardKey, name: str) -> tuple[str, ...]:
    return STAGE.name, PARTIAL, "pieces", f"{key.name}.{name}.json"


def _tally(edits: pa.Table) -> list[list[str | int | None]]:
    """Edits counted by split, class, action and reason."""
    by = ["split", "category_name", "action", "reason"]
    counted = edits.group_by(by).aggregate([([], "count_all")])
    return [list(row.values()) for row in counted.select([*by, "count_all"]).to_pylist()]


def _write_file(stage: Stage, run: str, keys: Sequence[ShardKey]) -> Json:
    """String the pieces of a split together to one COCO file."""
    split = keys[0].split
    size = stage.store.write_chunks(_file(stage.store, run, keys), stage.name, f"{split}.json")
    return stage.write(f"file-{split}", {}, {"bytes": size})


def _file(store: Store, run: str, keys: Sequence[ShardKey]) -> Iterator[bytes]:
    split = keys[0].split
    categories = tables.own_classes(store.read("categories", filters=[("split", "=", split)]))
    info = {"description": f"{run}, split {split}, corrected", "contributor": f"detray {__version__}"}
    yield b'{"info":' + msgspec.json.encode(info)
    yield b',\n"categories":['
    yield from _elements(coco.fragments(categories, coco.category_objects))
    for name in ("images", "annotations"):
        yield f'],\n"{name}":['.encode()
        yield from _elements(chunk for key in keys for chunk in store.read_chunks(*_piece(key, name)))
    yield b"]}\n"


def _elements(fragments: Iterable[bytes]) -> Iterator[bytes]:
    """The elements of a list, without the comma before the first."""
    first = True
    for fragment in fragments:
        yield fragment.removeprefix(b",") if first else fragment
        first = False


def _dataset(config: Config, store: Store, splits: Sequence[str]) -> str:
    """The section ``dataset`` for the corrected files, with the pictures where they were, as YAML text."""
    root = config.dataset.root
    folder = store.root if "://" in store.root else store.path()
    values = {
        "root": root if "://" in root else str(Path(root).resolve()),
        "label_map": config.dataset.label_map,
        "splits": {
            split: {
                "format": "coco",
                "annotations": f"{folder.rstrip('/')}/{STAGE.name}/{split}.json",
                "images": config.dataset.splits[split].images if split in config.dataset.splits else None,
            }
            for split in splits
        },
    }
    return "# The corrected data set, its pictures where they were.\n" + to_yaml({"dataset": values})


def _outcome(
    suspects: bool, merged: Sequence[str], shards: Sequence[Json], by_split: Mapping[str, Sequence[ShardKey]]
) -> Old:
    facts = {receipt["shard"]: receipt["facts"] for receipt in shards}
    edits: Counter[tuple[str, ...]] = Counter()
    not_followed: Counter[str] = Counter()
    for found in facts.values():
        edits.update({tuple(by): count for *by, count in found["edits"]})
        not_followed.update(found["not_followed"])
    totals = {
        split: {name: sum(facts[key.name][name] for key in keys) for name in _COUNTED}
        for split, keys in by_split.items()
    }
    everything = {name: sum(total[name] for total in totals.values()) for name in _COUNTED}
    notes = [f"not followed, {reason}: {count}" for reason, count in sorted(not_followed.items())]
    notes += [f"split {split} comes from several files: its annotations are numbered anew" for split in merged]
    if not suspects:
        notes.append("no label errors were used: diagnose has not run on this data")
    if count := everything["segmentations_left_out"]:
        notes.append(f"segmentations left out, since the changed box no longer holds them: {count}")
    files = {split: f"{STAGE.name}/{split}.json" for split in by_split}
    return Old(
        list(shards),
        counts={
            "in": everything["annotations_in"],
            "kept": everything["annotations"],
            "quarantined": everything["quarantined"],
        },
        facts={"files": files, "dataset": f"{STAGE.name}/{DATASET}", "edits": sum(edits.values())},
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


def _needs(config: Config) -> tuple[str, ...]:
    """Where a trained detector is named its suspects are worth having; nothing is trained for their sake."""
    follows_suspects = not set(LABEL_ERRORS.values()).isdisjoint(config.clean.actions)
    return ("audit", "diagnose") if config.detector.path is not None and follows_suspects else ("audit",)


STAGE = StageDefinition(
    name="clean",
    tables=("edits",),
    sections=("clean", "dataset"),
    old=run,
    needs=_needs,
    uses=("diagnose",),
)
