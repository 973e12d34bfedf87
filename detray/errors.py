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
