"""Reading a split whole, as ingest does chunk by chunk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from detray.formats.catalogue import by_name
from detray.formats.chunk import Chunk
from detray.formats.json_rows import WrongCut
from detray.formats.source import Source

Read = Callable[[Source], Chunk]


@pytest.fixture
def read_source() -> Read:
    """All chunks of a split as one; positions in lists are not counted through."""

    def read(source: Source) -> Chunk:
        try:
            return _read(source, exact=False)
        except WrongCut:
            return _read(source, exact=True)

    return read


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


@pytest.fixture
def coco_file(tmp_path: Path) -> Callable[..., str]:
    """Write a COCO file from its lists, or from raw text of them."""

    def write(images: Any = (), annotations: Any = (), categories: Any = (), **more: Any) -> str:
        def text(value: Any) -> str:
            return value if isinstance(value, str) else json.dumps(value)

        lists = {"images": list(images) if not isinstance(images, str) else images,
                 "annotations": list(annotations) if not isinstance(annotations, str) else annotations,
                 "categories": list(categories) if not isinstance(categories, str) else categories} | more  # fmt: skip
        path = tmp_path / "coco.json"
        path.write_text("{" + ", ".join(f'"{name}": {text(value)}' for name, value in lists.items()) + "}", "utf-8")
        return str(path)

    return write
