"""Before the first task of a stage: whether each machine can do what the stage asks of it.

What one machine of many lacks shows otherwise as a wrong number, pictures that it cannot see as misses for instance,
or as tasks that are run again without end.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from time import time

from detray import __version__
from detray.errors import DetrayError, UsageError
from detray.files import open_file
from detray.flow.executor import Executor
from detray.remote import is_uri, opened
from detray.store import Store

TOKEN = b"detray"
CLOCK, ANSWERS = 60.0, 240.0
"""Seconds that clocks may be apart, and that a machine may take until it is asked."""
SHM, LEAST_SHM = "/dev/shm", 128 << 20  # noqa: S108 - nothing is written there
"""Docker's default is 64 MiB."""
GPU_SECONDS = 120
MOST_FOLDERS, MOST_ENTRIES = 64, 10_000
"""Below a stated folder, and of each, that are looked at for files to ask for."""
COUNT_GPUS = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"


@dataclass(frozen=True)
class Probe:
    """What a machine is asked for.

    Attributes:
        output: where it must write what others can read.
        files: that it must read, and their size in bytes.
        versions: that it must have.
        free_gib: that its disk must have for temporary files, and for results where these are on it.
        gpu: TensorFlow must see a GPU, if Ray says that there is one.
        uris: that it must find.
        asked: when, by the driver's clock, s since 1970.
    """

    output: Store
    files: Mapping[str, int]
    versions: Mapping[str, str]
    free_gib: float
    gpu: bool
    uris: tuple[str, ...] = ()
    asked: float = field(default_factory=time)


def probe_of(output: Store, paths: Sequence[str], *, free_gib: float, gpu: bool) -> Probe:
    """The probe of a stage that reads ``paths``: of a folder, a file in it and in each of some folders below."""
    files = [file for path in paths if not is_uri(path) for file in _some_files(path)]
    sizes = {file: Path(file).stat().st_size for file in files}
    return Probe(output, sizes, versions(), free_gib, gpu, tuple(path for path in paths if is_uri(path)))


def _some_files(path: str) -> list[str]:
    """``path``, or the first file of each of some folders from it down, since each may lie on another disk."""
    if Path(path).is_file():
        return [path]
    found, folders = [], [path]
    for folder in folders:  # which grows
        file = None
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in islice(entries, MOST_ENTRIES):  # there may be millions
                if entry.is_dir(follow_symlinks=False) and len(folders) < MOST_FOLDERS:
                    folders.append(entry.path)
                elif file is None and entry.is_file() and os.access(entry.path, os.R_OK):
                    file = entry.path
        found += [] if file is None else [file]
    return found


@cache
def versions() -> dict[str, str]:
    """Of what must be the same on all machines."""
    found = {"Python": platform.python_version(), "detray": __version__, "pyarrow": metadata.version("pyarrow")}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["ray"] = metadata.version("ray")
    return found


def check(probe: Probe, executor: Executor | None) -> None:
    """Try the probe on this machine, as far as it says anything here, and on all machines of a cluster.

    ``executor``: of the cluster; None: there is none, and that the output can be written the lock has shown.

    Raises:
        UsageError: naming the machine, what it lacks, and the mend.
        DetrayError: the output cannot be written.
    """
    if lack := low_disk(probe):
        raise UsageError(lack)
    if executor is None:
        return
    place = f"_probe-{uuid.uuid4().hex}"
    try:
        probe.output.write_bytes(TOKEN, place, "driver")
        for host, lack in executor.everywhere(partial(examine, probe, place)):
            if lack is not None:
                raise UsageError(f"machine {host}: {lack}")
    finally:
        probe.output.delete(place)


def examine(probe: Probe, place: str, has_gpu: bool) -> str | None:
    """What this machine lacks, and the mend; None where it lacks nothing.

    Args:
        probe: what is asked for.
        place: the folder in the output where the driver has left its token.
        has_gpu: whether Ray says so.
    """
    return (
        other_version(probe)
        or other_clock(probe)
        or low_disk(probe)
        or small_shm()
        or lost_file(probe)
        or lost_uri(probe)
        or lost_output(probe, place)
        or (no_gpu() if probe.gpu and has_gpu else None)
    )


def other_version(probe: Probe) -> str | None:
    """A version that is not the driver's."""
    for name, own in versions().items():
        if own != probe.versions[name]:
            return f"it has {name} {own}, this command {probe.versions[name]}; install the same on all machines"
    return None


def other_clock(probe: Probe) -> str | None:
    """A clock by which the lock and the state of a run, and signatures of requests, would be wrong."""
    late = time() - probe.asked
    if -CLOCK <= late <= CLOCK + ANSWERS:
        return None
    return f"its clock is {abs(late):,.0f} s {'ahead' if late > 0 else 'behind'}; set it by NTP"


def small_shm() -> str | None:
    """Too little shared memory for Ray's object store, which then goes to the disk."""
    size = shutil.disk_usage(SHM).total if Path(SHM).is_dir() else LEAST_SHM
    if size >= LEAST_SHM:
        return None
    return f"its {SHM} has {size >> 20} MiB, less than {LEAST_SHM >> 20}; start the container with --shm-size=8g"


def lost_uri(probe: Probe) -> str | None:
    """What the driver finds in an object store and this machine does not."""
    for uri in probe.uris:
        try:
            fs, place = opened(uri)
            is_there = fs.get_file_info(place).type.name != "NotFound"
        except (OSError, ValueError) as error:
            line = str(error).splitlines()[0]
            return f"{uri} cannot be read ({line}); give the machine a role or keys that may, and a way there"
        if not is_there:
            return f"{uri} is not there for it; give it the same AWS_ENDPOINT_URL and credentials"
    return None


def low_disk(probe: Probe) -> str | None:
    """A disk that is nearly full."""
    places = [tempfile.gettempdir(), *([probe.output.path()] if probe.output.is_local else [])]
    for place in places:
        there = next(path for path in (Path(place), *Path(place).parents) if path.exists())
        free = shutil.disk_usage(there).free / (1 << 30)
        if free < probe.free_gib:
            return (
                f"{place}: {free:.2f} GiB of the disk are free, less than cluster.min_free_gib ({probe.free_gib:g});"
                " free some space, or set it lower"
            )
    return None


def lost_file(probe: Probe) -> str | None:
    """A file that the driver has and this machine has not."""
    mend = "mount the data at the same place on all machines"
    for path, size in probe.files.items():
        try:
            with open_file(path) as stream:
                stream.read(1)
                own = os.fstat(stream.fileno()).st_size
        except OSError as error:
            return f"{path} cannot be read ({error.strerror}); {mend}"
        if own != size:
            return f"{path} is another file than here ({own:,} bytes instead of {size:,}); {mend}"
    return None


def lost_output(probe: Probe, place: str) -> str | None:
    """An output that is not the driver's, or that cannot be written."""
    output, own = probe.output, uuid.uuid4().hex
    try:
        if output.read_bytes(place, "driver") != TOKEN:
            return f"it does not see what is written to {output.root}; output must be shared by all machines, or a URI"
        output.write_bytes(TOKEN, place, own)
        if output.read_bytes(place, own) != TOKEN:
            return f"what it writes to {output.root} is not there afterwards; choose another --output"
    except DetrayError as error:
        return str(error)
    return None


def no_gpu() -> str | None:
    """A GPU that Ray knows and TensorFlow does not see. Asked in a process of its own, which gives its memory back."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    mend = "see that it is installed with CUDA and fits the driver, or set cluster.gpus_per_actor to 0"
    try:
        found = subprocess.run(  # noqa: S603 - this Python, and a constant
            [sys.executable, "-c", COUNT_GPUS],
            env=environment,
            capture_output=True,
            text=True,
            timeout=GPU_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"TensorFlow does not start within {GPU_SECONDS} s; {mend}"
    if found.returncode:
        return f"TensorFlow does not start ({(found.stderr.strip().splitlines() or ['no word'])[-1][:200]}); {mend}"
    return f"TensorFlow sees no GPU; {mend}" if found.stdout.split()[-1:] == ["0"] else None
