"""The errors a user sees: one sentence that names the file, the place and the mend.

They cross process boundaries by pickle, so they carry their sentence in ``args`` and nothing else.
"""


class DetrayError(Exception):
    """Something failed after work had started; the command ends with exit code 3."""

    exit_code = 3


class HostError(DetrayError):
    """The machine that a task ran on refused something (a full disk, a folder that is not there): another may not."""


class UsageError(DetrayError):
    """Something was wrong that can be known before work starts; exit code 2.

    Usage, configuration, or a path that is not there.
    """

    exit_code = 2


class DamagedError(DetrayError):
    """What lies in an output folder is not as it was written: its stage is to be run again.

    The sentence begins with the file, and its mend follows the last semicolon.
    """


def reason(error: DamagedError) -> str:
    """The sentence without the mend."""
    return str(error).rpartition("; ")[0]
