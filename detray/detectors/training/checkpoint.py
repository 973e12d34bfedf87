"""The state of a training after an epoch, and the weights of its best one, in files of plain arrays."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from detray.detectors.training.best import Best
from detray.errors import DamagedError, DetrayError
from detray.flow.workspace import Workspace

FILE = "state.npz"

_HEADER = 4096
"""Bytes, beyond its values, that an array takes at most in a file of ours."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of ``network``, ``optimizer`` and ``best`` in ``place``, for one ``configuration`` only."""

    place: Workspace
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

    def _weights(self, epoch: int) -> str:
        """Of the best epoch; a file an epoch, so that the state never names weights that are not whole."""
        return f"best-{epoch:05d}.npz"

    def save(self, epoch: int) -> None:
        """Write the state after ``epoch``, whole or not at all."""
        if self.best.epoch == epoch and self.best.weights:
            self._write(self._weights(epoch), self.best.weights)
        score = np.nan if self.best.score is None else self.best.score
        facts = {"epoch": epoch, "best": self.best.epoch, "score": score}
        self._write(FILE, self._variables, **facts)
        for name in self.place.store.names(*self.place.place):
            if name.startswith("best-") and name != self._weights(self.best.epoch):
                self.place.store.delete(*self.place.place, name)

    def _write(self, name: str, values: Sequence[Any], **facts: float) -> None:
        arrays: dict[str, Any] = {f"variable_{n}": np.asarray(value) for n, value in enumerate(values)}
        made = io.BytesIO()
        np.savez(made, allow_pickle=False, configuration=self._key, **facts, **arrays)
        self.place.store.write_bytes(made.getvalue(), *self.place.place, name)

    def restore(self) -> int:
        """Take the state up, and return its epoch; 0 if there is none.

        Raises:
            DetrayError: it is another configuration's.
            DamagedError: it cannot be read.
        """
        content = self.place.store.read_bytes(*self.place.place, FILE)
        if content is None:
            return 0
        values, facts = self._read(FILE, content, self._variables)
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        if (best := int(facts["best"])) and not np.isnan(facts["score"]):
            self.best.epoch, self.best.score = best, float(facts["score"])
            if self.best.settings.keep == "best":
                name = self._weights(best)
                content = self.place.store.read_bytes(*self.place.place, name) or b""
                self.best.weights, _ = self._read(name, content, self.network.weights)
        return int(facts["epoch"])

    def _read(self, name: str, content: bytes, like: Sequence[Any]) -> tuple[list[Any], dict[str, float]]:
        """Arrays with the shapes of ``like``, and the numbers beside them."""
        path = self.place.store.path(*self.place.place, name)
        expected = sum(np.asarray(variable).nbytes + _HEADER for variable in [*like, *("",) * 4])
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > expected:
                    raise DamagedError(f"{path}: larger than the state of this network; delete it")
            with np.load(io.BytesIO(content), allow_pickle=False) as state:
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
