"""SQL views over all runs below a folder, for DuckDB: one a table, and joins that are asked for most."""

from collections.abc import Collection

from detray import schema

JOINS = {
    "matches_named": """SELECT m.*, i.path, a.x AS true_x, a.y AS true_y,
  a.width AS true_width, a.height AS true_height, a.category_name AS true_category_name
FROM matches m
LEFT JOIN images i USING (output, split, image_id)
LEFT JOIN annotations a ON a.output = m.output AND a.split = m.split AND a.image_id = m.image_id
  AND a.annotation_row = m.annotation_row""",
    "findings_pictured": """SELECT f.*, i.path, i.width AS image_width, i.height AS image_height
FROM findings f LEFT JOIN images i ON i.output = f.output AND i.split = f.split AND i.image_id = f.image_id""",
    "classes_diagnosed": """SELECT c.*, d.cause, d.confidence, d.d_ap, d.d_ap_is_ceiling, d.sentence, d.remedy,
  s.n_boxes, s.n_images
FROM class_metrics c
LEFT JOIN diagnoses d ON d.output = c.output AND d.split = c.split AND d.model = c.model
  AND d.category_id = c.category_id AND d.rank = 1
LEFT JOIN class_stats s ON s.output = c.output AND s.split = c.split AND s.category_id = c.category_id
WHERE c.area_range = 'all'""",
}
"""By name: detections with pictures and the boxes that they match, findings with pictures, classes with causes."""

_TYPES = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "int32": "INTEGER",
    "int8": "TINYINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
}
_DEFECTS = "STRUCT(rule VARCHAR, field VARCHAR, observed VARCHAR)[]"


def statements(root: str, found: Collection[str]) -> list[str]:
    """The statements that make the views.

    Args:
        root: folder or URI; runs may lie any number of folders below it.
        found: names of the tables that have a part there; views of all others are empty.
    """
    made = [_view(table.name, _read(root, table) if table.name in found else _empty(table)) for table in _tables()]
    return made + [_view(name, query) for name, query in JOINS.items()]


def text(root: str, found: Collection[str]) -> str:
    """The file ``views.sql``."""
    head = [
        '-- Views over the runs below a folder: duckdb -init views.sql, or detray sql "SELECT ..." --output FOLDER.',
        "-- Each has a column output, the folder of the run. Replace the folder by one above it to see several runs.",
    ]
    return "\n".join([*head, *(f"{statement};" for statement in statements(root, found)), ""])


def pattern(root: str, table: schema.Table) -> str:
    """The parts of a table in all runs below a folder."""
    kept = "".join(f"[{c}]" if c in "*?[" else c for c in root.rstrip("/"))
    return f"{kept}/**/{table.stage or '*'}/{table.name}/part-*.parquet"


def _tables() -> list[schema.Table]:
    return list(schema.TABLES.values())


def _read(root: str, table: schema.Table) -> str:
    kind = table.stage or "[^/]+"
    read = f"read_parquet({_quoted(pattern(root, table))}, union_by_name = true, filename = true)"
    folder = f"regexp_replace(replace(filename, '\\', '/'), '/{kind}/{table.name}/part-[^/]*$', '')"
    whole = "WHERE filename NOT LIKE '%/_partial/%'"  # not of a run that goes on
    return f"SELECT {folder} AS output, * EXCLUDE (filename) FROM {read} {whole}"  # noqa: S608 - names are ours


def _empty(table: schema.Table) -> str:
    columns = ", ".join(
        f'NULL::{_TYPES.get(str(column.type), _DEFECTS)} AS "{column.name}"' for column in table.columns
    )
    return f"SELECT NULL::VARCHAR AS output, {columns} WHERE false"


def _view(name: str, query: str) -> str:
    return f"CREATE OR REPLACE VIEW {name} AS {query}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
