"""How tasks answer across processes: a receipt, or an error as text, and where they ran."""

import socket
import traceback
from collections.abc import Callable

import msgspec
import ray

from detray import errors
from detray.errors import DetrayError, HostError
from detray.flow.executor import in_words
from detray.flow.receipt import Receipt


class Failure(msgspec.Struct, frozen=True):
    """An exception of a task: its class in `detray.errors`, its sentence, and where it was raised if it is a bug."""

    kind: str
    message: str
    traceback: str | None = None

    @property
    def error(self) -> DetrayError:
        """The exception again."""
        error: DetrayError = getattr(errors, self.kind, DetrayError)(self.message)
        if self.traceback:
            error.add_note(self.traceback)
        return error


class Answer(msgspec.Struct, frozen=True):
    """What the task ``key`` came to on the machine ``host``, which is Ray's ``node``."""

    key: str
    node: str
    host: str
    receipt: Receipt | None = None
    failure: Failure | None = None


def attempt(key: str, function: Callable[[], Receipt]) -> bytes:
    """The receipt that ``function`` returns, or what it raised, as an encoded `Answer`.

    An exception travels as an answer, so that Ray neither tries it again nor prints its traceback
    from every worker; a worker that dies is Ray's to replace.
    """
    try:
        return _answer(key, receipt=function())
    except Exception as error:
        return failure(key, error)


def failure(key: str, error: Exception) -> bytes:
    """An exception as an encoded `Answer`."""
    if isinstance(error, DetrayError):
        return _answer(key, failure=Failure(type(error).__name__, str(error)))
    # whatever it is, the driver must name it; what the system refuses, it may give elsewhere
    kind = HostError if isinstance(error, OSError | MemoryError) else DetrayError
    message = f"a task failed: {in_words(error)}"
    return _answer(key, failure=Failure(kind.__name__, message, traceback.format_exc()))


def _answer(key: str, receipt: Receipt | None = None, failure: Failure | None = None) -> bytes:
    node = ray.get_runtime_context().get_node_id()
    return msgspec.json.encode(Answer(key, node, socket.gethostname(), receipt, failure))
