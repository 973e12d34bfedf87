"""detray with reads that fail or are slow: what `chaos` starts for the fault 'bad reads'.

``CHAOS_FAILING`` is the share of reads of tables in the output folder that end with an input/output error,
``CHAOS_SLOW`` the seconds that each takes longer at most, ``CHAOS_SEED`` what they are drawn by.
"""

import errno
import os
import random
import sys
import time
from typing import Any

import pyarrow.parquet as pq

from detray.cli import main

RNG = random.Random(os.environ["CHAOS_SEED"])
FAILING, SLOW = float(os.environ["CHAOS_FAILING"]), float(os.environ["CHAOS_SLOW"])
whole = pq.read_table


def disturbed(*args: Any, **kwargs: Any) -> Any:
    """Read a table, after a while, or not at all."""
    time.sleep(RNG.uniform(0, SLOW))
    if RNG.random() < FAILING:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return whole(*args, **kwargs)


pq.read_table = disturbed
sys.exit(main())
