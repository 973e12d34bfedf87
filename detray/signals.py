"""How a command ends that is told to: SIGTERM, as a cluster or an init system sends it, is an interrupt."""

import signal


class Termination:
    """SIGTERM interrupts the main thread as Ctrl-C does, so that whatever is open is closed.

    Attributes:
        came: whether that has happened. Ray raises an interrupt anew, so that none can be told from another.
    """

    def __init__(self) -> None:
        self.came = False

    def listen(self) -> None:
        """From now on; in the main thread only. Ctrl-C interrupts, where it does anything."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another one would cut short what is being closed
        self.came = True
        raise KeyboardInterrupt


def interrupt_within(error: BaseException) -> KeyboardInterrupt | SystemExit | None:
    """The interrupt that an error was made of: Python wraps what is raised while a class sets its names."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, (KeyboardInterrupt, SystemExit)):
            return at
        seen.add(id(at))
        at = at.__cause__
    return None
