"""A flow in memory: tables in, tables out, no file and no Ray."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from detray.flow.data import Data
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import MemoryKeeper
from detray.flow.outcome import Outcome


@dataclass(frozen=True)
class InMemoryRun:
    """What a flow came to in memory: what it says of itself, its tables, and its further files."""

    outcome: Outcome
    tables: dict[str, pa.Table]
    files: dict[str, bytes]


def run_in_memory(flow: Callable[..., Outcome], data: Data, *arguments: Any, tables: tuple[str, ...]) -> InMemoryRun:
    """Run ``flow(Flow, *arguments)`` on ``data``: the shipped steps, task after task.

    Args:
        flow: a capability's flow.
        data: what it reads.
        arguments: what it is given beside.
        tables: those of its stage, which are there without rows too.
    """
    keeper = MemoryKeeper()
    outcome = flow(Flow(data, keeper, InProcess(threads=1)), *arguments)
    return InMemoryRun(outcome, keeper.tables(*tables), keeper.files)
