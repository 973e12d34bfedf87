"""Data in memory is read by range and by piece: every row of an image once, whatever the cut."""

import pyarrow as pa
import pytest

from detray import schema
from detray.flow import pieces
from detray.flow.data import MemoryData, cut
from detray.tables import Shard


def shard(ids: list[int | None], predicted: list[int]) -> Shard:
    """A split of eight images, with annotations and predictions of the images ``ids`` and ``predicted``."""
    rows = {
        "images": [{"split": "val", "image_id": number, "file_name": f"{number}.jpg"} for number in range(8)],
        "annotations": [
            {"split": "val", "image_id": image, "annotation_id": row, "is_crowd": False, "is_difficult": False}
            for row, image in enumerate(ids)
        ],
        "predictions": [
            {"split": "val", "model": "a", "image_id": image, "category_id": 1, "score": 0.5, "rank": row + 1}
            for row, image in enumerate(predicted)
        ],
    }
    tables = {name: schema.from_rows(name, part, run="t") for name, part in rows.items()}
    return Shard("val", categories=schema.empty("categories"), **tables)


@pytest.mark.parametrize("n_shards", [1, 3, 8])
@pytest.mark.parametrize("piece_rows", [1, 3, 100])
def test_pieces_hold_every_row_once(n_shards: int, piece_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_ROWS", piece_rows)
    annotated, predicted = [None, -3, 0, 0, 2, 5, 7, 99], [-1, 0, 1, 1, 4, 7, 7, 50]
    data = MemoryData(cut(shard(annotated, predicted), n_shards))
    assert data.files("predictions", "predict") == [{"file": "predictions", "rows": 8, "number": 0, "of": "val"}]
    found = pieces.cut(data.shards(), 8)
    assert len(found) >= n_shards
    columns = {"annotations": ["image_id", "annotation_id"], "images": ["image_id"]}
    read = [piece.read(data, columns) for piece in found]
    annotations = pa.concat_tables([part.annotations for part in read])
    assert annotations.column_names == columns["annotations"]
    assert sorted(annotations["annotation_id"].to_pylist()) == list(range(8))
    assert [number for part in read for number in part.images["image_id"].to_pylist()] == list(range(8))
    ranges = [data.read_range("predictions", piece.key(data), ["rank"]) for piece in found]
    assert sorted(rank for rows in ranges for rank in rows["rank"].to_pylist()) == list(range(1, 9))
    assert {rows.schema.names[0] for rows in ranges} == {"rank"}
