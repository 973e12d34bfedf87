"""TensorFlow and Keras, set up the same way in every process that runs a detector."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any

from detray.errors import DetrayError
from detray.extras import NETWORK, require
from detray.flow.executor import cpus

THREADS = 1
"""Intra-op threads of a process: several processes of one thread beat one of several, and one thread
adds up floats in one order, so that the same settings give the same model."""


def threads_at_hand() -> int:
    """Threads that this process may keep busy: ``OMP_NUM_THREADS``, by which Ray tells its workers how many CPUs a task
    of theirs holds; else the CPUs of the process."""
    stated = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(stated) if stated.isdecimal() and int(stated) else cpus()


def tensorflow() -> tuple[Any, Any]:
    """The modules ``tensorflow`` and ``keras``, imported once and limited to `THREADS`.

    Raises:
        UsageError: one of them is not installed.
        DetrayError: Keras already runs on another backend in this process.
    """
    require({"the detector": NETWORK})
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with nullcontext() if "tensorflow" in sys.modules else greeting_dropped():
        import keras
        import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise DetrayError(
            f"Keras runs on {keras.backend.backend()} in this process; detray needs TensorFlow: unset KERAS_BACKEND"
        )
    try:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError:
        pass  # the runtime already runs, with what the first call set
    return tf, keras


@contextmanager
def greeting_dropped() -> Iterator[None]:
    """Drop what a library writes to standard error from C++ when it starts, whatever its log level."""
    with _dropping:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


_dropping = Lock()
"""Two threads at once would leave standard error dropped."""
