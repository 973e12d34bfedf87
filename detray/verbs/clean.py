"""The stage ``clean``."""

from collections.abc import Sequence
from pathlib import Path

from detray.clean.flow import clean
from detray.clean.requests import LABEL_ERRORS
from detray.clean.steps import Work, find_roots
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.settings import to_yaml
from detray.store import Store
from detray.verbs.base import Context, Outcome, StageDefinition
from detray.verbs.config import Config


def run(context: Context, flow: Flow) -> Outcome:
    config = context.config
    splits = list(dict.fromkeys(key.split for key in flow.data.shards()))
    work = Work(flow.data, config.clean, config.name, _has_label_errors(flow.data), find_roots(flow.data))
    merged = {split for split in splits if _is_merged(config, split)}
    return clean(flow, work, merged, _dataset(config, context.store, splits))


def _has_label_errors(data: Data) -> bool:
    """Whether diagnose has run on the data as it now is; suspects of other data would name other rows."""
    diagnose, ingest = data.manifest("diagnose"), data.manifest("ingest")
    return diagnose is not None and ingest is not None and diagnose["created"] >= ingest["created"]


def _is_merged(config: Config, split: str) -> bool:
    stated = config.dataset.splits[split].annotations if split in config.dataset.splits else ""
    return not isinstance(stated, str) and len(stated) > 1


def _dataset(config: Config, store: Store, splits: Sequence[str]) -> str:
    """The section ``dataset`` for the corrected files, with the pictures where they were, as YAML text."""
    root = config.dataset.root
    folder = store.root if "://" in store.root else store.path()
    values = {
        "root": root if "://" in root else str(Path(root).resolve()),
        "also": list(config.dataset.also),
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


def _needs(config: Config) -> tuple[str, ...]:
    """Where a trained detector is named its suspects are worth having; nothing is trained for their sake."""
    follows_suspects = not set(LABEL_ERRORS.values()).isdisjoint(config.clean.actions)
    return ("audit", "diagnose") if config.detector.path is not None and follows_suspects else ("audit",)


STAGE = StageDefinition(
    name="clean",
    tables=("edits",),
    sections=("clean", "dataset"),
    run=run,
    needs=_needs,
    uses=("diagnose",),
    is_for_people=True,
)
