"""The steps that find annotations which share an id, wherever they lie, as pycocotools keys boxes by it."""

from collections.abc import Sequence

import pyarrow as pa

from detray.evaluate.shard.repeated_ids import judged, last_of_repeated
from detray.evaluate.steps import Work
from detray.flow.exchange import Bucket
from detray.flow.flow import Flow
from detray.flow.kept import Kept
from detray.flow.step import Keep, NoFacts, Output, Step, Tables
from detray.store import ShardKey

BUCKETS = 16


def read_ids(work: Work, key: ShardKey) -> Tables:
    """The annotations of a shard, as matching reads them, and what tells whether pycocotools loads them."""
    columns = ["split", "source_file", *work.columns()["annotations"]]
    shard = work.data.read_shard(key, columns={"images": ["image_id"], "annotations": columns})
    return {"annotations": shard.annotations, "images": shard.images, "categories": shard.categories}


def keep_ids(work: Work, key: ShardKey, rows: Tables) -> Output[NoFacts]:
    """Send each annotation to the bucket of its id."""
    return Output(NoFacts(), kept={"ids": judged(rows["annotations"], rows["images"], rows["categories"])})


def find_repeated(work: Work, bucket: Bucket) -> Output[NoFacts]:
    """What stands in the place of the annotations of a bucket that share their ids."""
    rows = pa.concat_tables([rows for _, rows in bucket.of("ids")], promote_options="default")
    return Output(NoFacts(), kept={"repeated": last_of_repeated(rows)})


IDS: Step[Work, ShardKey, NoFacts] = Step(
    "ids", keep_ids, NoFacts, (Keep("ids", by="annotation_id"),), read_ids, label="find ids", streams=True
)
REPEATED: Step[Work, Bucket, NoFacts] = Step("repeated", find_repeated, NoFacts, (Keep("repeated"),))


def repeated_ids(flow: Flow, work: Work, keys: Sequence[ShardKey]) -> tuple[Kept, ...]:
    """What stands in the place of annotations that share their ids, in all splits."""
    buckets = min(len(keys), BUCKETS)
    ids = flow.map(IDS, work, {key.name: key for key in keys}, buckets=buckets)
    found = flow.exchange(REPEATED, work, {"ids": list(ids.kept("ids").items())}, buckets)
    return tuple(result["repeated"] for result in found.values())
