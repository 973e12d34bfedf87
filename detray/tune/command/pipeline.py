"""A pipeline.config of the TF Object Detection API as a program's configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from detray.detectors.settings import TrainSettings
from detray.errors import UsageError
from detray.pipeline.edit import Value, apply, lines_of
from detray.pipeline.read import PipelineFile
from detray.pipeline.remedies import changes
from detray.tune.command.configuration import SAMPLING, unnamed
from detray.tune.command.placeholders import names_in
from detray.tune.dotted import DETECTOR, OWN, differences
from detray.tune.trial import Trial

RECORDS = "train_input_reader.tf_record_input_reader.input_path"
STATED = ("focal_alpha", "focal_gamma", "batch_size")
"""Settings that stand in the file as they are."""


@dataclass(frozen=True)
class Pipeline:
    """The file; ``has_records``: whether the training split is read from TFRecords, of which lists can be made."""

    file: PipelineFile
    run: Sequence[str]
    has_records: bool

    @property
    def name(self) -> str:
        return "pipeline.config"

    def refusal(self, lever: str, value: Any) -> str | None:
        if lever.startswith(OWN):
            lines_of(lever.removeprefix(OWN), value)
            return None
        named = unnamed(lever, names_in(self.run), lever)
        if named is None:
            return None
        if lever in SAMPLING:
            return None if self.has_records else "the training split is not read from TFRecords"
        if lever.startswith(DETECTOR):
            return "write the field itself, as in config.model.ssd.image_resizer.fixed_shape_resizer.height"
        found = changes(self.file, {lever: value})
        if not found.overrides:
            return found.notes[0] if found.notes else "this model has no field for it"
        return None

    def baseline(self, settings: TrainSettings) -> TrainSettings:
        config = self.file.config
        ssd = config.model.ssd
        focal = None if ssd is None else ssd.loss.classification_loss.weighted_sigmoid_focal
        found: dict[str, Any] = {"batch_size": config.train_config.batch_size}
        if focal is not None:
            found |= {"focal_alpha": focal.alpha, "focal_gamma": focal.gamma}
        return replace(settings, **found)

    def own(self, name: str) -> Any:
        place = name.removeprefix(OWN)
        apply(self.file.text, {place: None})  # which refuses what is no field
        found: Any = self.file.config
        for part in place.split("."):
            found = getattr(found, part, None)
        if isinstance(found, tuple):
            return list(found) if all(isinstance(one, str | int | float) for one in found) else None
        return found if isinstance(found, str | int | float) else None

    def text(self, trial: Trial, baseline: TrainSettings, files: Mapping[str, str], records: Sequence[str]) -> str:
        changed = {name: value for name, value in _changed(baseline, trial).items() if name not in SAMPLING}
        batch, steps = trial.settings.batch_size, self.file.config.train_config.num_steps
        if batch != baseline.batch_size and steps:  # as many pictures as before
            changed["steps"] = max(round(steps * baseline.batch_size / batch), 1)
        overrides: dict[str, Value] = dict(changes(self.file, changed).overrides)
        if records:
            overrides[RECORDS] = list(records)
        overrides |= {name.removeprefix(OWN): value for name, value in trial.own.items()}
        return apply(self.file.text, overrides)

    def names(self) -> set[str]:
        return set()


def _changed(baseline: TrainSettings, trial: Trial) -> dict[str, Any]:
    """The settings that differ, with the augmentation as a whole."""
    names = {name.partition(".")[0] for name in differences(baseline, trial.settings)} - {"seed"}
    return {name: getattr(trial.settings, name) for name in names}


def stated_records(file: PipelineFile) -> Sequence[str]:
    """The records that it trains on, as they are written.

    Raises:
        UsageError: it states none.
    """
    reader = file.config.train_input_reader.tf_record_input_reader
    if reader is None or not reader.input_path:
        raise UsageError(f"{file.name}: {RECORDS} states no records")
    return reader.input_path
