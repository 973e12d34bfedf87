"""Where a stage runs: in this process while that is sooner than Ray would start, else on Ray."""

import os
from contextlib import ExitStack

from detray.cluster.settings import ClusterSettings
from detray.flow.executor import Executor, InProcess, cpus
from detray.store import Store
from detray.streams import diverted, last_words

RAY_START = 5.0
"""Seconds until a local Ray works: its processes, and the first imports of its workers (measured: 4 to 6)."""
RAY_SHARE = 0.75
"""What a CPU does on Ray of what it does alone in this process: rows cross files, and the driver takes a part.
Four million annotations take 9.6 s in one process and 12.0 s on Ray with two CPUs, of which 5 are its start."""

RAY_LOG = "logs/ray.log"
"""In the output folder: what Ray says of itself."""

ENDED = "the process was killed, or Ray on this machine died; the same command goes on where it stopped"


class Engine:
    """Chooses an executor for each stage. Ray is started when a stage first needs it, and then kept.

    A context manager; at its end a local Ray is gone. While there is one, what is written to this process's
    standard output and error goes to the file `RAY_LOG` of the output folder.
    """

    def __init__(self, settings: ClusterSettings, store: Store, *, serial: bool = False) -> None:
        """``serial``: never Ray; an address in the settings or ``RAY_ADDRESS``: always."""
        self._settings = settings
        self._store = store
        self._serial = serial
        self._stack = ExitStack()
        self._in_process = InProcess()
        self._ray: Executor | None = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def executor(self, work: float) -> Executor:
        """Who runs a stage.

        Args:
            work: what it would take one CPU of this process, s.
        """
        if self._serial:
            return self._in_process
        settings = self._settings
        is_asked = settings.address or os.environ.get("RAY_ADDRESS") or settings.gpus_per_actor
        if not is_asked and not self._pays(work):
            return self._in_process
        if self._ray is None:
            self._ray = self._start()
        return self._ray

    def _pays(self, work: float) -> bool:
        """Whether Ray on the CPUs of this machine would be done sooner."""
        start = RAY_START if self._ray is None else 1.0
        return start + work / max(RAY_SHARE * cpus(), 1.0) < work

    def _start(self) -> Executor:
        from detray.cluster.session import ray_session

        self._stack.enter_context(last_words(f"detray: {ENDED}, see {self._store.path(RAY_LOG)}"))
        self._stack.enter_context(diverted(self._store, RAY_LOG))
        own = self._stack.enter_context(ray_session(self._settings))
        from detray.cluster.ray_executor import RayExecutor

        return RayExecutor(own, self._settings.gpu_wait_seconds, self._settings.max_workers)
