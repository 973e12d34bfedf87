"""The output folder: Parquet parts that become visible all at once, stage by stage."""

from detray.store.identity import run_id
from detray.store.integrity import Stored
from detray.store.lock import Lock
from detray.store.manifest import MANIFEST, Json
from detray.store.parts import Part
from detray.store.shards import ShardKey, absolute
from detray.store.stage import PARTIAL, Stage
from detray.store.store import Store

__all__ = ["MANIFEST", "PARTIAL", "Json", "Lock", "Part", "ShardKey", "Stage", "Store", "Stored", "absolute", "run_id"]
