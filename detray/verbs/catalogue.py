"""The stages, in the order of the data's way."""

from importlib import import_module

from detray.verbs.base import StageDefinition

STAGES = ("ingest", "audit", "split", "train", "predict", "evaluate", "diagnose", "tune", "folds", "clean", "report")


def definition(name: str) -> StageDefinition:
    """The stage ``name``; imported here, so that a verb pays only for what it runs."""
    found: StageDefinition = import_module(f"detray.verbs.{name}").STAGE
    return found
