"""The process's standard output and error, as libraries in C++ see them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from detray.store import Store


@contextmanager
def last_words(sentence: str) -> Iterator[None]:
    """Say ``sentence`` on standard error if this process ends within the block, by whatever ends it without a word.

    Ray's core is such: it ends the process where Ray's own processes on its machine have died. A shell waits for
    the end of a pipe that only this process holds.
    """
    line = 'read -r word || printf "%s\\n" "$1" >&2'
    command = ["/bin/sh", "-c", line, "sh", sentence]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as watcher:  # noqa: S603 - constant
        try:
            yield
        finally:
            watcher.communicate(b"left\n")


@contextmanager
def diverted(store: Store, name: str) -> Iterator[None]:
    """Send what is written to file descriptors 1 and 2 to the file ``name`` of ``store`` for the block.

    The file is added to; on an object store it is written at the end of the block.
    """
    with ExitStack() as stack:
        if store.is_local:
            path = Path(store.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            file: BinaryIO = stack.enter_context(path.open("ab"))
        else:
            file = stack.enter_context(tempfile.TemporaryFile())
        kept = [(number, os.dup(number)) for number in (1, 2)]
        _flush()
        try:
            for number, _ in kept:
                os.dup2(file.fileno(), number)
            yield
        finally:
            _flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
            if not store.is_local:
                file.seek(0)
                store.write_bytes(file.read(), *name.split("/"))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
