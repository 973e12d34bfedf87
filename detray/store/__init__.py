"""The output folder: Parquet parts that become visible all at once, stage by stage."""

from detray.store.parts import Part
from detray.store.shards import ShardKey, absolute
from detray.store.stage import PARTIAL, Stage
from detray.store.store import MANIFEST, Json, Store

__all__ = ["MANIFEST", "PARTIAL", "Json", "Part", "ShardKey", "Stage", "Store", "absolute"]
