"""Joining a Ray cluster, or starting a quiet local one that is gone afterwards."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detray.cluster.settings import ClusterSettings
from detray.errors import DetrayError, UsageError

LOCAL_OBJECT_STORE = 200 * 1024**2
"""Bytes: tasks exchange receipts of a few hundred bytes, rows go through Parquet."""

SPARE_CPUS = 1
"""Logical CPUs beyond the machine's: Ray Data's reads need one while actors hold all the others,
or everything waits for ever."""

LOCAL = "local"
"""An address: a Ray of our own on this machine, as without one, but whatever the size of the work."""

KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": 32 << 20, "MALLOC_TRIM_THRESHOLD_": 256 << 20}
"""Bytes, for glibc: a worker keeps what it frees for its next task, for which new pages would cost it time."""


@contextmanager
def ray_session(settings: ClusterSettings) -> Iterator[bool]:
    """Ray, initialised: the cluster of ``settings.address`` or ``RAY_ADDRESS``, else a local one.

    A session that is open already is used and left open. A local one has its own temporary folder
    and is shut down at the end. Yields whether it is a local one.

    Raises:
        UsageError: the cluster cannot be reached.
        DetrayError: the local Ray does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray packs the working directory into every worker under these launchers, and reinstalls there
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray's C++ side tells of its own internals on the user's terminal
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield False
        return
    address = settings.address or os.environ.get("RAY_ADDRESS")
    if address and address != LOCAL:
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UsageError(
                f"no Ray cluster answers at {address} ({reason}); check --address and RAY_ADDRESS"
            ) from None
        try:
            yield False
        finally:
            ray.shutdown()
        return
    for name, size in KEPT_MEMORY.items():
        os.environ.setdefault(name, str(size))
    folder = tempfile.mkdtemp(prefix="detray-")  # short: Unix socket paths hold 107 bytes
    try:
        try:
            with _native_stderr(Path(folder, "start.log")):
                ray.init(
                    address="local",
                    num_cpus=_cores() + SPARE_CPUS,
                    object_store_memory=LOCAL_OBJECT_STORE,
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    _temp_dir=folder,
                )
        except (OSError, ValueError, RuntimeError, ConnectionError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DetrayError(f"the local Ray does not start ({reason}); --serial works without Ray") from None
        yield True
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _native_stderr(file: Path) -> Iterator[None]:
    """Send what is written to the process's standard error, by C++ too, to ``file`` for the block."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with file.open("wb") as target:
            os.dup2(target.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
