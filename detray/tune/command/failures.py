"""Why a program failed, in words, with what it printed last."""

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from detray.errors import DetrayError
from detray.tune.command.events import event_files
from detray.tune.command.program import last_lines

OUT_OF_MEMORY = re.compile(
    r"MemoryError|out of memory|OutOfMemory|ResourceExhausted|OOM when allocating|bad_alloc|CUDA_ERROR_OUT_OF_MEMORY",
    re.IGNORECASE,
)
"""What Python, CUDA, TensorFlow, PyTorch and C++ print."""


def ended(code: int, log: Path, reason: str | None = None) -> str:
    """Why a program with this return code ended, of a signal the negative of it, or ``reason``."""
    words = last_lines(log)
    if reason is None:
        reason = f"the program ended with code {code}"
        if code < 0:
            reason = f"the program was killed by {_name(-code)}"
        if code == -signal.SIGKILL:
            reason += ", as the kernel does where memory runs out"
        elif OUT_OF_MEMORY.search(words):
            reason = f"the program ran out of memory ({'code' if code > 0 else 'signal'} {abs(code)})"
    return f"{reason}; it printed last: {words}" if words else f"{reason}; it printed nothing"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass
class Clock:
    """How long nothing was heard of a program: nothing printed, no file of its output new or larger."""

    timeout: float
    log: Path
    output: Path
    _seen: tuple[tuple[str, int, int], ...] = ()
    _since: float = 0.0

    def check(self) -> None:
        """Look whether there is news.

        Raises:
            DetrayError: it was silent for too long.
        """
        seen = tuple(self._news())
        now = monotonic()
        if seen != self._seen or not self._since:
            self._seen, self._since = seen, now
        elif now - self._since > self.timeout:
            reason = f"no news of the program for {self.timeout:g} s (tune.command.timeout), so it was stopped"
            raise DetrayError(ended(0, self.log, reason))

    def _news(self) -> Iterator[tuple[str, int, int]]:
        for path in (self.log, *sorted(self.output.iterdir()), *event_files(self.output)):
            with suppress(OSError):  # gone meanwhile, or a link that leads nowhere
                found = path.stat()
                yield path.name, found.st_mtime_ns, found.st_size
