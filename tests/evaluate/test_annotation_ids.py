"""Ids of annotations that make pycocotools give other numbers are said."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from detray.evaluate.shard.annotation_ids import count_ids, told


def _said(*parts: Sequence[int | None]) -> list[str]:
    return told("val", [count_ids(pa.table({"annotation_id": pa.array(ids, pa.int64())})) for ids in parts])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([[1, 2, 3, 1, 2, 3]], "val: 6 annotations share their ids with others; pycocotools"),
        ([[1, 2, 3], [1, 2, 3]], "val: 3 annotations share their ids"),
        ([[0, 1, 2]], "val: 1 annotation has the id 0; pycocotools"),
        ([[0, 1, 1]], "val: 2 annotations share their ids with others and 1 annotation has the id 0"),
    ],
)
def test_ids_that_are_shared_or_zero_are_counted(parts: list[list[int]], words: str) -> None:
    [line] = _said(*parts)
    assert line.startswith(words)


@pytest.mark.parametrize("parts", [[[1, 2, 3], [4, 9]], [[None, None]], [[]], [[3, 1, 2]]])
def test_ids_of_their_own_are_not_mentioned(parts: list[list[int | None]]) -> None:
    assert _said(*parts) == []
