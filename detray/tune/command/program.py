"""A program that runs: in a process group of its own, which ends with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType

from detray.errors import DetrayError

SUPERVISOR = Path(__file__).with_name("supervisor.py")
GRACE = 5.0
"""Seconds that a program has to end after SIGTERM, before SIGKILL."""

LAST_LINES = 8
LAST_CHARACTERS = 800
LOG_BYTES = 1 << 20
"""Of a log, its end, are kept in the output."""


class Program:
    """A program while it runs, as a context manager: at its end its whole process group is gone, and nothing else."""

    def __init__(self, argv: Sequence[str], folder: str, log: Path) -> None:
        """Start ``argv`` in ``folder``; what it prints is added to ``log``.

        Raises:
            DetrayError: it cannot run there.
        """
        self._status, status = os.pipe()
        os.set_blocking(self._status, False)
        command = [sys.executable, "-I", "-S", str(SUPERVISOR), str(status), str(GRACE), *argv]
        try:
            with log.open("ab") as stream:
                self._leader = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
                    command,
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    pass_fds=(status,),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._status)
            raise DetrayError(
                f"{folder} (tune.command.folder): {error.strerror}; the program cannot run there"
            ) from None
        finally:
            os.close(status)
        self._code: int | None = None

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def poll(self) -> int | None:
        """The program's return code, of one that a signal ended the negative of it; None while it runs."""
        if self._code is None and self._has_ended() and self._code is None:
            self._code = -signal.SIGKILL  # with its supervisor, which would have said so else
        return self._code

    def _has_ended(self) -> bool:
        """Whether the leader of the group has; what it says before is read."""
        with suppress(BlockingIOError):
            while text := os.read(self._status, 16):
                self._code = int(text)
            return True
        return False

    def _end(self) -> None:
        if self._leader.stdin is not None:
            self._leader.stdin.close()
        end = monotonic() + 2 * GRACE
        while not self._has_ended() and monotonic() < end:
            sleep(0.01)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader.pid, signal.SIGKILL)  # whose id is taken until it is waited for
        self._leader.wait()
        os.close(self._status)


def last_lines(log: Path) -> str:
    """What a program printed last, in one line."""
    text = tail(log, LAST_CHARACTERS * 4).decode(errors="replace")
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]


def tail(log: Path, size: int = LOG_BYTES) -> bytes:
    """The end of a log; empty where there is none."""
    if not log.is_file():
        return b""
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(stream.tell() - size, 0))
        return stream.read()
