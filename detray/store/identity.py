"""Who an output folder is: a random number that its first run gives it, and all its tables hold."""

import json
import uuid
from contextlib import suppress

from detray.store.store import Store

FILE = "run.json"


def run_id(store: Store) -> str:
    """The id of an output folder, made where it has none. The caller holds its lock."""
    found = store.read_bytes(FILE)
    if found is not None:
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(found)["run_id"])
    made = f"r{uuid.uuid4().hex[:11]}"  # begins with a letter, so that no reader of folder names takes it for a number
    store.write_bytes(json.dumps({"run_id": made}).encode(), FILE)
    return made


def forget(store: Store) -> None:
    """Have the next run give the folder a new id."""
    store.delete(FILE)
