"""Joining a Ray cluster, or starting a quiet local one that is gone afterwards."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from detray.cluster.address import no_cluster, require_answer
from detray.cluster.settings import ClusterSettings
from detray.errors import DetrayError

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
    address = settings.address or os.environ.get("RAY_ADDRESS")
    is_local = not address or address == LOCAL
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield False
        return
    with _local() if is_local else _joined(str(address)):
        yield is_local


@contextmanager
def _joined(address: str) -> Iterator[None]:
    try:
        require_answer(_resolved(address))  # Ray waits minutes where nobody does
        _init(address=address)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise no_cluster(address, _reason(error)) from None
    try:
        yield
    finally:
        _shutdown()


def _resolved(address: str) -> str:
    """What ``auto`` stands for on this machine."""
    if address != "auto":
        return address
    from ray._private.services import get_ray_address_from_environment

    return get_ray_address_from_environment(address, None) or address


@contextmanager
def _local() -> Iterator[None]:
    for name, size in KEPT_MEMORY.items():
        os.environ.setdefault(name, str(size))
    if "RAY_AUTH_MODE" not in os.environ:  # else Ray writes one to the home folder, for this and all later clusters
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    folder = tempfile.mkdtemp(prefix="detray-")  # short: Unix socket paths hold 107 bytes
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder  # what workers leave when they are killed is gone with it
    try:
        try:
            _init(
                address="local",
                num_cpus=_cores() + SPARE_CPUS,
                object_store_memory=LOCAL_OBJECT_STORE,
                include_dashboard=False,
                _temp_dir=folder,
            )
        except Exception as error:  # Ray raises a bare one where a node does not come up in time
            raise DetrayError(f"the local Ray does not start ({_reason(error)}); --serial works without Ray") from None
        yield
    finally:
        _shutdown()
        del os.environ["TMPDIR"]
        os.environ.update({"TMPDIR": before} if before is not None else {})
        shutil.rmtree(folder, ignore_errors=True)


def _init(**options: Any) -> None:
    """Ray answers SIGTERM in its own way, from its start on: that is taken back."""
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _shutdown() -> None:
    import ray

    ray.shutdown()


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
