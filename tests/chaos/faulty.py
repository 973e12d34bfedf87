"""detray with reads that fail or are slow: what `chaos` starts for the fault 'bad reads'.

``CHAOS_FAILING`` is the share of reads of the output folder and of annotation files that end with an input/output
error, ``CHAOS_SLOW`` the seconds that each takes longer at most, ``CHAOS_SEED`` what they are drawn by.
"""

import errno
import os
import random
import sys
import time
from typing import Any

from detray.cli import main
from detray.store import Store

RNG = random.Random(os.environ["CHAOS_SEED"])
FAILING, SLOW = float(os.environ["CHAOS_FAILING"]), float(os.environ["CHAOS_SLOW"])


def disturbed(name: str) -> None:
    """Make a method of `Store` fail and wait at random."""
    whole = getattr(Store, name)

    def method(self: Store, *args: Any, **kwargs: Any) -> Any:
        time.sleep(RNG.uniform(0, SLOW))
        if RNG.random() < FAILING:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(self, *args, **kwargs)

    setattr(Store, name, method)


for method in ("read_files", "read_range"):
    disturbed(method)
sys.exit(main())
