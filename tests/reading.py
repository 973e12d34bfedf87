"""Reading a split whole, as ingest does chunk by chunk."""

import pyarrow as pa
import pyarrow.compute as pc

from detray.formats.catalogue import by_name
from detray.formats.chunk import Chunk
from detray.formats.json.rows import WrongCut
from detray.formats.source import Source


def read_whole(source: Source) -> Chunk:
    """All chunks of a split as one; positions in lists are not counted through."""
    try:
        return _read(source, exact=False)
    except WrongCut:
        return _read(source, exact=True)


def _read(source: Source, *, exact: bool) -> Chunk:
    reader = by_name(source.format)
    plan = reader.plan(source, exact=exact)
    numbers = sorted(set(plan["chunk"].to_pylist()))
    assert numbers == list(range(len(numbers)))
    chunks = [reader.read(source, plan.filter(pc.equal(plan["chunk"], number)), exact=exact) for number in numbers]
    tables = {
        name: pa.concat_tables([getattr(Chunk(), name), *(getattr(found, name) for found in chunks)])
        for name in ("images", "annotations", "categories", "quarantine")
    }
    return Chunk(**tables)
