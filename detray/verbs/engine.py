"""Where a stage runs: in this process while that is sooner than Ray would start, else on Ray."""

import os
from collections.abc import Callable
from contextlib import ExitStack

from detray import extras
from detray.cluster.settings import ClusterSettings
from detray.flow.executor import Executor, InProcess, cpus
from detray.store import Store
from detray.streams import diverted, last_words

RAY_START = 5.0
"""Seconds until a local Ray works: its processes, and the first imports of its workers (measured: 4 to 6)."""
RAY_SHARE = 0.75
"""What a CPU does on Ray of what it does alone in this process: rows cross files, and the driver takes a part.
Four million annotations take 9.6 s in one process and 12.0 s on Ray with two CPUs, of which 5 are its start."""

INSTALL = extras.install(["ray"])

RAY_LOG = "logs/ray.log"
"""In the output folder: what Ray says of itself."""

ENDED = "the process was killed, or Ray on this machine died; the same command goes on where it stopped"


class Engine:
    """Chooses an executor for each stage. Ray is started when a stage first needs it, and then kept.

    A context manager; at its end a local Ray is gone. While there is one, what is written to this process's
    standard output and error goes to the file `RAY_LOG` of the output folder.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        store: Store,
        *,
        serial: bool = False,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``serial``: never Ray; an address in the settings or ``RAY_ADDRESS``: always; ``note``: for the person who
        waits."""
        self._settings = settings
        self._store = store
        self._serial = serial
        self._stack = ExitStack()
        self._in_process = InProcess()
        self._ray: Executor | None = None
        self._note = note
        self._has_told = False

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def executor(self, work: float) -> Executor:
        """Who runs a stage.

        Args:
            work: what it would take one CPU of this process, s.

        Raises:
            UsageError: Ray is asked for, and not installed.
        """
        if self._serial:
            return self._in_process
        settings = self._settings
        is_asked = settings.address or os.environ.get("RAY_ADDRESS") or settings.gpus_per_actor
        if is_asked:
            extras.require({"cluster.gpus_per_actor" if settings.gpus_per_actor else "--address": ["ray"]})
        elif not self._pays(work) or not self._has_ray():
            return self._in_process
        if self._ray is None:
            self._ray = self._start()
        return self._ray

    def _pays(self, work: float) -> bool:
        """Whether Ray on the CPUs of this machine would be done sooner."""
        start = RAY_START if self._ray is None else 1.0
        return start + work / max(RAY_SHARE * cpus(), 1.0) < work

    def _has_ray(self) -> bool:
        """Whether Ray is installed; where it is not, that is said once."""
        if not extras.is_installed("ray") and not self._has_told:
            self._note(f"one process does it: Ray, which is worth its start here, is not installed ({INSTALL})")
            self._has_told = True
        return extras.is_installed("ray")

    def _start(self) -> Executor:
        from detray.cluster.session import ray_session

        self._stack.enter_context(last_words(f"detray: {ENDED}, see {self._store.path(RAY_LOG)}"))
        self._stack.enter_context(diverted(self._store, RAY_LOG))
        own = self._stack.enter_context(ray_session(self._settings))
        from detray.cluster.ray_executor import RayExecutor

        return RayExecutor(own, self._settings.gpu_wait_seconds, self._settings.max_workers)
