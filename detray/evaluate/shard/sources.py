"""Records that the TF Object Detection API's evaluators take for one image: they key images by ``image/source_id``."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

SOURCES = pa.schema([("source", pa.int64())])
_KEY = "image/source_id"


def source_hashes(images: pa.Table) -> pa.Table:
    """A number for the source_id of each image; records without one have the same."""
    texts = [json.loads(text).get(_KEY, "") if text else "" for text in images["attributes"].to_pylist()]
    numbers = [int.from_bytes(hashlib.blake2b(str(text).encode(), digest_size=8).digest()) >> 1 for text in texts]
    return pa.table({"source": pa.array(numbers, pa.int64())}, schema=SOURCES)


def told_sources(split: str, hashes: Sequence[pa.Table]) -> list[str]:
    """What to say where records share their source_id."""
    numbers = np.concatenate([part["source"].to_numpy() for part in hashes] or [np.empty(0, np.int64)])
    distinct, counts = np.unique(numbers, return_counts=True)
    shared = int(counts[counts > 1].sum())
    if not shared:
        return []
    return [
        f"{split}: {shared:,} of {len(numbers):,} records share their image/source_id: the TF Object Detection API's"
        f" evaluators key images by it and take all records for {len(distinct):,}; give each record its own"
    ]
