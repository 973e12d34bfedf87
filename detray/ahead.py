"""Working ahead: threads prepare the next items while the current one is used."""

import contextlib
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import get_native_id
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

YIELDS = 10
"""By how much threads that yield are nicer than the one that started them."""


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, depth: int, yields: bool = False
) -> Generator[Result]:
    """``function`` of each item, in order, with at most ``depth`` results waiting.

    An exception of ``function`` is raised where its result was due. With ``yields`` its threads leave the CPU to the
    thread that uses the results, where that is what all wait for.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, initializer=_yield if yields else None) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _yield() -> None:
    """On Linux alone a thread has a priority of its own."""
    if sys.platform == "linux":
        own = get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, own, min(os.getpriority(os.PRIO_PROCESS, own) + YIELDS, 19))
