"""How tasks answer across processes: a receipt, or an error as text."""

import traceback
from collections.abc import Callable

import msgspec

from detray import errors
from detray.errors import DetrayError
from detray.flow.receipt import Receipt, decode


class Failure(msgspec.Struct, frozen=True):
    """An exception of a task: its class in `detray.errors`, its sentence, and where it was raised if it is a bug."""

    kind: str
    message: str
    traceback: str | None = None


def attempt(function: Callable[[], Receipt]) -> bytes:
    """The receipt that ``function`` returns, or what it raised, as bytes.

    An exception travels as an answer, so that Ray neither tries it again nor prints its traceback
    from every worker; a worker that dies is Ray's to replace.
    """
    try:
        return b"+" + function().encode()
    except Exception as error:
        return failure(error)


def failure(error: Exception) -> bytes:
    """An exception as an answer."""
    if isinstance(error, DetrayError):
        found = Failure(type(error).__name__, str(error))
    else:  # whatever it is, the driver must name it
        message = f"a task failed: {type(error).__name__}: {first_line(error)}"
        found = Failure("DetrayError", message, traceback.format_exc())
    return b"-" + msgspec.json.encode(found)


def receipt(answer: bytes) -> Receipt:
    """The receipt of an answer; an error in it is raised."""
    if answer[:1] == b"+":
        return decode(answer[1:])
    found = msgspec.json.decode(answer[1:], type=Failure)
    error: DetrayError = getattr(errors, found.kind, DetrayError)(found.message)
    if found.traceback:
        error.add_note(found.traceback)
    raise error


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else ""
