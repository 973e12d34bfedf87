"""The stage ``clean``."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from detray import mirror, tables
from detray.clean.back import FOLDER
from detray.clean.flow import clean
from detray.clean.requests import LABEL_ERRORS
from detray.clean.steps import DATASET, Work, find_roots
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.formats.label_map import LabelMap, read_label_map
from detray.formats.label_map.pbtxt import write_label_map
from detray.formats.resolve import resolve, stated_path
from detray.formats.rewriting import Rewriting
from detray.review.read import Decisions, read_all
from detray.settings import to_yaml
from detray.store import Store
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config

LABEL_MAP = "label_map.pbtxt"


def run(context: Context, flow: Flow) -> Outcome:
    """Hand the flow the settings, what the data set is written back as, and whether suspects of this data are there."""
    config, data = context.config, flow.data
    splits = list(dict.fromkeys(key.split for key in data.shards()))
    folder = _folder(context.store)
    described = {split: _as_coco(config, split, folder) for split in splits}
    label_map = _label_map(config)
    formats, unsaid = None, []
    back: dict[str, str] = {}
    if config.clean.format == "same":
        formats = Rewriting(tuple(resolve(config.dataset)), _names_in_files(label_map))
        for source in formats.sources:
            if source.split in described:
                found = formats.described(source.split, f"{folder}/{FOLDER}")
                unsaid += [source.split] if found is None else []
                described[source.split] = found or {}
                back[source.split] = _below(found, folder)
    read = _decisions(context)
    decisions = dict(enumerate(read.made))
    work = Work(data, config.clean, config.name, _suspects(config, data), find_roots(data), formats, decisions)
    merged = {split for split in splits if _is_merged(config, split)}
    mended = _mended_label_map(data, label_map, splits)
    stated = f"{folder}/{LABEL_MAP}" if mended else config.dataset.label_map
    beside = {DATASET: _dataset(config, {split: found for split, found in described.items() if found}, stated)}
    outcome = clean(flow, work, merged, beside | ({LABEL_MAP: mended} if mended else {}), back)
    outcome.notes += read.notes
    outcome.notes += [
        f"split {split}: its files lie below clean/{FOLDER} as below dataset.root; {DATASET} leaves it out, since its"
        " pictures lie in no folder of their own: copy the files to their pictures"
        for split in unsaid
    ]
    if mended:
        outcome.notes.append(f"the label map disagrees with the annotations: clean/{LABEL_MAP} says what they say")
    return outcome


def _folder(store: Store) -> str:
    return f"{(store.root if '://' in store.root else store.path()).rstrip('/')}/{STAGE.name}"


def _below(found: Mapping[str, Any] | None, folder: str) -> str:
    """What of the stage's folder holds a split."""
    stated = found["annotations"] if found else FOLDER
    path: str = stated if isinstance(stated, str) else stated[0]
    return path.removeprefix(f"{folder}/")


def _suspects(config: Config, data: Data) -> str | None:
    """The stage whose label errors are of the data as it now is; suspects of other data would name other rows."""
    if config.clean.folds:
        return "folds"
    diagnose, ingest = data.manifest("diagnose"), data.manifest("ingest")
    is_current = diagnose is not None and ingest is not None and diagnose["created"] >= ingest["created"]
    return "diagnose" if is_current else None


def _is_merged(config: Config, split: str) -> bool:
    stated = config.dataset.splits[split].annotations if split in config.dataset.splits else ""
    return not isinstance(stated, str) and len(stated) > 1


def _label_map(config: Config) -> LabelMap | None:
    stated = config.dataset.label_map
    if stated is None or config.clean.format != "same":
        return None
    return read_label_map(stated_path(stated, config.dataset.root, "dataset.label_map"))


def _names_in_files(label_map: LabelMap | None) -> dict[str, str]:
    """What files call classes (/m/01g317) that tables call by the label map's words."""
    entries = label_map.entries if label_map else ()
    return {entry.label: entry.name for entry in entries if entry.label and entry.name and entry.name[0] == "/"}


def _mended_label_map(data: Data, label_map: LabelMap | None, splits: Sequence[str]) -> str | None:
    """The label map as the annotations have it, where it is what was wrong and they agree; else None."""
    if label_map is None:
        return None
    rules = ["label-map-mismatch", "label-map-malformed"]
    if not data.read("findings", columns=["rule"], filters=[("rule", "in", rules)]).num_rows:
        return None
    categories = data.read("categories")
    names: dict[int, str] = {}
    for split in splits:
        own = categories.filter(pc.equal(categories["split"], split))
        own = own.filter(pc.equal(own["source"], "annotations"))
        for number, name in tables.class_names(own).items():
            if names.setdefault(number, name) != name:
                return None
    is_mend = names and min(names) > 0 and len(set(names.values())) == len(names) and names != label_map.names
    return write_label_map(names) if is_mend else None


def _as_coco(config: Config, split: str, folder: str) -> dict[str, Any]:
    images = config.dataset.splits[split].images if split in config.dataset.splits else None
    return {"format": "coco", "annotations": f"{folder}/{split}.json", "images": images}


def _dataset(config: Config, splits: Mapping[str, Mapping[str, Any]], label_map: str | None) -> str:
    """The section ``dataset`` for the corrected files, with the pictures where they were, as YAML text."""
    root = config.dataset.root
    values = {
        "root": root if "://" in root else str(Path(root).resolve()),
        "also": list(config.dataset.also),
        "label_map": label_map,
        "splits": dict(splits),
    }
    return "# The corrected data set, its pictures where they were.\n" + mirror.stated(to_yaml({"dataset": values}))


def _needs(config: Config) -> tuple[str, ...]:
    """Where a trained detector is named its suspects are worth having; only folds are trained for their sake."""
    if config.clean.folds:
        return ("audit", "folds")
    follows_suspects = not set(LABEL_ERRORS.values()).isdisjoint(config.clean.actions)
    return ("audit", "diagnose") if config.detector.path is not None and follows_suspects else ("audit",)


def _decisions(context: Context) -> Decisions:
    return read_all(context.config.clean.decision_files, context.store)


def _check(context: Context) -> None:
    """Refuse a file of decisions that is none."""
    _decisions(context)


def _then(config: Config, outcome: Outcome) -> str | None:
    """The corrected data set, looked at again; its own folder keeps these results."""
    if not outcome.facts["edits"]:
        return None
    place, output = (f"{config.output.rstrip('/')}/{name}" for name in (outcome.facts["dataset"], "corrected"))
    return f"detray audit --config {shlex.quote(place)} --output {shlex.quote(output)}: what is left after the edits"


STAGE = StageDefinition(
    name="clean",
    tables=("edits",),
    sections=("clean", "dataset"),
    run=run,
    check=_check,
    needs=_needs,
    uses=("diagnose",),
    inputs=lambda config: config.clean.decision_files,
    is_for_people=True,
    then=_then,
)
