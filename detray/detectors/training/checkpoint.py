"""The state of a training after an epoch, and the weights of its best one, in files of plain arrays."""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detray.detectors.training.best import Best
from detray.errors import DamagedError, DetrayError

FILE = "state.npz"

_HEADER = 4096
"""Bytes, beyond its values, that an array takes at most in a file of ours."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of ``network``, ``optimizer`` and ``best`` in ``folder``, for one ``configuration`` only."""

    folder: Path
    network: Any
    optimizer: Any
    best: Best
    configuration: object

    @property
    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables]

    @property
    def _key(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.configuration)).hexdigest()

    def _weights(self, epoch: int) -> Path:
        """Of the best epoch; a file an epoch, so that the state never names weights that are not whole."""
        return self.folder / f"best-{epoch:05d}.npz"

    def save(self, epoch: int) -> None:
        """Write the state after ``epoch``, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.best.epoch == epoch and self.best.weights:
            self._write(self._weights(epoch), self.best.weights)
        score = np.nan if self.best.score is None else self.best.score
        facts = {"epoch": epoch, "best": self.best.epoch, "score": score}
        self._write(self.folder / FILE, self._variables, **facts)
        for path in self.folder.glob("best-*.npz"):
            if path != self._weights(self.best.epoch):
                path.unlink()

    def _write(self, path: Path, values: Sequence[Any], **facts: float) -> None:
        arrays: dict[str, Any] = {f"variable_{n}": np.asarray(value) for n, value in enumerate(values)}
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, configuration=self._key, **facts, **arrays)
        temporary.replace(path)

    def restore(self) -> int:
        """Take the state up, and return its epoch; 0 if there is none.

        Raises:
            DetrayError: it is another configuration's.
            DamagedError: it cannot be read.
        """
        path = self.folder / FILE
        if not path.exists():
            return 0
        values, facts = self._read(path, self._variables)
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        if (best := int(facts["best"])) and not np.isnan(facts["score"]):
            self.best.epoch, self.best.score = best, float(facts["score"])
            if self.best.settings.keep == "best":
                self.best.weights, _ = self._read(self._weights(best), self.network.weights)
        return int(facts["epoch"])

    def _read(self, path: Path, like: Sequence[Any]) -> tuple[list[Any], dict[str, float]]:
        """Arrays with the shapes of ``like``, and the numbers beside them."""
        expected = sum(np.asarray(variable).nbytes + _HEADER for variable in [*like, *("",) * 4])
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > expected:
                    raise DamagedError(f"{path}: larger than the state of this network; delete it")
            with np.load(path, allow_pickle=False) as state:
                if str(state["configuration"]) != self._key:
                    raise DetrayError(f"{path}: the checkpoint of another configuration; delete it")
                values = [state[f"variable_{number}"] for number in range(len(like))]
                facts = {name: float(state[name]) for name in ("epoch", "best", "score") if name in state}
            if [value.shape for value in values] != [tuple(variable.shape) for variable in like]:
                raise DamagedError(f"{path}: not the state of this network; delete it")
        except DetrayError:
            raise
        except Exception as error:  # NumPy and zipfile raise almost anything on a damaged file
            raise DamagedError(f"{path}: not readable as a checkpoint ({error}); delete it") from None
        return values, facts
