"""The table of classes: one name for each, as people call it."""

from pathlib import Path

import pyarrow as pa
import pytest

from detray.formats import chunk
from detray.formats.classes import categories_table, number_names
from detray.formats.label_map import read_label_map


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("class-descriptions.csv", "/m/01g317,Person\n/m/0k4j,Car\n/m/015p6,Bird\n"),
        ("map.pbtxt", "\n".join(f"item {{ id: {n} name: '{m}' display_name: '{w}' }}" for n, (m, w) in enumerate(
            [("/m/01g317", "Person"), ("/m/0k4j", "Car"), ("/m/015p6", "Bird")], 1))),
    ],
)  # fmt: skip
def test_machine_ids_are_called_by_their_words(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    label_map = read_label_map(tmp_path / file)
    stated = pa.Table.from_pylist(
        [{"category_name": name} for name in ("/m/0k4j", "/m/01g317", "/m/x")], chunk.CATEGORIES
    )
    ids = number_names(stated["category_name"].to_pylist(), label_map)
    assert ids == {"/m/01g317": 1, "/m/0k4j": 2, "/m/x": 4}
    found = categories_table({"val": stated}, ids, label_map, "run").to_pylist()
    assert {(row["source"], row["category_id"], row["category_name"]) for row in found} == {
        ("annotations", 1, "Person"), ("annotations", 2, "Car"), ("annotations", 4, "/m/x"),
        ("label_map", 1, "Person"), ("label_map", 2, "Car"), ("label_map", 3, "Bird"),
    }  # fmt: skip
