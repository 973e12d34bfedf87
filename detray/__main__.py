"""The process of one command: ``detray``, and ``python -m detray``."""

import signal
import sys


def main() -> int:
    """Run the command that the arguments of the process state; the exit code.

    While it is still being imported an interrupt ends it without a word: nothing has begun.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as by nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from detray.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
