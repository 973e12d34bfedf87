"""The trainer ``command``: a trial is a run of a program, judged by what it writes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints
from detray.detectors.settings import TrainSettings
from detray.detectors.training.history import TRAIN, VAL
from detray.errors import DetrayError
from detray.flow.epochs import epoch_file
from detray.flow.workspace import Workspace
from detray.store.integrity import is_plain
from detray.tables import numpy
from detray.tune.command.configuration import SAMPLING, Configuration, placeholders
from detray.tune.command.data import Listed
from detray.tune.command.events import BOX_LOSS, CLASS_LOSS, Curves
from detray.tune.command.exported import Runner
from detray.tune.command.failures import Clock, ended
from detray.tune.command.placeholders import fill, names_in
from detray.tune.command.program import Program, tail
from detray.tune.command.reports import Reports, read_detections, require_known
from detray.tune.command.settings import CommandSettings
from detray.tune.mirror import mirrored
from detray.tune.proof_stage import PROOF
from detray.tune.trainer import OnEpoch
from detray.tune.trial import CHECKPOINT, LOG, Trial

DETECTIONS = "detections.json"
"""Among a model's files: what it detects on val."""
LEAST_WAIT, MOST_WAIT = 0.05, 1.0
"""Seconds between two looks at a program."""


@dataclass(frozen=True)
class Epoch:
    """A `Reported`."""

    epoch: int
    detections: pa.Table
    class_loss: float | None
    box_loss: float | None


@dataclass(frozen=True)
class Kept:
    """What a program keeps: the files of the epoch that its trial is, and its detections on the proof's pictures."""

    found: Mapping[str, bytes]
    proof: tuple[pa.Table, Ints] | None

    def files(self) -> Mapping[str, bytes]:
        return self.found

    def milliseconds(self) -> float | None:
        return None

    def proven(self) -> tuple[pa.Table, Ints]:
        if self.proof is None:
            raise TypeError("only the training of a proof is judged on unseen pictures")
        return self.proof


@dataclass(frozen=True)
class CommandTrainer:
    """``settings`` with full paths; ``records`` are those that a pipeline.config states, none: it makes no list of
    them."""

    settings: CommandSettings
    configuration: Configuration
    listed: Listed
    baseline: TrainSettings
    runner: Runner
    records: Sequence[str] = ()

    def train(self, trial: Trial, workspace: Workspace, on_epoch: OnEpoch) -> Kept:
        with mirrored(workspace.below(CHECKPOINT)) as (place, save):
            log, output = place / LOG, place / "output"
            output.mkdir(parents=True, exist_ok=True)
            watch = _Watch(self, trial, output, on_epoch, save)
            try:
                watch.require_reported(next(n for n in count() if workspace.read(epoch_file(n + 1)) is None))
                argv = self._written(trial, place, output)
                with Program(argv, self.settings.folder, log) as program:
                    watch.until_end(program, Clock(self.settings.timeout, log, output))
                return watch.kept(place / self.configuration.name if self.configuration.name else None)
            finally:
                if log.is_file():
                    workspace.write(LOG, tail(log))

    def _written(self, trial: Trial, place: Path, output: Path) -> list[str]:
        """The program and its arguments, after the files that these name are written."""
        names = names_in(self.settings.run) | self.configuration.names()
        files = {"output": str(output)}
        if self.configuration.name:
            files["config"] = str(place / self.configuration.name)
        writers: dict[str, tuple[str, Callable[[Path], None]]] = {
            "train": ("train.json", lambda path: self.listed.write_split(TRAIN, path)),
            "val": ("val.json", lambda path: self.listed.write_split(VAL, path)),
            "detect": (
                "detect.json",
                lambda path: self.listed.write_pictures(path, with_proof=trial.phase == "proof"),
            ),
            "samples": ("samples.txt", lambda path: self.listed.write_samples(trial.settings, path)),
        }
        for name, (file, write) in writers.items():
            if name in names:
                files[name] = str(place / file)
                write(place / file)
        if "config" in files:
            text = self.configuration.text(trial, self.baseline, files, self._sampled(trial, place))
            Path(files["config"]).write_text(text)
        values = placeholders(trial, files)
        return [fill(word, values) for word in self.settings.run]

    def _sampled(self, trial: Trial, place: Path) -> list[str]:
        """The records to train on, where these are other than stated."""
        is_same = all(getattr(trial.settings, name) == getattr(self.baseline, name) for name in SAMPLING)
        if is_same or not self.records:
            return []
        return self.listed.write_records(trial.settings, self.records, place)


@dataclass
class _Watch:
    """A trial while its program runs: reads each report once, and knows the best."""

    trainer: CommandTrainer
    trial: Trial
    output: Path
    on_epoch: OnEpoch
    save: Callable[[], None]
    best: int = 0
    score: float | None = None
    _paths: list[Path] = field(default_factory=list)
    _known: Ints | None = None

    def __post_init__(self) -> None:
        self.reports = Reports(self.output, self.trainer.settings.reports)
        self.curves = Curves(self.output)
        self.listed = self.trainer.listed

    def require_reported(self, epochs: int) -> None:
        """Refuse to go on where reports of epochs are gone that are known: later ones would be taken for them.

        Raises:
            DetrayError: saying how many are left.
        """
        if (left := len(self.reports.new())) < epochs:
            raise DetrayError(
                f"of {epochs} epochs that were reported before a restart {left} are left; what is reported must stay in"
                " {output}"
            )

    def until_end(self, program: Program, clock: Clock) -> None:
        """Read reports until the program ends, or enough is known.

        Raises:
            DetrayError: it failed, hangs, or diverges.
        """
        start = monotonic()
        while True:
            code = program.poll()  # before its reports: what it wrote last is not missed
            self.curves.look()
            is_enough = self._look(is_over=code is not None)
            self._require_finite()
            if is_enough or code == 0:
                break
            if code is not None:
                raise DetrayError(ended(code, clock.log))
            clock.check()
            sleep(min(max((monotonic() - start) / 100, LEAST_WAIT), MOST_WAIT))
        if not self._paths:
            kind = "detections-N.json" if self.reports.kind == "detections" else "model-N"
            raise DetrayError(
                ended(0, clock.log, f"the program ended without a report: it wrote no {kind} into {{output}}")
            )

    def _require_finite(self) -> None:
        for tag, (step, value) in self.curves.last.items():
            if not math.isfinite(value):
                raise DetrayError(f"{tag} is {value} at step {step}, in the program's event files")

    def _look(self, *, is_over: bool) -> bool:
        """Read what is new; whether that was enough."""
        new = self.reports.new()
        for place, (number, path) in enumerate(new):
            try:
                found = self._detections(path)
            except DetrayError:
                if is_over or place + 1 < len(new):
                    raise
                return False  # it may still be writing
            if self._take(number, path, found):
                return True
        return False

    def _take(self, number: int, path: Path, found: pa.Table) -> bool:
        epoch = self.reports.take(number, path)
        self._paths.append(path)
        losses = self.curves.loss(CLASS_LOSS), self.curves.loss(BOX_LOSS)
        self.save()
        score = self.on_epoch(Epoch(epoch, self._of_val(found), *losses))
        if score is not None and (self.score is None or score > self.score):
            self.best, self.score = epoch, score
        settings = self.trial.settings
        waited = settings.patience is not None and self.score is not None and epoch - self.best >= settings.patience
        return waited or epoch >= settings.epochs

    def _detections(self, path: Path) -> pa.Table:
        if self.reports.kind == "models":
            return self.trainer.runner.detect(path, self.listed, self.listed.images(VAL))
        found = read_detections(path, self.listed.classes)
        if self._known is None:
            self._known = numpy(self.listed.detected(with_proof=self.trial.phase == "proof"), "image_id")
        require_known(found, self._known, path.name)
        return found

    def _of_val(self, found: pa.Table) -> pa.Table:
        if self._known is None or self.trial.phase == "search":
            return found
        own = pa.array(numpy(self.listed.images(VAL), "image_id"))
        return found.filter(pc.is_in(found["image_id"], value_set=own))

    def kept(self, configuration: Path | None) -> Kept:
        """What is kept of the epoch that the trial is."""
        is_best = self.trial.settings.keep == "best" and self.best
        epoch = self.best if is_best else len(self._paths)
        self.reports.require_kept(epoch)
        model = self.reports.model(epoch)
        if self.trial.phase == "proof":
            return Kept({}, self._proven(epoch, model))
        files = {} if model is None else _content(model)
        if self.reports.kind == "detections":
            files[DETECTIONS] = self._paths[epoch - 1].read_bytes()
        if configuration is not None:
            files[configuration.name] = configuration.read_bytes()
        return Kept(files, None)

    def _proven(self, epoch: int, model: Path | None) -> tuple[pa.Table, Ints]:
        part = PROOF if PROOF in self.listed.parts else VAL
        images = self.listed.images(part)
        ids = numpy(images, "image_id")
        if self.reports.kind == "models" and model is not None:
            return self.trainer.runner.detect(model, self.listed, images), ids
        shift = self.listed.shift() if part == PROOF else 0
        found = read_detections(self._paths[epoch - 1], self.listed.classes)
        moved = pc.subtract(found["image_id"], shift)
        found = found.set_column(0, "image_id", moved)
        return found.filter(pc.is_in(moved, value_set=pa.array(ids))), ids


def _content(model: Path) -> dict[str, bytes]:
    """The files of a model, by their places below it.

    Raises:
        DetrayError: a file's name cannot be kept.
    """
    if model.is_file():
        return {model.name: model.read_bytes()}
    found = {file.relative_to(model): file for file in sorted(model.rglob("*")) if file.is_file()}
    for place in found:
        if not all(map(is_plain, place.parts)):
            raise DetrayError(f"{model.name}: {str(place)!r} is no name that a file of a model can have")
    return {str(place): file.read_bytes() for place, file in found.items()}
