"""Two hosts on one machine: Linux namespaces with an address, a name, processes and mounts of their own.

They share the files of the machine, but for what is mounted within one of them.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import heads

NETWORK = "10.231.7"
_TOOLS = ("unshare", "nsenter", "ip", "mount", "mkfs.ext4", "setpriv")
_GROUP = "12345"
WITH_RESERVE = ("setpriv", f"--groups={_GROUP}")
"""What comes behind may use what a disk of `small_disk` reserves: it writes on where others find it full."""


def lacking() -> str | None:
    """Why there can be no such hosts here; None if there can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} on this machine (Debian: util-linux, iproute2, mount, e2fsprogs)"
    command = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "true"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"no namespaces without root ({made.stderr.strip()})" if made.returncode else None


@dataclass
class Host:
    """A host; ``holder`` keeps its namespaces, and all its processes end with it."""

    name: str
    address: str
    holder: subprocess.Popen[bytes]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def _within(self, command: Sequence[str | Path]) -> list[str]:
        first = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()[0]
        return ["nsenter", "-t", first, "-n", "-m", "-u", "-p", "--", *map(str, command)]

    def run(self, *command: str | Path, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._within(command),
            capture_output=True,
            text=True,
            env=heads.environment() | environment,
            timeout=timeout,
            check=False,
        )

    def do(self, *command: str | Path) -> None:
        """A command that must succeed."""
        done = self.run(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def start(self, log: Path, *command: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """A command that goes on, until it ends or the host does."""
        with log.open("w") as output:
            process = subprocess.Popen(
                self._within(command), env=heads.environment() | environment, stdout=output, stderr=output
            )
        self.started.append(process)
        return process

    def hide(self, folder: Path) -> None:
        """Nothing is in a folder any more, on this host alone."""
        self.do("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)

    def show(self, folder: Path) -> None:
        self.do("umount", folder)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Hosts that reach each other and nothing else."""
    with ExitStack() as stack:
        pair = tuple(
            stack.enter_context(_host(f"host-{letter}", f"{NETWORK}.{n}")) for n, letter in ((1, "a"), (2, "b"))
        )
        inner = [f"detray{os.getpid() % 10_000}{letter}" for letter in "ab"]
        subprocess.run(
            ["ip", "link", "add", inner[0], "netns", str(pair[0].holder.pid), "type", "veth",
             "peer", "name", inner[1], "netns", str(pair[1].holder.pid)],
            check=True,
        )  # fmt: skip
        for host, link in zip(pair, inner, strict=True):
            host.do("ip", "link", "set", "lo", "up")
            host.do("ip", "address", "add", f"{host.address}/24", "dev", link)
            host.do("ip", "link", "set", link, "up")
        yield pair[0], pair[1]


@contextmanager
def bridge() -> Iterator[str]:
    """A bridge that `hosts_on` joins, with the address that this machine has on it."""
    name, address = f"dtr{os.getpid() % 100_000}", f"{NETWORK}.254"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"{address}/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


@contextmanager
def host_on(network: str, number: int) -> Iterator[Host]:
    """A host on a bridge, with a /dev/shm and a cache of its own."""
    name = f"host-{'abcdefgh'[number - 1]}"
    with _host(name, f"{NETWORK}.{number}") as host:
        outer = f"{network}{name[-1]}{os.urandom(1).hex()}"[:15]
        subprocess.run(
            ["ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", str(host.holder.pid)],
            check=True,
        )
        subprocess.run(["ip", "link", "set", outer, "master", network, "up"], check=True)
        host.do("ip", "link", "set", "lo", "up")
        host.do("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.do("ip", "link", "set", "eth0", "up")
        host.do("mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", "/dev/shm")  # noqa: S108
        yield host


@contextmanager
def _host(name: str, address: str) -> Iterator[Host]:
    spaces = [
        "--net",
        "--mount",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]
    holder = subprocess.Popen(["unshare", *spaces, "sleep", "infinity"])
    host = Host(name, address, holder)
    try:
        deadline = time.monotonic() + 10
        while not Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        host.do("hostname", name)
        yield host
    finally:
        holder.kill()
        holder.wait(10)
        for process in host.started:
            process.wait(30)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of some MiB at a folder, for hosts that start later, of which half is reserved."""
    image = folder.with_name(f"{folder.name}.img")
    image.write_bytes(b"")
    os.truncate(image, 48 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "50", image], check=True)
    subprocess.run(["mount", "-o", f"loop,resuid=4294967294,resgid={_GROUP}", image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, *within: str, but: int = 0) -> None:
    """Fill a disk to its reserve, or what runs ``within`` may use of it, but for some blocks."""
    line = "head -c 100M /dev/zero > full; n=0; while head -c 4096 /dev/zero > full$n; do n=$((n+1)); done"
    subprocess.run([*within, "sh", "-c", line], cwd=folder, stderr=subprocess.DEVNULL, check=False)
    with (folder / "full").open("r+b") as file:
        file.truncate(max(0, (folder / "full").stat().st_size - 4096 * but))


@contextmanager
def ray_on(hosts: tuple[Host, Host], *, cpus: int = 1) -> Iterator[str]:
    """Ray on two hosts; its address. The first may use the reserve of a disk."""
    folder = ray_folder()
    address = f"{hosts[0].address}:6379"
    try:
        for host, within in zip(hosts, (WITH_RESERVE, ()), strict=True):
            start_ray(host, folder, address, *within, cpus=cpus)
        yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ray_folder() -> Path:
    """A folder for what Ray keeps on each host."""
    folder = Path(tempfile.mkdtemp(prefix="detray-ray-"))  # short: sockets lie below it
    (folder / "logs").mkdir()
    (folder / "t").mkdir()
    return folder


def start_ray(
    host: Host, folder: Path, address: str, *within: str, cpus: int = 1, **environment: str
) -> subprocess.Popen[bytes]:
    """Start Ray on a host: the head's, if ``address`` is its own."""
    is_head = address.startswith(f"{host.address}:")
    of = ["--head", "--port=6379", "--include-dashboard=false"] if is_head else [f"--address={address}"]
    about = [f"--num-cpus={cpus}", "--object-store-memory=100000000", "--block", f"--temp-dir={folder / 't'}"]
    host.do("mount", "-t", "tmpfs", "tmpfs", folder / "t")  # each its own, by one name
    log = folder / "logs" / f"{host.name}-{host.holder.pid}"
    own = f"--node-ip-address={host.address}"
    process = host.start(log, *within, heads.BIN / "ray", "start", own, *of, *about, **environment)
    deadline = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return process
