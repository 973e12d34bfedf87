"""What the tests of formats share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import read_whole

from detray.formats.chunk import Chunk
from detray.formats.source import Source


@pytest.fixture
def read_source() -> Callable[[Source], Chunk]:
    """All chunks of a split as one."""
    return read_whole


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
