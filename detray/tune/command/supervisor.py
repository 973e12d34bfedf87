"""Runs a program in a process group and ends the whole group with it, or once whoever started this is gone.

Started as ``python -I -S supervisor.py STATUS GRACE PROGRAM ...`` as the leader of a session of its own: while its
standard input is open, somebody waits. It is closed by who stops the program, and by the kernel when that process is
killed, so that no training is left behind that writes into a folder of a later one. ``STATUS`` is a file descriptor to
which the program's return code is written, and which stays open until this process ends. Only the standard library is
needed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

LINGER = 0.1
"""Seconds that what a program leaves behind has to end."""


def main() -> None:
    """Run the program."""
    status, grace = int(sys.argv[1]), float(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: None)  # meant for the others of the group; not inherited, as ignoring is
    signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=_watch, args=(grace,), daemon=True).start()
    try:
        code = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL).wait()  # noqa: S603 - the user's own program
    except OSError as error:
        print(f"{sys.argv[3]}: {error.strerror}", flush=True)
        code = 127
    with contextlib.suppress(BrokenPipeError):
        os.write(status, str(code).encode())
    os.killpg(0, signal.SIGTERM)
    time.sleep(LINGER)
    os.killpg(0, signal.SIGKILL)


def _watch(grace: float) -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(grace)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
