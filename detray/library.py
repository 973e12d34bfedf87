"""detray as a library: an audit, an evaluation or a diagnosis as Arrow tables, without Ray or an output folder.

::

    import detray

    detray.audit("annotations.json").findings.to_pandas()
    detray.evaluate("gt.json", detections)["class_metrics"]
    detray.diagnose(coco, "dets.json", train="train.json").diagnoses

These are the commands of the same names, run in this process in a temporary folder: the same figures and tables.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from detray.errors import UsageError

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""Annotations: a file, a folder, or the dictionary that a COCO file holds."""
Detections: TypeAlias = "str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Mapping[str, Any] | pa.Table"
"""Detections: a file, a model, a list in the form of COCO results, or columns image_id, category_id, bbox (``[n, 4]``
x, y, width, height in px) and score as arrays, lists or an Arrow table."""


class Tables(Mapping[str, pa.Table]):
    """The tables of a result, by name or as attributes; ``lines`` is what the command says in sentences."""

    def __init__(self, tables: Mapping[str, pa.Table], lines: Sequence[str]) -> None:
        self._tables = dict(tables)
        self.lines = list(lines)

    def __getitem__(self, name: str) -> pa.Table:
        return self._tables[name]

    def __getattr__(self, name: str) -> pa.Table:
        tables = self.__dict__.get("_tables", {})
        if name not in tables:
            raise AttributeError(f"there is no table {name}: {', '.join(tables)}")
        return tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"Tables({', '.join(f'{name}: {rows.num_rows} rows' for name, rows in self.items())})"


def audit(
    annotations: Source,
    *,
    images: str | os.PathLike[str] | None = None,
    train: Source | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Validate annotations: the tables findings, class_stats, image_stats and drawn_twice, and the canonical tables.

    Args:
        annotations: what is audited, as the split val.
        images: the folder of the pictures; without it none is opened.
        train: training annotations, as the split train.
        label_map: .pbtxt, .yaml, .txt or .json.
        settings: keys of the configuration by dotted name, ``{"audit.disable": ["tiny-box"]}``.

    Raises:
        DetrayError: a file cannot be read, or a setting is none.
    """
    return _run("audit", [annotations], {"images": images, "train": train, "label-map": label_map}, settings)


def evaluate(
    truth: Source,
    detections: Detections,
    *,
    against: Detections | None = None,
    images: str | os.PathLike[str] | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Exact COCO metrics: the tables class_metrics, summary_metrics, matches, comparisons and what they are made from.

    Args:
        truth: annotations.
        detections: what a model found.
        against: what another model found, to compare with.
        images: the folder of the pictures, where ``detections`` is a model.
        label_map: of the detections.
        settings: keys of the configuration by dotted name, ``{"evaluate.bootstrap": 0}``.

    Raises:
        DetrayError: a file cannot be read, no detection can be placed, or a setting is none.
    """
    options = {"against": against, "images": images, "label-map": label_map}
    return _run("evaluate", [truth, detections], options, settings)


def diagnose(
    truth: Source,
    detections: Detections,
    *,
    train: Source | None = None,
    train_detections: Detections | None = None,
    images: str | os.PathLike[str] | None = None,
    label_map: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tables:
    """Say why classes are weak: the tables diagnoses and label_errors, and those of `evaluate`.

    Args:
        truth: annotations.
        detections: what a model found.
        train: training annotations.
        train_detections: what it found in training pictures.
        images: the folder of the pictures.
        label_map: of the detections.
        settings: keys of the configuration by dotted name, ``{"diagnose.classes": ["cat"]}``.

    Raises:
        DetrayError: as `evaluate`.
    """
    options = {"train": train, "train-detections": train_detections, "images": images, "label-map": label_map}
    return _run("diagnose", [truth, detections], options, settings)


def _run(verb: str, files: Sequence[Any], options: Mapping[str, Any], settings: Mapping[str, Any] | None) -> Tables:
    """Run a verb in a temporary folder; its tables, and those of the stages before it."""
    from detray.arguments import parser_for
    from detray.cli import load_config
    from detray.flow.executor import InProcess
    from detray.store import Store
    from detray.verbs import runner
    from detray.verbs.base import Context

    with tempfile.TemporaryDirectory(prefix="detray-") as place:
        folder = Path(place)
        arguments = [verb, *(_file(source, folder, f"file{n}") for n, source in enumerate(files))]
        for name, source in options.items():
            if source is not None:
                arguments += [f"--{name}", _file(source, folder, name)]
        for key, value in (settings or {}).items():
            arguments += ["--set", f"{key}={json.dumps(value)}"]
        config = load_config(parser_for(arguments).parse_args([*arguments, "--output", str(folder / "out")]))
        store = Store(config.output)
        results = runner.run(Context(config, store, InProcess()), [verb])
        tables: dict[str, pa.Table] = {}
        for result in results:
            for table in result.manifest["tables"]:
                rows = store.read(table, result.stage)
                tables[table] = pa.concat_tables([tables[table], rows]) if table in tables else rows
        return Tables(tables, [*results[-1].manifest["notes"], *results[-1].manifest["advice"]])


def _file(source: Any, folder: Path, name: str) -> str:
    """A path that the command takes; what is in memory is written to a file."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, pa.Table):
        source = {column: source[column].to_pylist() for column in source.column_names}
    if isinstance(source, Mapping) and "score" in source:
        source = _results(source)
    path = folder / f"{name}.json"
    with contextlib.suppress(TypeError):
        path.write_text(json.dumps(source, default=_builtin))
        return str(path)
    raise UsageError(f"{name}: neither a path nor what a COCO file holds, but {type(source).__name__}")


def _results(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of detections as COCO results."""
    missing = [name for name in ("image_id", "category_id", "bbox", "score") if name not in columns]
    if missing:
        raise UsageError(f"detections: no column {missing[0]}; they are image_id, category_id, bbox and score")
    lists = {name: _builtin(values) for name, values in columns.items()}
    if len({len(values) for values in lists.values()}) != 1:
        raise UsageError("detections: the columns are not equally long")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _builtin(value: Any) -> Any:
    """An array or a number of NumPy as lists and numbers of Python."""
    if isinstance(value, list | tuple):
        return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    raise TypeError(f"{type(value).__name__} is not JSON")
