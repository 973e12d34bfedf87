"""``detray sql`` and ``views.sql``: all runs below a folder, with joins ready."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from detray import cli, extras, schema


def detray(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs below a folder whose name wants quoting."""
    place = tmp_path_factory.mktemp("sql")
    boxes = [[10 * i, 10, 30, 40] for i in range(6)]
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i + 1, "image_id": 1 + i % 3, "category_id": 1 + i % 2, "bbox": box, "area": 1200, "iscrowd": 0}
            for i, box in enumerate(boxes)
        ],
    }
    detections = [
        {"image_id": 1 + i % 3, "category_id": 1, "bbox": box, "score": 0.9 - i / 10} for i, box in enumerate(boxes)
    ]
    (place / "gt.json").write_text(json.dumps(truth))
    (place / "dets.json").write_text(json.dumps(detections))
    files = (place / "gt.json", place / "dets.json", "--serial")
    assert detray("diagnose", *files, "--output", place / "it's [out]" / "a") == 0
    assert detray("evaluate", *files, "--output", place / "it's [out]" / "b") == 0
    assert detray("audit", place / "gt.json", "--serial", "--output", place / "it's [out]" / "b") == 0
    return place / "it's [out]"


def query(root: Path, text: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert detray("sql", text, "--output", root, "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_one_view_a_table_over_all_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = query(root, "SELECT output, count(*) AS n FROM annotations GROUP BY output ORDER BY output", capsys)
    assert rows == [{"output": str(root / name), "n": 6} for name in ("a", "b")]
    (row,) = query(root, "SELECT category_name, file_name FROM annotations ORDER BY annotation_id LIMIT 1", capsys)
    assert row == {"category_name": "cat", "file_name": "1.jpg"}
    assert query(root / "a", "SELECT count(DISTINCT output) AS n FROM matches", capsys) == [{"n": 1}]
    for name in schema.TABLES:  # those that no run has are empty
        assert "output" in {row["column_name"] for row in query(root, f"DESCRIBE {name}", capsys)}


def test_joins_are_ready(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "SELECT DISTINCT category_name, cause FROM classes_diagnosed WHERE output LIKE '%/a' ORDER BY category_name"
    rows = query(root, text, capsys)
    assert [row["category_name"] for row in rows] == ["cat", "dog"]
    assert any(row["cause"] for row in rows)
    (row,) = query(root, "SELECT count(*) AS n, count(true_category_name) AS named FROM matches_named"
                   " WHERE output LIKE '%/a' AND annotation_row IS NOT NULL", capsys)  # fmt: skip
    assert row["n"] == row["named"] > 0
    counts = [query(root, f"SELECT count(*) AS n FROM {name}", capsys) for name in ("findings", "findings_pictured")]
    assert counts[0] == counts[1]


def test_the_file_beside_the_tables_does_the_same(root: Path) -> None:
    connection = duckdb.connect()
    connection.execute((root / "a" / "views.sql").read_text())
    assert connection.execute("SELECT count(*) FROM class_metrics WHERE area_range = 'all'").fetchall() == [(2,)]
    assert connection.execute("SELECT count(*) FROM trials").fetchall() == [(0,)]
    connection.close()


def test_what_cannot_be_asked_is_said_in_a_sentence(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert detray("sql", "SELECT nothing FROM matches", "--output", root) == 3
    assert "lists tables and columns" in capsys.readouterr().err
    assert detray("sql", "SELECT 1", "--output", tmp_path / "none") == 2
    assert "no tables of detray" in capsys.readouterr().err
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert detray("sql", "SELECT 1", "--output", root) == 2
    assert "pip install 'detray[sql]'" in capsys.readouterr().err


def test_worst_class_of_an_image(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "SELECT image_id, category_name, score_threshold, n_missed, n_false FROM image_metrics WHERE output LIKE '%/a'"
    )
    rows = query(root, text, capsys)
    assert {row["image_id"] for row in rows} == {1, 2, 3}
    assert {"cat", "dog"} & {row["category_name"] for row in rows}
    for row in rows:
        assert (row["category_name"] is None) == (row["n_missed"] + row["n_false"] == 0)
        assert row["score_threshold"] is None or row["category_name"] == "cat"  # no dog is found at all


def test_columns_of_one_name_and_numbers_that_json_lacks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert query(root, "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, 'NaN'::DOUBLE AS b", capsys) == [
        {"a": 1, "a_2": 2, "a_1": 3, "a_3": 4, "b": None}
    ]


def test_an_empty_query_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", " -- nothing"):
        assert detray("sql", text, "--output", root) == 2
        assert "the query is empty" in capsys.readouterr().err
