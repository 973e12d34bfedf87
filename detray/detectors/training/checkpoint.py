"""The state of a training after an epoch, in one file of plain arrays."""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detray.errors import DamagedError, DetrayError

FILE = "state.npz"

_HEADER = 4096
"""Bytes, beyond its values, that an array takes at most in a file of ours."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of ``network`` and ``optimizer`` in ``folder``, for one ``configuration`` only."""

    folder: Path
    network: Any
    optimizer: Any
    configuration: object

    @property
    def _variables(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables]

    @property
    def _key(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.configuration)).hexdigest()

    def save(self, epoch: int) -> None:
        """Write the state after ``epoch``, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {f"variable_{n}": np.asarray(variable) for n, variable in enumerate(self._variables)}
        temporary = self.folder / f"{FILE}.{os.getpid()}.tmp"
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, epoch=epoch, configuration=self._key, **arrays)
        temporary.replace(self.folder / FILE)

    def restore(self) -> int:
        """Take the state up, and return its epoch; 0 if there is none.

        Raises:
            DetrayError: it is another configuration's.
            DamagedError: it cannot be read.
        """
        path = self.folder / FILE
        if not path.exists():
            return 0
        expected = sum(np.asarray(variable).nbytes + _HEADER for variable in [*self._variables, "", ""])
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > expected:
                    raise DamagedError(f"{path}: larger than the state of this network; delete it")
            with np.load(path, allow_pickle=False) as state:
                if str(state["configuration"]) != self._key:
                    raise DetrayError(f"{path}: the checkpoint of another configuration; delete it")
                values = [state[f"variable_{number}"] for number in range(len(self._variables))]
                epoch = int(state["epoch"])
            for variable, value in zip(self._variables, values, strict=True):
                variable.assign(value)
        except DetrayError:
            raise
        except Exception as error:  # NumPy and zipfile raise almost anything on a damaged file
            raise DamagedError(f"{path}: not readable as a checkpoint ({error}); delete it") from None
        return epoch
